package runner

import (
	"fmt"
	"regexp"
	"strings"
)

// A template is a text with `${{ }}` expressions in it, in order: each part is
// either plain text or a reference. It is never nil once parsed.
// https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
type template []part

type part struct {
	text      string
	reference []string // a path such as steps, ID, outputs, NAME; nil for plain text
}

// parseTemplate reads a template. It knows string literals and the paths of
// isKnown; anything else is an error that names the expression.
func parseTemplate(s string) (template, error) {
	t := template{}
	for {
		before, rest, found := strings.Cut(s, "${{")
		if before != "" {
			t = append(t, part{text: before})
		}
		if !found {
			return t, nil
		}
		end := closing(rest)
		if end < 0 {
			return nil, fmt.Errorf("the expression ${{%s has no end", rest)
		}
		p, err := parseExpression(rest[:end])
		if err != nil {
			return nil, err
		}
		t, s = append(t, p), rest[end+len("}}"):]
	}
}

// closing finds the }} that ends an expression; those inside a literal don't.
func closing(s string) int {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(s[i:], "}}"):
			return i
		}
	}
	return -1
}

var (
	literal   = regexp.MustCompile(`^'((?:[^']|'')*)'$`)
	reference = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)+$`)
)

func parseExpression(s string) (part, error) {
	s = strings.TrimSpace(s)
	if m := literal.FindStringSubmatch(s); m != nil {
		return part{text: strings.ReplaceAll(m[1], "''", "'")}, nil
	}
	if path := strings.Split(s, "."); reference.MatchString(s) && isKnown(path) {
		return part{reference: path}, nil
	}
	return part{}, fmt.Errorf("the expression ${{ %s }} is not supported by this runner", s)
}

func isKnown(path []string) bool {
	switch strings.ToLower(path[0]) {
	case "github", "env", "secrets", "runner":
		return len(path) == 2
	case "steps":
		return len(path) == 4 && strings.EqualFold(path[2], "outputs") ||
			len(path) == 3 && (strings.EqualFold(path[2], "outcome") || strings.EqualFold(path[2], "conclusion"))
	}
	return false
}

// evaluate puts the value of each reference in its place.
func (t template) evaluate(value func(path []string) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.reference != nil {
			b.WriteString(value(p.reference))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// A condition is an `if`; its zero value is the default, success().
type condition int

const (
	onSuccess condition = iota
	onFailure
	onCancel
	unlessCancelled
	always
)

var conditions = map[string]condition{
	"":             onSuccess,
	"success()":    onSuccess,
	"failure()":    onFailure,
	"cancelled()":  onCancel,
	"!cancelled()": unlessCancelled,
	"always()":     always,
}

func parseCondition(s string) (condition, error) {
	bare := strings.TrimSpace(s)
	if inner, ok := strings.CutPrefix(bare, "${{"); ok {
		bare = strings.TrimSpace(strings.TrimSuffix(inner, "}}"))
	}
	c, ok := conditions[strings.ToLower(bare)]
	if !ok {
		return 0, fmt.Errorf("the condition %q is not supported by this runner", s)
	}
	return c, nil
}

// met says whether a step with this condition runs in a job of that status.
func (c condition) met(status string) bool {
	switch c {
	case onFailure:
		return status == Failure
	case onCancel:
		return status == Cancelled
	case unlessCancelled:
		return status != Cancelled
	case always:
		return true
	}
	return status == Success
}
