package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/store"
	"github.com/google/go-cmp/cmp"
)

// listed fills a ledger with leases l-0 to l-5 and lists the ids that a filter picks.
func listed(t *testing.T) func(store.Filter) ([]string, string) {
	signer, _ := newKey(t)
	s := open(t, newPath(t), signer)
	for i, row := range []struct {
		owner, repository string
		state             lease.State
	}{
		{"acme", "web", lease.Pending},
		{"acme", "web_site", lease.Active},
		{"acme", "webXsite", lease.Refused},
		{"Acme", "API", lease.Indeterminate},
		{"globex", "web", lease.Active},
		{"globex", "100%", lease.Refused},
	} {
		l := lease.Lease{ID: fmt.Sprint("l-", i), State: lease.Pending, Scope: scope.Scope{
			Owner: row.owner, Repositories: []scope.Repository{{ID: 1, Name: "first"}, {ID: 2, Name: row.repository}},
		}}
		must(t, s.Intend(t.Context(), lease.Ticket{JTI: l.ID}, l, 100, audit.Record{Event: audit.LeaseIntent}))
		if row.state != lease.Pending {
			l.State = row.state
			must(t, s.Move(t.Context(), lease.Pending, l, audit.Record{Event: audit.LeaseIssued}))
		}
	}
	return func(f store.Filter) (ids []string, next string) {
		leases, next, err := s.List(t.Context(), f)
		must(t, err)
		for _, l := range leases {
			ids = append(ids, l.ID)
		}
		return ids, next
	}
}

func TestListPicksNewestFirst(t *testing.T) {
	list := listed(t)
	for name, row := range map[string]struct {
		filter store.Filter
		want   []string
	}{
		"everything":                   {store.Filter{}, []string{"l-5", "l-4", "l-3", "l-2", "l-1", "l-0"}},
		"one state":                    {store.Filter{State: []lease.State{lease.Refused}}, []string{"l-5", "l-2"}},
		"two states":                   {store.Filter{State: []lease.State{lease.Pending, lease.Indeterminate}}, []string{"l-3", "l-0"}},
		"no such state":                {store.Filter{State: []lease.State{"dead"}}, nil},
		"live":                         {store.Filter{Live: true}, []string{"l-4", "l-3", "l-1", "l-0"}},
		"live and refused":             {store.Filter{Live: true, State: []lease.State{lease.Refused}}, nil},
		"an owner, without case":       {store.Filter{Owner: "ACME"}, []string{"l-3", "l-2", "l-1", "l-0"}},
		"part of an owner":             {store.Filter{Owner: "acm"}, nil},
		"a repository, without case":   {store.Filter{Repository: "api"}, []string{"l-3"}},
		"a repository of two owners":   {store.Filter{Repository: "web"}, []string{"l-4", "l-0"}},
		"and one of them":              {store.Filter{Owner: "globex", Repository: "web"}, []string{"l-4"}},
		"an underscore is no wildcard": {store.Filter{Repository: "web_site"}, []string{"l-1"}},
		"a percent sign is none":       {store.Filter{Repository: "%"}, nil},
		"nor an escape":                {store.Filter{Repository: "100!%"}, nil},
		"after one":                    {store.Filter{After: "l-2"}, []string{"l-1", "l-0"}},
		"quotes are only text":         {store.Filter{Owner: `' OR 1=1 --`, Repository: `"`}, nil},
	} {
		got, next := list(row.filter)
		if diff := cmp.Diff(row.want, got); diff != "" || next != "" {
			t.Errorf("%s: next %q (-want +got):\n%s", name, next, diff)
		}
	}
}

func TestListPages(t *testing.T) {
	list := listed(t)
	var got []string
	filter := store.Filter{Limit: 2, Live: true}
	for range 2 {
		page, next := list(filter)
		got = append(got, page...)
		filter.After = next
	}
	if diff := cmp.Diff([]string{"l-4", "l-3", "l-1", "l-0"}, got); diff != "" || filter.After != "" {
		t.Errorf("next %q (-want +got):\n%s", filter.After, diff)
	}
	if page, _ := list(store.Filter{Limit: 1 << 30}); len(page) != 6 {
		t.Errorf("got %v", page)
	}
}

func TestAnAuditorReadsACopyWhereNothingMayBeWritten(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	signer, verifier := newKey(t)
	path := newPath(t)
	s := open(t, path, signer)
	must(t, exchange(t.Context(), s, time.Now().Unix()))
	must(t, s.Close())
	folder := filepath.Dir(path)
	must(t, os.Chmod(folder, 0o500))
	defer func() { must(t, os.Chmod(folder, 0o700)) }()
	log, err := store.OpenReadOnly(t.Context(), "sqlite:"+path)
	must(t, err)
	verifies(t, log, verifier, 2)
	must(t, log.Close())
}
