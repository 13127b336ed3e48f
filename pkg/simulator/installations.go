package simulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Installation is an App on an owner's repositories.
type Installation struct {
	ID           int64             `json:"id"`
	AppID        int64             `json:"app_id"`
	Owner        string            `json:"owner"`
	Repositories []string          `json:"repositories"` // names; nil means all, also those to come
	Permissions  map[string]string `json:"permissions"`  // nil means the App's
	Suspended    bool              `json:"suspended"`
}

type installation struct {
	id          int64
	app         *app
	owner       *account
	selected    map[int64]bool // by repository id; nil means all
	permissions map[string]string
	created     time.Time
	suspended   time.Time // zero when it isn't
}

// Install installs an App for an owner, once. It can be granted no more than
// the App asks for.
func (g *GitHub) Install(i Installation) (Installation, error) {
	g.mu.Lock()
	in, err := g.install(i)
	if err != nil {
		g.mu.Unlock()
		return Installation{}, fmt.Errorf("install app %d for %s: %w", i.AppID, i.Owner, err)
	}
	i.ID, i.Permissions = in.id, maps.Clone(in.permissions)
	e := g.installationEvent("created", in)
	g.mu.Unlock()
	g.hook.send(e)
	return i, nil
}

func (g *GitHub) install(i Installation) (*installation, error) {
	a, ok := g.apps[i.AppID]
	if !ok {
		return nil, errors.New("no such App")
	}
	owner, err := g.owner(i.Owner)
	if err != nil {
		return nil, err
	}
	if g.installationOf(a, owner) != nil {
		return nil, errors.New("it is installed already")
	}
	in := &installation{app: a, owner: owner, permissions: withMetadata(i.Permissions), created: g.now()}
	if i.Permissions == nil {
		in.permissions = maps.Clone(a.Permissions)
	}
	if name := within(in.permissions, a.Permissions); name != "" {
		return nil, fmt.Errorf("the App doesn't ask for %s: %s", name, in.permissions[name])
	}
	if i.Repositories != nil {
		in.selected = map[int64]bool{}
	}
	for _, name := range i.Repositories {
		repo, err := g.repository(i.Owner, name)
		if err != nil {
			return nil, err
		}
		in.selected[repo.ID] = true
	}
	if i.Suspended {
		in.suspended = g.now()
	}
	if in.id, err = newID(g, i.ID, "installation", 5001, g.installations); err != nil {
		return nil, err
	}
	g.installations[in.id] = in
	return in, nil
}

// Suspend stops an installation's tokens from working, or lets them work again.
func (g *GitHub) Suspend(id int64, suspended bool) error {
	return g.changeInstallation(id, func(in *installation) string {
		if suspended {
			in.suspended = g.now()
			return "suspend"
		}
		in.suspended = time.Time{}
		return "unsuspend"
	})
}

// Uninstall removes an installation; its tokens die at once.
func (g *GitHub) Uninstall(id int64) error {
	return g.changeInstallation(id, func(*installation) string {
		delete(g.installations, id)
		return "deleted"
	})
}

func (g *GitHub) changeInstallation(id int64, change func(*installation) (action string)) error {
	g.mu.Lock()
	in, ok := g.installations[id]
	if !ok {
		g.mu.Unlock()
		return fmt.Errorf("no installation %d", id)
	}
	e := g.installationEvent(change(in), in)
	g.mu.Unlock()
	g.hook.send(e)
	return nil
}

func (g *GitHub) installationOf(a *app, owner *account) *installation {
	for _, in := range g.installations {
		if in.app == a && in.owner == owner {
			return in
		}
	}
	return nil
}

func (in *installation) covers(r *repository) bool {
	return r.account == in.owner && (in.selected == nil || in.selected[r.ID])
}

func (in *installation) selection() string {
	if in.selected == nil {
		return "all"
	}
	return "selected"
}

// repositoriesOf returns what an installation covers, by id.
func (g *GitHub) repositoriesOf(in *installation) []*repository {
	var covered []*repository
	for _, id := range slices.Sorted(maps.Keys(g.repositories)) {
		if r := g.repositories[id]; in.covers(r) {
			covered = append(covered, r)
		}
	}
	return covered
}

// getInstallations answers GET /app/installations.
// https://docs.github.com/en/rest/apps/apps#list-installations-for-the-authenticated-app
func getInstallations(g *GitHub, q *request) answer {
	shapes := []object{}
	for _, id := range slices.Sorted(maps.Keys(g.installations)) {
		if in := g.installations[id]; in.app == q.app {
			shapes = append(shapes, g.installationShape(in))
		}
	}
	return q.page(len(shapes), func(from, to int) any { return shapes[from:to] })
}

// getInstallation answers GET /app/installations/{id}.
// https://docs.github.com/en/rest/apps/apps#get-an-installation-for-the-authenticated-app
func getInstallation(g *GitHub, q *request) answer {
	in := g.installations[q.id("id")]
	if in == nil || in.app != q.app {
		return notFound()
	}
	return ok(g.installationShape(in))
}

// getOwnerInstallation answers for an organisation or a user.
// https://docs.github.com/en/rest/apps/apps#get-an-organization-installation-for-the-authenticated-app
func getOwnerInstallation(g *GitHub, q *request, kind string) answer {
	owner := g.account(q.PathValue("owner"))
	if owner == nil || owner.Type != kind {
		return notFound()
	}
	in := g.installationOf(q.app, owner)
	if in == nil {
		return notFound()
	}
	return ok(g.installationShape(in))
}

func getOrganizationInstallation(g *GitHub, q *request) answer {
	return getOwnerInstallation(g, q, organization)
}

func getUserInstallation(g *GitHub, q *request) answer { return getOwnerInstallation(g, q, user) }

// getRepositoryInstallation answers for a repository that the installation covers.
// https://docs.github.com/en/rest/apps/apps#get-a-repository-installation-for-the-authenticated-app
func getRepositoryInstallation(g *GitHub, q *request) answer {
	in := g.installationOf(q.app, q.repo.account)
	if in == nil || !in.covers(q.repo) {
		return notFound()
	}
	return ok(g.installationShape(in))
}
