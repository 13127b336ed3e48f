package action

import (
	"regexp"
	"slices"
	"strings"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/scope"
)

var (
	ownerName      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,39}$`)
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
)

// organizationOnly is the value of the input repositories that stands for none.
const organizationOnly = "none"

// readTarget reads owner and repositories; both default to this repository's.
func (p *phase) readTarget(w *wish) error {
	thisOwner, thisName, _ := strings.Cut(p.Getenv("GITHUB_REPOSITORY"), "/")
	w.owner = p.gh.GetInput(inputOwner)
	if w.owner == "" {
		w.owner = thisOwner
	}
	if !ownerName.MatchString(w.owner) {
		return badInput{inputOwner, w.owner, "the name of one organisation or user, such as acme"}
	}
	asked := list(p.gh.GetInput(inputRepositories))
	switch {
	case len(asked) == 1 && asked[0] == organizationOnly:
		w.organization = true
		return nil
	case len(asked) > 0:
		w.named = true
		return w.readNames(asked)
	case !strings.EqualFold(w.owner, thisOwner) || thisName == "":
		return badInput{inputRepositories, "", "names of repositories of " + w.owner + ", because this repository is not one; or none, for organisation permissions alone"}
	}
	w.repositories = []string{thisName}
	return nil
}

// readNames reads NAME or OWNER/NAME, where OWNER must be the owner already known.
func (w *wish) readNames(asked []string) error {
	for _, entry := range asked {
		name := entry
		if owner, rest, qualified := strings.Cut(entry, "/"); qualified {
			if !strings.EqualFold(owner, w.owner) {
				return badInput{inputRepositories, entry, "repositories of " + w.owner + "; a token reaches one owner's, which the input owner names"}
			}
			name = rest
		}
		if !repositoryName.MatchString(name) || strings.Trim(name, ".") == "" || name == organizationOnly {
			return badInput{inputRepositories, entry, "names of repositories, separated by commas or line ends; or none alone, for organisation permissions"}
		}
		if !slices.ContainsFunc(w.repositories, func(n string) bool { return strings.EqualFold(n, name) }) {
			w.repositories = append(w.repositories, name)
		}
	}
	if len(w.repositories) > scope.MaxRepositories {
		return badInput{inputRepositories, strings.Join(asked, ","), "500 repositories at most"}
	}
	return nil
}

// resources names the target by web addresses (RFC 8693 section 2.1). Without
// any, the server takes the repository that the OIDC token itself names.
func (w *wish) resources(web string) ([]string, error) {
	if !w.named && !w.organization {
		return nil, nil
	}
	if web == "" {
		web = "https://github.com"
	}
	origin, err := api.Origin(web)
	if err != nil {
		return nil, badInput{"GITHUB_SERVER_URL", web, "the address of GitHub, which the runner sets"}
	}
	if w.organization {
		return []string{origin + "/" + w.owner}, nil
	}
	urls := make([]string, len(w.repositories))
	for i, name := range w.repositories {
		urls[i] = origin + "/" + w.owner + "/" + name
	}
	return urls, nil
}
