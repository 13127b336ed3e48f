package server

import (
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/store"
)

const (
	pageDefault = 100
	pageMost    = 1000
)

var leaseParameters = []string{"state", "owner", "repository", "live", "after", "limit"}

// leases lists leases, newest first, for operators.
func (s *Server) leases(c *call) (any, error) {
	if err := s.operator(c); err != nil {
		return nil, err
	}
	f, err := filter(c)
	if err != nil {
		return nil, err
	}
	found, next, err := s.Leases.List(c.Context(), f)
	if err != nil {
		return nil, err
	}
	list := api.LeaseList{Leases: make([]api.LeaseView, len(found)), Next: next}
	for i, l := range found {
		list.Leases[i] = view(l)
	}
	return list, nil
}

// operator lets only those in who hold one of the operators' tokens.
func (s *Server) operator(c *call) error {
	token, err := c.bearer()
	if err == nil {
		got, known := token.Digest(), 0
		for _, want := range s.OperatorTokens {
			known |= subtle.ConstantTimeCompare(got[:], want[:])
		}
		if known == 1 {
			return nil
		}
	}
	c.header.Set("WWW-Authenticate", `Bearer realm="curfew operators"`)
	return problem.New(problem.BadOperatorToken, "this address is for operators").
		WithHint("send Authorization: Bearer TOKEN, where the server's --operator-token file holds the SHA-256 of TOKEN")
}

func filter(c *call) (store.Filter, error) {
	q := c.URL.Query()
	for name, values := range q {
		if !slices.Contains(leaseParameters, name) {
			return store.Filter{}, problem.New(problem.BadForm, "there is no parameter %q", problem.Clip(name)).
				WithHint("accepted: %s", strings.Join(leaseParameters, ", "))
		}
		if len(values) > 1 && name != "state" {
			return store.Filter{}, problem.New(problem.BadForm, "%s stands more than once", name)
		}
	}
	f := store.Filter{Owner: q.Get("owner"), Repository: q.Get("repository"), After: q.Get("after"), Limit: pageDefault}
	for _, state := range q["state"] {
		if !lease.State(state).Valid() {
			return f, problem.New(problem.BadForm, "state is %q", problem.Clip(state)).WithHint("accepted: pending, active, refused, ending, indeterminate, revoked, gone, expired")
		}
		f.State = append(f.State, lease.State(state))
	}
	var err error
	if f.Live, err = flag(q, "live"); err != nil {
		return f, err
	}
	if q.Has("limit") {
		if f.Limit, err = strconv.Atoi(q.Get("limit")); err != nil || f.Limit < 1 || f.Limit > pageMost {
			return f, problem.New(problem.BadForm, "limit is %q", problem.Clip(q.Get("limit"))).WithHint("accepted: 1 to %d", pageMost)
		}
	}
	return f, nil
}

// view is a lease as operators see it: everything but what is sealed.
func view(l lease.Lease) api.LeaseView {
	v := api.LeaseView{
		LeaseID: l.ID, State: string(l.State), Cause: string(l.Cause), Grant: l.Grant,
		Owner: l.Scope.Owner, Repositories: append([]scope.Repository{}, l.Scope.Repositories...), Permissions: api.PermissionsOf(l.Scope.Permissions),
		Job:      api.Job(l.Job),
		IntentAt: l.IntentAt, IssuedAt: l.IssuedAt, ExpiresAt: l.ExpiresAt, EndedAt: l.EndedAt,
	}
	if l.TokenDigest != ([32]byte{}) {
		v.TokenSHA256 = base64.StdEncoding.EncodeToString(l.TokenDigest[:])
	}
	return v
}
