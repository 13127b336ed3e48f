package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// maxRepositories is how many repositories a token can be narrowed to.
const maxRepositories = 500

// mintToken answers POST /app/installations/{id}/access_tokens.
// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
func mintToken(g *GitHub, q *request) answer {
	in := g.installations[q.id("id")]
	if in == nil || in.app != q.app {
		return notFound()
	}
	if !in.suspended.IsZero() {
		return refuse(http.StatusForbidden, "This installation has been suspended")
	}
	wanted, refused := readWish(q)
	if refused != nil {
		return *refused
	}
	m := Mint{Seq: len(g.mints) + 1, Time: g.now(), AppID: in.app.ID, InstallationID: in.id}
	m.ExpiresAt = m.Time.Add(g.lifetime).UTC().Truncate(time.Second)
	if refused := g.grant(&m, in, wanted); refused != nil {
		return *refused
	}
	g.widen(&m, in, q.fault.Wider)
	m.Token = g.newToken(&m)
	g.tokens[m.Token] = len(g.mints)
	g.mints = append(g.mints, m)
	return g.mintAnswer(m, q.fault.EmptyToken)
}

// wish is what a mint asks for. What is empty was left out, and means all.
type wish struct {
	names       []string
	ids         []int64
	permissions map[string]string
}

func readWish(q *request) (wish, *answer) {
	var w wish
	members, err := q.members()
	if err != nil {
		a := problemsParsing()
		return w, &a
	}
	for _, field := range []struct {
		name, kind string
		into       any
	}{
		{"repositories", "an array", &w.names},
		{"repository_ids", "an array", &w.ids},
		{"permissions", "an object", &w.permissions},
	} {
		raw, given := members[field.name]
		if given && json.Unmarshal(raw, field.into) != nil {
			return w, unprocessable(fmt.Sprintf("Invalid request.\n\nFor 'properties/%s', %s is not %s.", field.name, raw, field.kind))
		}
	}
	if len(w.names) > maxRepositories || len(w.ids) > maxRepositories {
		return w, unprocessable(fmt.Sprintf("Invalid request.\n\nNo more than %d repositories are allowed.", maxRepositories))
	}
	return w, nil
}

func unprocessable(message string) *answer {
	a := refuse(http.StatusUnprocessableEntity, message)
	return &a
}

// grant narrows the token to what was asked for, which the installation must have.
func (g *GitHub) grant(m *Mint, in *installation, w wish) *answer {
	if err := knownPermissions(w.permissions); err != nil {
		return unprocessable("Invalid request.\n\n" + err.Error() + ".")
	}
	if within(w.permissions, in.permissions) != "" {
		return unprocessable("The permissions requested are not granted to this installation.")
	}
	m.Permissions = maps.Clone(in.permissions)
	if len(w.permissions) > 0 {
		m.Permissions = withMetadata(w.permissions)
	}
	m.Selection = in.selection()
	if len(w.names) == 0 && len(w.ids) == 0 {
		if m.Selection == "selected" {
			m.Repositories = slices.Sorted(maps.Keys(in.selected))
		}
		return nil
	}
	var covered bool
	if m.Repositories, covered = g.named(in, w); !covered {
		return unprocessable("There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	m.Selection = "selected"
	return nil
}

// named turns names and ids into ids; all must be covered.
func (g *GitHub) named(in *installation, w wish) (ids []int64, covered bool) {
	var repos []*repository
	for _, name := range w.names {
		r, err := g.repository(in.owner.Login, name)
		if err != nil {
			return nil, false
		}
		repos = append(repos, r)
	}
	for _, id := range w.ids {
		repos = append(repos, g.repositories[id])
	}
	for _, r := range repos {
		if r == nil || !in.covers(r) {
			return nil, false
		}
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), true
}

// mintAnswer tells of a token; repositories are listed only when they were selected.
func (g *GitHub) mintAnswer(m Mint, withoutToken bool) answer {
	told := m.Token
	if withoutToken {
		told = ""
	}
	body := render(object{
		"token":                told,
		"expires_at":           m.ExpiresAt.Format(time.RFC3339),
		"permissions":          m.Permissions,
		"repository_selection": m.Selection,
	})
	if m.Selection == "selected" {
		body = g.withRepositories(body, m.Repositories)
	}
	a := reply(http.StatusCreated, body)
	a.minted = told
	return a
}

// withRepositories adds the list to an object by hand: the repositories are
// rendered already, and encoding/json would read all of it once more.
func (g *GitHub) withRepositories(object []byte, ids []int64) []byte {
	shapes := make([][]byte, 0, len(ids))
	for _, id := range ids {
		shapes = append(shapes, g.repositoryShape(g.repositories[id]))
	}
	object = append(object[:len(object)-1], `,"repositories":[`...)
	return append(append(object, bytes.Join(shapes, []byte(","))...), "]}"...)
}
