package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"
)

// Repository is one repository of an owner.
type Repository struct {
	ID               int64             `json:"id"`
	Owner            string            `json:"owner"`
	Name             string            `json:"name"`
	Private          bool              `json:"private"`
	DefaultBranch    string            `json:"default_branch"` // main unless given
	Properties       map[string]string `json:"properties"`
	ImmutableSubject bool              `json:"immutable_subject"` // its OIDC subjects carry ids
}

// repository is what GitHub knows about one: identity, files, history.
type repository struct {
	Repository
	account  *account
	created  time.Time
	files    map[string][]byte
	commits  []string          // that a ref may be made at
	refs     map[string]string // refs/… to commit
	releases []*release
	issues   []*issue

	releasesMade int64 // deleted ones included
	deployments  int64 // made so far

	objects objectStore
	dir     string // git's folder; empty until git is used

	shape    json.RawMessage // as the API shows it, under shapedAt
	shapedAt string          // base URL and name that shape was made for
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// AddRepository adds a repository with one commit on its default branch.
func (g *GitHub) AddRepository(r Repository) (Repository, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	owner, err := g.owner(r.Owner)
	if err != nil {
		return Repository{}, err
	}
	if err := g.nameIsFree(r.Owner, r.Name); err != nil {
		return Repository{}, err
	}
	if r.ID, err = newID(g, r.ID, "repository", 2001, g.repositories); err != nil {
		return Repository{}, err
	}
	r.Owner = owner.Login
	if r.DefaultBranch == "" {
		r.DefaultBranch = "main"
	}
	r.Properties = maps.Clone(r.Properties)
	repo := &repository{Repository: r, account: owner, created: g.now(), files: map[string][]byte{}, refs: map[string]string{}}
	repo.commit(g.now())
	g.repositories[r.ID] = repo
	g.names[nameKey(r.Owner, r.Name)] = repo
	return r, nil
}

// RenameRepository gives a repository another name. The old name answers 301
// from then on, and its OIDC subjects carry ids.
func (g *GitHub) RenameRepository(owner, name, newName string) error {
	g.mu.Lock()
	repo, err := g.repository(owner, name)
	if err == nil {
		err = g.nameIsFree(owner, newName)
	}
	if err != nil {
		g.mu.Unlock()
		return err
	}
	old := repo.Name
	repo.Name, repo.ImmutableSubject = newName, true
	g.names[nameKey(owner, newName)] = repo
	e := g.event("repository", "renamed", repo, object{
		"changes": object{"repository": object{"name": object{"from": old}}},
	})
	g.mu.Unlock()
	g.hook.send(e)
	return nil
}

func (g *GitHub) nameIsFree(owner, name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("repository name %q is not one that GitHub takes", name)
	}
	if _, err := g.repository(owner, name); err == nil {
		return fmt.Errorf("repository %s/%s exists already", owner, name)
	}
	return nil
}

// repository finds one by its present name, without regard to case.
func (g *GitHub) repository(owner, name string) (*repository, error) {
	r := g.names[nameKey(owner, name)]
	if r == nil || !r.goesBy(name) {
		return nil, fmt.Errorf("no repository %s/%s", owner, name)
	}
	return r, nil
}

func nameKey(owner, name string) string { return strings.ToLower(owner + "/" + name) }

// goesBy is false for a name the repository had before it was renamed.
func (r *repository) goesBy(name string) bool { return strings.EqualFold(r.Name, name) }

// commit adds a commit of the files to the default branch and returns its id.
func (r *repository) commit(at time.Time) string {
	message := fmt.Sprintf("Commit %d of repository %d", len(r.commits), r.ID)
	sha := r.objects.putCommit(r.files, r.head(), at, message)
	r.commits = append(r.commits, sha)
	r.refs["refs/heads/"+r.DefaultBranch] = sha
	return sha
}

func (r *repository) head() string { return r.refs["refs/heads/"+r.DefaultBranch] }

func (r *repository) fullName() string { return r.Owner + "/" + r.Name }

// repositoryShape is GitHub's full-repository. It is rendered once for each
// name and address, because every answer to a mint repeats it.
func (g *GitHub) repositoryShape(r *repository) json.RawMessage {
	if at := g.base + " " + r.fullName(); r.shapedAt != at {
		r.shape, r.shapedAt = render(g.fullRepository(r)), at
	}
	return r.shape
}
