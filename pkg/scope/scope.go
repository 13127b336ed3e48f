// Package scope says what a token may do: permissions on repositories of one
// owner. It knows GitHub's permission names and levels from a closed table,
// reads them from text, and compares. It does no input or output.
package scope

import (
	"slices"
	"strings"
	"time"
)

// MaxRepositories is how many repositories GitHub lets one token name.
// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
const MaxRepositories = 500

// A Repository is known by its id; the name may change hands.
type Repository struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// A Scope is what one token can do: Permissions on Repositories of Owner.
type Scope struct {
	Owner        string       `json:"owner"`
	OwnerID      int64        `json:"owner_id"`
	Repositories []Repository `json:"repositories"`
	Permissions  Permissions  `json:"permissions"`
}

// Granted is what GitHub says a token can do, and until when the token itself lives.
type Granted struct {
	Scope
	ExpiresAt time.Time
}

// Within tells whether s gives nothing that outer does not. Repositories count
// by id, owners by id; an empty scope is within nothing, for GitHub reads what
// is left out as all.
func (s Scope) Within(outer Scope) bool {
	if len(s.Repositories) == 0 || len(s.Permissions) == 0 || s.OwnerID != outer.OwnerID {
		return false
	}
	for _, r := range s.Repositories {
		if !slices.ContainsFunc(outer.Repositories, func(o Repository) bool { return o.ID == r.ID }) {
			return false
		}
	}
	return s.Permissions.Within(outer.Permissions)
}

// RepositoryIDs lists the ids in order.
func (s Scope) RepositoryIDs() []int64 {
	ids := make([]int64, len(s.Repositories))
	for i, r := range s.Repositories {
		ids[i] = r.ID
	}
	return ids
}

// String is the scope in one line: `contents:write on acme/web`.
func (s Scope) String() string {
	names := make([]string, len(s.Repositories))
	for i, r := range s.Repositories {
		names[i] = s.Owner + "/" + r.Name
	}
	return s.Permissions.String() + " on " + strings.Join(names, ", ")
}
