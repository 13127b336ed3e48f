package simulator

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// inventory lists what there is, without keys and tokens.
func (g *GitHub) inventory() any {
	issuer := g.Issuer()
	g.mu.Lock()
	defer g.mu.Unlock()
	return object{
		"url": g.base, "issuer": issuer,
		"owners":        listed(g.accounts, func(a *account) Owner { return a.Owner }),
		"repositories":  listed(g.repositories, func(r *repository) Repository { return r.Repository }),
		"apps":          listed(g.apps, func(a *app) App { return a.App }),
		"installations": listed(g.installations, g.described),
		"jobs":          listed(g.jobs, func(j *job) Job { return j.Job }),
	}
}

// listed shows what a map holds, by id.
func listed[T, Shown any](by map[int64]T, show func(T) Shown) []Shown {
	list := []Shown{}
	for _, id := range slices.Sorted(maps.Keys(by)) {
		list = append(list, show(by[id]))
	}
	return list
}

// described is the installation as it was given to Install.
func (g *GitHub) described(in *installation) Installation {
	i := Installation{
		ID: in.id, AppID: in.app.ID, Owner: in.owner.Login,
		Permissions: in.permissions, Suspended: !in.suspended.IsZero(),
	}
	for _, id := range slices.Sorted(maps.Keys(in.selected)) {
		i.Repositories = append(i.Repositories, g.repositories[id].Name)
	}
	return i
}

type renaming struct {
	Owner   string `json:"owner"`
	Name    string `json:"name"`
	NewName string `json:"new_name"`
}

func (g *GitHub) manageRename(r renaming, _ string) (any, error) {
	return nil, g.RenameRepository(r.Owner, r.Name, r.NewName)
}

type managedFile struct {
	Owner      string `json:"owner"`
	Repository string `json:"repository"`
	Path       string `json:"path"`
	Content    string `json:"content"`
}

func (g *GitHub) managePutFile(f managedFile, _ string) (any, error) {
	sha, err := g.PutFile(f.Owner, f.Repository, f.Path, []byte(f.Content))
	return object{"sha": sha}, err
}

func (g *GitHub) manageRemoveFile(f managedFile, _ string) (any, error) {
	return nil, g.RemoveFile(f.Owner, f.Repository, f.Path)
}

// managedApp is an App with its private key.
type managedApp struct {
	App
	Key string `json:"key_pem"`
}

func (g *GitHub) manageAddApp(m managedApp, _ string) (any, error) {
	m.KeyPEM = []byte(m.Key)
	a, err := g.AddApp(m.App)
	return managedApp{App: a, Key: string(a.KeyPEM)}, err
}

type suspension struct {
	Suspended bool `json:"suspended"`
}

func (g *GitHub) manageSuspend(s suspension, id string) (any, error) {
	n, err := number(id)
	if err != nil {
		return nil, err
	}
	return nil, g.Suspend(n, s.Suspended)
}

func (g *GitHub) manageUninstall(_ struct{}, id string) (any, error) {
	n, err := number(id)
	if err != nil {
		return nil, err
	}
	return nil, g.Uninstall(n)
}

type managedTokens struct {
	Format   string   `json:"format"`
	Lifetime duration `json:"lifetime"`
}

func (g *GitHub) manageTokens(t managedTokens, _ string) (any, error) {
	switch t.Format {
	case "short", "long":
		g.SetTokenFormat(t.Format)
	case "":
	default:
		return nil, fmt.Errorf("token format %q is neither short nor long", t.Format)
	}
	if t.Lifetime > 0 {
		g.SetTokenLifetime(time.Duration(t.Lifetime))
	}
	return nil, nil
}

type managedLimit struct {
	Limit int `json:"limit"`
}

func (g *GitHub) manageRateLimit(l managedLimit, _ string) (any, error) {
	g.SetRateLimit(l.Limit)
	return nil, nil
}
