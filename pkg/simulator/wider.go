package simulator

import (
	"maps"
	"slices"
	"time"
)

// widen makes a token that can do more than was asked for, and truly can.
func (g *GitHub) widen(m *Mint, in *installation, how string) {
	switch how {
	case "permissions":
		m.Permissions = widerPermissions(m.Permissions, in.permissions)
	case "repositories":
		g.addRepositoryTo(m, in)
	case "all":
		m.Permissions = widerPermissions(m.Permissions, in.permissions)
		m.Selection, m.Repositories = "all", nil
	case "expires":
		m.ExpiresAt = m.ExpiresAt.Add(24 * time.Hour)
	}
}

// widerPermissions returns all that the installation has, or something beyond it
// when that is what was asked for.
func widerPermissions(asked, installed map[string]string) map[string]string {
	all := maps.Clone(installed)
	if maps.Equal(asked, installed) {
		all["administration"] = "write"
		all["members"] = "write"
	}
	return all
}

// addRepositoryTo adds one repository that was not asked for, of the same owner
// when there is another, else anyone's. With no other at all the token gets all.
func (g *GitHub) addRepositoryTo(m *Mint, in *installation) {
	var others []*repository
	for _, id := range slices.Sorted(maps.Keys(g.repositories)) {
		if r := g.repositories[id]; !g.reaches(m, r) {
			others = append(others, r)
		}
	}
	if len(others) == 0 {
		m.Selection, m.Repositories = "all", nil
		return
	}
	extra := others[0]
	if i := slices.IndexFunc(others, func(r *repository) bool { return r.account == in.owner }); i >= 0 {
		extra = others[i]
	}
	m.Selection = "selected"
	m.Repositories = append(slices.Clone(m.Repositories), extra.ID)
}
