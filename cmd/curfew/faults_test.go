package main

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/simulator"
	"github.com/curfew-dev/curfew/pkg/store"
)

// newFaultyWorld is a world whose clock can be put forward and that shows the server's log if the test fails.
func newFaultyWorld(t *testing.T) (*world, *ahead) {
	t.Helper()
	clock := &ahead{}
	w := newWorldAt(t, clock.now)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.log.tail(32 << 10))
		}
	})
	return w, clock
}

// newest is the lease that was opened last.
func (w *world) newest() lease.Lease {
	w.t.Helper()
	found, _, err := w.server.ledger.List(w.t.Context(), store.Filter{Limit: 1})
	w.must(err)
	if len(found) == 0 {
		w.t.Fatal("there is no lease")
	}
	return found[0]
}

// lease reads one again.
func (w *world) lease(id string) lease.Lease {
	w.t.Helper()
	l, err := w.server.ledger.Lease(w.t.Context(), id)
	w.must(err)
	return l
}

// got is what a client got, for the count at the end.
func (o outcome) got() grantedToken {
	text := func(name string) string { s, _ := o.granted[name].(string); return s }
	return grantedToken{text("access_token"), text("revocation_handle"), text("token_sha256"), text("lease_id")}
}

// asked counts the calls of a route since the last reset.
func (w *world) asked(route string) (n int) {
	for _, c := range w.github.Calls() {
		n += one(c.Route == route)
	}
	return n
}

var mintFaults = []struct {
	what  string
	fault simulator.Fault
	code  string
	retry string // Retry-After
	state lease.State
	mints int  // tokens that GitHub made
	alive bool // they still work
}{
	{"GitHub is well", simulator.Fault{Times: 1, Skip: 1}, "", "", lease.Active, 1, true},
	{"GitHub is slow", simulator.Fault{Delay: 300 * time.Millisecond}, "", "", lease.Active, 1, true},
	{"it answers 500", simulator.Fault{Status: 500}, "mint_indeterminate", "", lease.Indeterminate, 0, false},
	{"it answers 502", simulator.Fault{Status: 502}, "mint_indeterminate", "", lease.Indeterminate, 0, false},
	{"it answers 503", simulator.Fault{Status: 503}, "mint_indeterminate", "", lease.Indeterminate, 0, false},
	{"it answers 502 and has minted all the same", simulator.Fault{Status: 502, Cut: "after"}, "mint_indeterminate", "", lease.Indeterminate, 1, true},
	{"it answers 429", simulator.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}}, "rate_limited", "7", lease.Refused, 0, false},
	{"its rate limit is spent", simulator.Fault{Rate: "primary"}, "rate_limited", "60", lease.Refused, 0, false},
	{"it wants a pause (403)", simulator.Fault{Rate: "secondary"}, "rate_limited", "60", lease.Refused, 0, false},
	{"the App lacks a permission (422)", simulator.Fault{Status: 422}, "not_granted_to_app", "", lease.Refused, 0, false},
	{"the connection is cut before the mint", simulator.Fault{Cut: "before"}, "mint_indeterminate", "", lease.Indeterminate, 0, false},
	{"the connection is cut after the mint", simulator.Fault{Cut: "after"}, "mint_indeterminate", "", lease.Indeterminate, 1, true},
	{"the answer is cut in its midst", simulator.Fault{Cut: "truncate"}, "mint_indeterminate", "", lease.Indeterminate, 1, true},
	{"the answer is not JSON", simulator.Fault{Malformed: true}, "mint_indeterminate", "", lease.Indeterminate, 1, true},
	{"the answer holds an empty token", simulator.Fault{EmptyToken: true}, "mint_indeterminate", "", lease.Indeterminate, 1, true},
	{"the token can do more", simulator.Fault{Wider: "permissions"}, "answer_too_wide", "", lease.Revoked, 1, false},
	{"the token reaches more", simulator.Fault{Wider: "repositories"}, "answer_too_wide", "", lease.Revoked, 1, false},
	{"the token can do all, everywhere", simulator.Fault{Wider: "all"}, "answer_too_wide", "", lease.Revoked, 1, false},
	{"the token lives longer", simulator.Fault{Wider: "expires"}, "answer_too_wide", "", lease.Revoked, 1, false},
}

// statuses are those of the codes met here.
var statuses = map[string]int{
	"": 200, "mint_indeterminate": 504, "rate_limited": 429, "not_granted_to_app": 403, "answer_too_wide": 502,
}

func TestWhatBecomesOfAMint(t *testing.T) {
	t.Parallel()
	w, clock := newFaultyWorld(t)
	clients := []grantedToken{w.exchange(w.oidc(w.job(nil), nil), nil).got()} // the policies are read now
	for _, row := range mintFaults {
		before := len(w.github.Mints())
		w.github.ResetCalls()
		w.github.ClearFaults()
		row.fault.Route = "mint"
		w.github.Inject(row.fault)
		o := w.exchange(w.oidc(w.job(nil), nil), nil)
		if o.status == http.StatusOK {
			clients = append(clients, o.got())
		}
		if o.status != statuses[row.code] || string(o.refused.Code) != row.code {
			t.Errorf("%s: %d %s, want %d %s", row.what, o.status, o.refused.Code, statuses[row.code], row.code)
		}
		if retry := o.header.Get("Retry-After"); retry != row.retry {
			t.Errorf("%s: Retry-After is %q, want %q", row.what, retry, row.retry)
		}
		if n := w.asked("mint"); n != 1 {
			t.Errorf("%s: GitHub was asked %d times to mint", row.what, n)
		}
		if l := w.newest(); l.State != row.state {
			t.Errorf("%s: the lease is %s, want %s", row.what, l.State, row.state)
		} else if l.State == lease.Indeterminate && !l.NextAt.Equal(l.IntentAt.Add(61*time.Minute)) {
			t.Errorf("%s: an indeterminate lease of %s is due at %s", row.what, l.IntentAt, l.NextAt)
		}
		made := w.github.Mints()[before:]
		if len(made) != row.mints {
			t.Errorf("%s: GitHub made %d tokens, want %d", row.what, len(made), row.mints)
		}
		for _, m := range made {
			if alive := w.github.Alive(m.Token); alive != row.alive {
				t.Errorf("%s: the token is alive: %t, want %t", row.what, alive, row.alive)
			}
		}
	}
	w.github.ClearFaults()
	w.endAll(clock)
	h := newHistories(w)
	h.follow()
	h.conserved(clients)
	minted, _ := leaseTokens(w.github.Mints())
	t.Logf("%d tokens minted = %d issued + %d revoked before they left + %d known to no lease (%d leases are indeterminate)",
		len(minted), h.ever("issued"), h.ever("ending")-h.ever("issued"), len(h.without(minted)), h.ever("indeterminate"))
}

// endAll puts the clock beyond GitHub's hour and waits until no lease is live.
func (w *world) endAll(clock *ahead) {
	w.t.Helper()
	clock.put(62 * time.Minute)
	w.eventually("every lease has ended", func() bool {
		live, _, err := w.server.ledger.List(w.t.Context(), store.Filter{Live: true})
		w.must(err)
		return len(live) == 0
	})
}

var revokeFaults = []struct {
	what  string
	fault simulator.Fault
	tries int // of deleting, at least
	end   lease.State
	after time.Duration // the earliest end
}{
	{"GitHub is well", simulator.Fault{Route: "revoke", Times: 1, Skip: 9}, 1, lease.Revoked, 0},
	{"the deletion gets 500 three times", simulator.Fault{Route: "revoke", Status: 500, Times: 3}, 4, lease.Revoked, 7 * time.Second},
	{"the deletion gets 502 once", simulator.Fault{Route: "revoke", Status: 502, Times: 1}, 2, lease.Revoked, time.Second},
	{"the deletion gets 429 with a pause", simulator.Fault{Route: "revoke", Status: 429, Header: map[string]string{"Retry-After": "20"}, Times: 1}, 2, lease.Revoked, 20 * time.Second},
	{"the deletion gets 403 with a pause", simulator.Fault{Route: "revoke", Rate: "secondary", Times: 1}, 2, lease.Revoked, time.Minute},
	{"the deletion is cut before it is done", simulator.Fault{Route: "revoke", Cut: "before", Times: 4}, 5, lease.Revoked, time.Second},
	{"the deletion is done, its answer lost", simulator.Fault{Route: "revoke", Cut: "after", Times: 1}, 2, lease.Gone, time.Minute},
	{"the deletion is done, and answered with 502", simulator.Fault{Route: "revoke", Cut: "after", Status: 502, Times: 1}, 2, lease.Gone, time.Minute},
	{"the probe gets 500 twice", simulator.Fault{Route: "probe", Status: 500, Times: 2}, 1, lease.Revoked, 3 * time.Second},
	{"the probe is cut", simulator.Fault{Route: "probe", Cut: "before", Times: 4}, 1, lease.Revoked, time.Second},
	{"the token dies ten seconds late", simulator.Fault{Route: "revoke", LateDeath: 10 * time.Second, Times: 1}, 1, lease.Revoked, 10 * time.Second},
	{"the token dies two minutes late", simulator.Fault{Route: "revoke", LateDeath: 2 * time.Minute, Times: 1}, 2, lease.Revoked, 2 * time.Minute},
	{"GitHub never deletes", simulator.Fault{Route: "revoke", Status: 500}, 100, lease.Expired, time.Hour},
}

// Each row's token is ended by its handle; the clock then goes on second by
// second, and what GitHub says is held against what the lease says.
func TestATokenIsCalledRevokedWhenItIsDead(t *testing.T) {
	t.Parallel()
	w, clock := newFaultyWorld(t)
	var clients []grantedToken
	for _, row := range revokeFaults {
		w.github.ClearFaults()
		o := w.exchange(w.oidc(w.job(nil), nil), nil)
		clients = append(clients, o.got())
		w.github.ResetCalls()
		w.github.Inject(row.fault)
		if r := w.post("/v1/revoke", url.Values{"token": {o.got().RevocationHandle}}); r.status != http.StatusOK {
			t.Errorf("%s: the revocation gets %d %s", row.what, r.status, r.refused.Code)
		}
		begun := clock.now()
		l := w.lease(o.got().LeaseID)
		for !l.State.Terminal() {
			if l.State != lease.Ending {
				t.Fatalf("%s: the lease is %s", row.what, l.State)
			}
			clock.put(l.NextAt.Sub(clock.now()))
			_, err := w.server.hall.Sweep(t.Context())
			w.must(err)
			l = w.lease(l.ID)
		}
		if w.github.Alive(o.token()) {
			t.Errorf("%s: the lease is %s and its token works", row.what, l.State)
		}
		took := l.EndedAt.Sub(begun)
		if l.State != row.end || took < row.after-time.Second || l.Cause != lease.CausePost {
			t.Errorf("%s: %s after %s (%s), want %s after %s", row.what, l.State, took, l.Cause, row.end, row.after)
		}
		if bound := max(row.after, l.ExpiresAt.Sub(begun)) + 2*time.Minute; took > bound {
			t.Errorf("%s: the end took %s", row.what, took)
		}
		if n := w.asked("revoke"); n < row.tries {
			t.Errorf("%s: GitHub was asked %d times to delete, want %d", row.what, n, row.tries)
		}
	}
	h := newHistories(w)
	h.follow()
	h.conserved(clients)
}

// What hangs is given up after ten seconds, and holds up nobody else.
func TestGitHubHangs(t *testing.T) {
	t.Parallel()
	w, _ := newFaultyWorld(t)
	curfew := url.Values{"requested_expires_in": {"5"}}
	hanging := w.exchange(w.oidc(w.job(nil), nil), curfew)
	first := time.Now()
	w.eventually("time has passed", func() bool { return time.Since(first) > 2*time.Second })
	other := w.exchange(w.oidc(w.job(nil), nil), curfew) // its curfew is another sweep's
	issued := time.Now()
	w.github.Inject(simulator.Fault{Route: "revoke", Hang: true, Times: 1})
	w.github.Inject(simulator.Fault{Route: "mint", Hang: true, Cut: "after", Times: 1})
	minted := make(chan outcome)
	go func() { minted <- w.exchange(w.oidc(w.job(nil), nil), nil) }()
	w.eventually("the other token is dead", func() bool { return !w.github.Alive(other.token()) })
	if took := time.Since(issued); took > 10*time.Second || !w.github.Alive(hanging.token()) {
		t.Errorf("a curfew of five seconds took %s while GitHub hung for another token", took)
	}
	if o := <-minted; o.status != http.StatusGatewayTimeout || o.refused.Code != "mint_indeterminate" {
		t.Errorf("a mint that hangs: %d %s", o.status, o.refused.Code)
	}
	if l := w.newest(); l.State != lease.Indeterminate {
		t.Errorf("its lease is %s", l.State)
	}
	w.eventually("the first token is revoked", func() bool { return w.lease(hanging.got().LeaseID).State == lease.Revoked })
	if w.github.Alive(hanging.token()) {
		t.Error("a lease is revoked and its token works")
	}
}

func TestEndingOneLeaseTouchesNoOther(t *testing.T) {
	t.Parallel()
	w, _ := newFaultyWorld(t)
	job := w.job(nil)
	var living []outcome
	for i := range 12 {
		if i%3 == 0 {
			job = w.job(nil)
		}
		living = append(living, w.exchange(w.oidc(job, nil), nil))
	}
	rand.Shuffle(len(living), func(i, j int) { living[i], living[j] = living[j], living[i] })
	for len(living) > 0 {
		ended := living[0].got()
		living = living[1:]
		for range 2 { // the second time changes nothing
			if o := w.post("/v1/revoke", url.Values{"token": {ended.RevocationHandle}}); o.status != http.StatusOK {
				t.Errorf("%d %s", o.status, o.refused.Code)
			}
		}
		if w.github.Alive(ended.AccessToken) || w.lease(ended.LeaseID).State != lease.Revoked {
			t.Errorf("the token of lease %s is alive, or not proven dead", ended.LeaseID)
		}
		for _, o := range living {
			if !w.github.Alive(o.token()) || w.lease(o.got().LeaseID).State != lease.Active {
				t.Errorf("ending lease %s touched lease %s", ended.LeaseID, o.got().LeaseID)
			}
		}
	}
}
