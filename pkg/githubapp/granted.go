package githubapp

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// maxToken bounds a token: it is opaque, and GitHub's long form has about 520 characters.
const maxToken = 8 << 10

// A minted is GitHub's answer to a mint, as far as it counts.
type minted struct {
	Token       string
	ExpiresAt   time.Time `json:"expires_at"`
	Permissions map[string]string
	Selection   string `json:"repository_selection"`

	Repositories []struct {
		ID    int64
		Name  string
		Owner struct {
			ID    int64
			Login string
		}
	}
}

// readGranted reads the answer to a mint. Once there is a token it is returned
// whatever else is wrong, with a scope that compares as different, so that the
// caller can end it.
func readGranted(a answer) (secret.Text, scope.Granted, error) {
	var m minted
	whole, typed := spoiled(json.Unmarshal(a.body, &m))
	switch {
	case !whole || !tokenLike(m.Token):
		return secret.Text{}, scope.Granted{}, indeterminate(asCause(a))
	case !typed:
		return secret.New(m.Token), scope.Granted{}, nil
	}
	return secret.New(m.Token), m.granted(), nil
}

// spoiled tells JSON that is whole from JSON whose values have, besides, the
// types they must: of the former what could be read has been read.
func spoiled(err error) (whole, typed bool) {
	var kind *json.UnmarshalTypeError
	var date *time.ParseError
	return err == nil || errors.As(err, &kind) || errors.As(err, &date), err == nil
}

func tokenLike(token string) bool {
	return token != "" && len(token) <= maxToken &&
		!strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// granted leaves the repositories out unless they are a plain list of one owner's.
func (m minted) granted() scope.Granted {
	g := scope.Granted{ExpiresAt: m.ExpiresAt}
	g.Permissions = make(scope.Permissions, len(m.Permissions))
	for name, level := range m.Permissions {
		g.Permissions[name] = levelOf(level)
	}
	if m.Selection != "selected" || len(m.Repositories) == 0 {
		return g
	}
	first := m.Repositories[0].Owner
	repositories := make([]scope.Repository, len(m.Repositories))
	for i, r := range m.Repositories {
		if r.Owner.ID != first.ID || r.ID <= 0 {
			return g
		}
		repositories[i] = scope.Repository{ID: r.ID, Name: r.Name}
	}
	g.Owner, g.OwnerID, g.Repositories = first.Login, first.ID, repositories
	return g
}

// levelOf takes a word that it does not know for the highest level, because it may be one.
func levelOf(word string) scope.Level {
	for l := scope.None; l <= scope.Admin; l++ {
		if l.String() == word {
			return l
		}
	}
	return scope.Admin
}
