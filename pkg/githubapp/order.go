package githubapp

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// mintBody writes the request by hand: GitHub reads a list that is left out or
// empty as "all", so nothing may be dropped on the way. Names and levels come
// from the closed table of package scope.
func mintBody(want scope.Scope) ([]byte, error) {
	if len(want.Repositories) == 0 || len(want.Permissions) == 0 {
		return nil, problem.New(problem.Internal, "a token for all repositories or all permissions was about to be asked for")
	}
	if len(want.Repositories) > scope.MaxRepositories {
		return nil, tooMany()
	}
	body := []byte(`{"repository_ids":[`)
	seen := make(map[int64]bool, len(want.Repositories))
	for i, r := range want.Repositories {
		if r.ID <= 0 || seen[r.ID] {
			return nil, problem.New(problem.Internal, "a repository to mint for has no id or stands twice")
		}
		seen[r.ID] = true
		if i > 0 {
			body = append(body, ',')
		}
		body = strconv.AppendInt(body, r.ID, 10)
	}
	return appendPermissions(body, want.Permissions)
}

// namedBody is mintBody for repositories whose ids are not yet known.
func namedBody(names []string, permissions scope.Permissions) ([]byte, error) {
	if len(names) == 0 || len(permissions) == 0 {
		return nil, problem.New(problem.Internal, "a token for all repositories or all permissions was about to be asked for")
	}
	if len(names) > scope.MaxRepositories {
		return nil, tooMany()
	}
	body := []byte(`{"repositories":[`)
	for i, name := range names {
		if !plainName(name) {
			return nil, badName()
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, '"'), name...), '"')
	}
	return appendPermissions(body, permissions)
}

func appendPermissions(body []byte, permissions scope.Permissions) ([]byte, error) {
	body = append(body, `],"permissions":{`...)
	for i, name := range permissions.Names() {
		level := permissions[name]
		kind := scope.KindOf(name)
		if !scope.Valid(name, level) || kind != scope.OfRepository && kind != scope.OfOrganization {
			return nil, problem.New(problem.UnknownPermission, "%s can't be part of an installation token at the level asked for", name)
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `"`+name+`":"`+level.String()+`"`...)
	}
	return append(body, "}}"...), nil
}

func badName() *problem.Problem {
	return problem.New(problem.NotInstalled, "there is no owner or repository of that name").
		WithHint("names have at most 100 letters, digits, dots, hyphens and underscores")
}

// plainName tells whether GitHub could have an owner or a repository of that
// name, and with it that the name can stand in JSON and in a path as it is.
func plainName(name string) bool {
	if name == "" || len(name) > 100 || name == "." || name == ".." {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

func tooMany() *problem.Problem {
	return problem.New(problem.TooManyRepositories, "a token can name at most %d repositories", scope.MaxRepositories)
}

// mintRefusal says why GitHub did not mint.
func (c *Client) mintRefusal(a answer, o order) *problem.Problem {
	switch {
	case a.status == http.StatusNotFound:
		return notInstalled(o.owner, o.names...).WithCause(asCause(a))
	case a.status == http.StatusUnprocessableEntity && strings.Contains(a.message(), "repositor"):
		return notInstalled(o.owner, o.names...).WithCause(asCause(a))
	case a.status == http.StatusUnprocessableEntity:
		return problem.New(problem.NotGrantedToApp, "the App's installation does not have every permission asked for").
			WithHint("grant %s to the App (App settings, Permissions and events), and have an owner of %s accept the change", o.permissions, o.owner).
			WithCause(asCause(a))
	}
	return c.refusal(a)
}
