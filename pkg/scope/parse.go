package scope

import (
	"strings"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// ParsePermission reads one permission from a name and a level. Hyphens in the
// name count as underscores. The refusal is [problem.UnknownPermission]; it
// names what was got and the nearest name or the accepted levels.
func ParsePermission(name, level string) (string, Level, error) {
	canonical := strings.ReplaceAll(name, "-", "_")
	p, known := table[canonical]
	if !known {
		refusal := problem.New(problem.UnknownPermission, "there is no GitHub App permission %q", problem.Clip(name))
		if near := Nearest(canonical, mintable()); near != "" {
			return "", None, refusal.WithHint("did you mean %s?", near)
		}
		return "", None, refusal.WithHint("names are those of GitHub's REST API, such as contents, issues, pull_requests")
	}
	if p.kind != OfRepository && p.kind != OfOrganization {
		return "", None, problem.New(problem.UnknownPermission, "%s can't be part of an installation token", canonical).
			WithHint("use permissions of repositories or organisations")
	}
	for l := p.min; l <= p.max; l++ {
		if l.String() == level {
			return canonical, l, nil
		}
	}
	return "", None, problem.New(problem.UnknownPermission, "%s has no level %q", canonical, problem.Clip(level)).
		WithHint("%s accepts: %s", canonical, p.levels())
}

// ParseScope reads an OAuth scope (RFC 6749 section 3.3): `name:level` parts
// separated by single spaces, each name once. The refusal is
// [problem.UnknownPermission].
func ParseScope(text string) (Permissions, error) {
	parsed := Permissions{}
	for part := range strings.SplitSeq(text, " ") {
		name, level, found := strings.Cut(part, ":")
		if !found {
			return nil, problem.New(problem.UnknownPermission, "%q is not of the form name:level", problem.Clip(part)).
				WithHint("separate the parts by one space: contents:write issues:read")
		}
		if err := parsed.Add(name, level); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

// Add parses one permission into p and refuses one that is there already.
func (p Permissions) Add(name, level string) error {
	canonical, l, err := ParsePermission(name, level)
	if err != nil {
		return err
	}
	if _, twice := p[canonical]; twice {
		return problem.New(problem.UnknownPermission, "%s stands twice", canonical).WithHint("name each permission once")
	}
	p[canonical] = l
	return nil
}

func (p permission) levels() string {
	var names []string
	for l := p.min; l <= p.max; l++ {
		names = append(names, l.String())
	}
	return strings.Join(names, ", ")
}

// mintable lists the names that can be part of an installation token.
func mintable() []string {
	var names []string
	for name, p := range table {
		if p.kind == OfRepository || p.kind == OfOrganization {
			names = append(names, name)
		}
	}
	return names
}
