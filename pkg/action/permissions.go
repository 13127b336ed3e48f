package action

import (
	"errors"
	"strings"

	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

const permissionsForm = "one `name: level` a line, such as contents: write"

// readPermissions reads the input permissions; empty leaves them to the grant.
func (p *phase) readPermissions(w *wish) error {
	text := p.gh.GetInput(inputPermissions)
	if text == "" {
		return nil
	}
	permissions, err := parsePermissions(text)
	if err != nil {
		return err
	}
	w.permissions = permissions
	return nil
}

// parsePermissions reads the two forms in which people write a YAML map of
// names and levels: lines, or braces with commas. Anything else that YAML knows
// is refused, with the place in the text that was not understood.
func parsePermissions(text string) (scope.Permissions, error) {
	permissions := scope.Permissions{}
	for _, entry := range entries(text) {
		name, level, found := strings.Cut(entry, ":")
		name, level = unquote(name), unquote(level)
		if !found || name == "" || level == "" {
			return nil, badInput{inputPermissions, entry, permissionsForm}
		}
		if err := permissions.Add(name, level); err != nil {
			return nil, badInput{inputPermissions, entry, explain(err)}
		}
	}
	if len(permissions) == 0 {
		return nil, badInput{inputPermissions, text, permissionsForm + "; leave it out for all that the grant gives"}
	}
	return permissions, nil
}

// entries cuts a map into its entries, without comments and empty ones.
func entries(text string) []string {
	text = strings.TrimSpace(text)
	separator := "\n"
	if inner, opened := strings.CutPrefix(text, "{"); opened {
		if inner, closed := strings.CutSuffix(inner, "}"); closed {
			text, separator = strings.Join(strings.Fields(inner), " "), ","
		}
	}
	var found []string
	for entry := range strings.SplitSeq(text, separator) {
		entry = strings.TrimSpace(entry)
		if i := strings.Index(" "+entry, " #"); i >= 0 {
			entry = strings.TrimSpace(entry[:i])
		}
		if entry != "" {
			found = append(found, entry)
		}
	}
	return found
}

// unquote takes one pair of quotes away, as YAML and JSON have them.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// explain turns a refusal of the closed table into what would be accepted.
func explain(err error) string {
	var refusal *problem.Problem
	if !errors.As(err, &refusal) {
		return permissionsForm
	}
	return permissionsForm + "; " + refusal.Detail + ": " + refusal.Hint
}
