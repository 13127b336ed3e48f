package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// A failure is how SQLite gives up on a write.
type failure string

const (
	// failsAlone fails the statement, and leaves the transaction of the others alone.
	failsAlone failure = "ABORT"
	// failsAll ends the whole transaction, as a full disk does (https://www.sqlite.org/lang_transaction.html).
	failsAll failure = "ROLLBACK"
)

// breakLedger makes the real database refuse audit records of these events, or
// every change at all, until it is mended. It does so from a connection of its own.
func (w *world) breakLedger(how failure, events ...string) (mend func()) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.dir, "curfew.db")+"?_pragma=busy_timeout(10000)")
	w.must(err)
	raise := fmt.Sprintf("BEGIN SELECT RAISE(%s, 'the disk is full'); END", how)
	triggers := map[string]string{}
	for i, event := range events {
		triggers[fmt.Sprintf("fault_%d", i)] = fmt.Sprintf(
			`BEFORE INSERT ON records WHEN instr(CAST(NEW.line AS TEXT), '"event":"%s"') %s`, event, raise)
	}
	if len(events) == 0 {
		triggers["fault_records"] = "BEFORE INSERT ON records " + raise
		triggers["fault_leases"] = "BEFORE UPDATE ON leases " + raise
	}
	for name, trigger := range triggers {
		_, err := db.Exec("CREATE TRIGGER " + name + " " + trigger)
		w.must(err)
	}
	return func() {
		w.t.Helper()
		for name := range triggers {
			_, err := db.Exec("DROP TRIGGER " + name)
			w.must(err)
		}
		w.must(db.Close())
	}
}

// both runs a test with either way of failing.
func both(t *testing.T, f func(t *testing.T, how failure)) {
	t.Parallel()
	for name, how := range map[string]failure{"alone": failsAlone, "with all others": failsAll} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, how)
		})
	}
}

func TestNoIntentNoMint(t *testing.T) {
	both(t, func(t *testing.T, how failure) {
		w, _ := newFaultyWorld(t)
		first := w.exchange(w.oidc(w.job(nil), nil), nil)
		mend := w.breakLedger(how, "lease.intent")
		w.github.ResetCalls()
		oidc := w.oidc(w.job(nil), nil)
		o := w.exchange(oidc, nil)
		if o.status != http.StatusServiceUnavailable || o.refused.Code != "store_unavailable" || !o.refused.Retryable || o.header.Get("Retry-After") == "" {
			t.Errorf("%d %s, Retry-After %q", o.status, o.refused.Code, o.header.Get("Retry-After"))
		}
		if n := w.asked("mint"); n != 0 {
			t.Errorf("GitHub was asked to mint %d times", n)
		}
		if w.newest().ID != first.got().LeaseID {
			t.Error("there is a lease without its record")
		}
		mend()
		if o := w.exchange(oidc, nil); o.status != http.StatusOK {
			t.Errorf("once the ledger is well, the same token gets %d %s", o.status, o.refused.Code)
		}
	})
}

func TestNoRecordNoToken(t *testing.T) {
	both(t, func(t *testing.T, how failure) {
		for _, row := range []struct {
			what   string
			broken []string
			state  lease.State // right after
			end    lease.State
		}{
			{"only the issue can't be recorded", []string{"lease.issued"}, lease.Revoked, lease.Revoked},
			{"nothing after the intent can be", []string{"lease.issued", "lease.ending", "lease.ended"}, lease.Pending, lease.Expired},
			{"nor the proof of its end", []string{"lease.issued", "lease.ended"}, lease.Ending, lease.Gone},
		} {
			w, clock := newFaultyWorld(t)
			w.exchange(w.oidc(w.job(nil), nil), nil)
			mend := w.breakLedger(how, row.broken...)
			o := w.exchange(w.oidc(w.job(nil), nil), nil)
			if o.status != http.StatusServiceUnavailable || o.refused.Code != "store_unavailable" || o.granted != nil {
				t.Errorf("%s: %d %s", row.what, o.status, o.refused.Code)
			}
			l := w.newest()
			if l.State != row.state {
				t.Errorf("%s: the lease is %s, want %s", row.what, l.State, row.state)
			}
			minted := w.github.Mints()
			if w.github.Alive(minted[len(minted)-1].Token) {
				t.Errorf("%s: the token is alive", row.what)
			}
			mend()
			for range 5 { // the retries, the intent's two minutes, GitHub's hour
				if l = w.lease(l.ID); l.State.Terminal() {
					break
				}
				clock.put(l.NextAt.Sub(clock.now()) + time.Minute)
				_, err := w.server.hall.Sweep(t.Context())
				w.must(err)
			}
			if l.State != row.end {
				t.Errorf("%s: at the end the lease is %s, want %s", row.what, l.State, row.end)
			}
		}
	})
}

func TestRevokingGoesOnWithoutLedger(t *testing.T) {
	both(t, func(t *testing.T, how failure) {
		for _, row := range []struct {
			what   string
			broken []string // none: nothing can be written
			status int
			state  lease.State // right after
		}{
			{"the ending can't be recorded", []string{"lease.ending"}, http.StatusServiceUnavailable, lease.Active},
			{"the proof can't be recorded", []string{"lease.ended"}, http.StatusOK, lease.Ending},
			{"nothing can be written", nil, http.StatusServiceUnavailable, lease.Active},
		} {
			w, clock := newFaultyWorld(t)
			job := w.job(nil)
			posted := w.exchange(w.oidc(job, nil), nil)
			sibling, other := w.exchange(w.oidc(job, nil), nil), w.exchange(w.oidc(job, nil), nil)
			mend := w.breakLedger(how, row.broken...)
			o := w.post(api.PathRevoke, url.Values{"token": {posted.got().RevocationHandle}})
			if o.status != row.status || (o.status != http.StatusOK && o.header.Get("Retry-After") == "") {
				t.Errorf("%s: a revocation gets %d, want %d", row.what, o.status, row.status)
			}
			if w.github.Alive(posted.token()) || w.lease(posted.got().LeaseID).State != row.state {
				t.Errorf("%s: the token is alive, or its lease not %s", row.what, row.state)
			}
			o = w.post(api.PathJobsEnd, nil, "Authorization", "Bearer "+w.oidc(job, nil))
			if o.status != row.status {
				t.Errorf("%s: the end of a job gets %d, want %d", row.what, o.status, row.status)
			}
			if w.github.Alive(sibling.token()) || w.github.Alive(other.token()) {
				t.Errorf("%s: the job's end left a token alive", row.what)
			}
			mend()
			if o := w.post(api.PathRevoke, url.Values{"token": {posted.token()}}); o.status != http.StatusOK {
				t.Errorf("%s: once the ledger is well, a revocation gets %d %s", row.what, o.status, o.refused.Code)
			}
			clock.put(10 * time.Minute)
			w.eventually(row.what+": every lease ends", func() bool {
				clock.put(10 * time.Second)
				ended := true
				for _, o := range []outcome{posted, sibling, other} {
					ended = ended && w.lease(o.got().LeaseID).State.Terminal()
				}
				return ended
			})
			h := newHistories(w)
			h.follow()
			h.conserved([]grantedToken{posted.got(), sibling.got(), other.got()})
		}
	})
}

// The sweep that enforces curfews writes too, but does not need to.
func TestCurfewsHoldWithoutLedger(t *testing.T) {
	both(t, func(t *testing.T, how failure) {
		w, clock := newFaultyWorld(t)
		var all []grantedToken
		for range 20 {
			all = append(all, w.exchange(w.oidc(w.job(nil), nil), nil).got())
		}
		alive := func() (n int) {
			for _, got := range all {
				n += one(w.github.Alive(got.AccessToken))
			}
			return n
		}
		mend := w.breakLedger(how)
		clock.put(9 * time.Minute)
		if _, err := w.server.hall.Sweep(t.Context()); err != nil || alive() != len(all) {
			t.Errorf("before the curfew %d of %d tokens are alive; the sweep says %v", alive(), len(all), err)
		}
		clock.put(time.Minute)
		w.eventually("every token is dead", func() bool { return alive() == 0 })
		mend()
		w.eventually("every lease ends", func() bool {
			clock.put(time.Second)
			ended := true
			for _, got := range all {
				ended = ended && w.lease(got.LeaseID).State.Terminal()
			}
			return ended
		})
		h := newHistories(w)
		h.follow()
		h.conserved(all)
	})
}

// Whoever gives up while GitHub mints leaves no token behind.
func TestTheClientIsGone(t *testing.T) {
	t.Parallel()
	w, _ := newFaultyWorld(t)
	w.exchange(w.oidc(w.job(nil), nil), nil)
	w.github.Inject(simulator.Fault{Route: "mint", Delay: time.Second, Times: 1})
	ctx, leave := context.WithCancel(t.Context())
	oidc := w.oidc(w.job(nil), nil)
	form := api.TokenRequest{Grant: "release"}.Form()
	form.Set("subject_token", oidc)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.origin+api.PathToken, strings.NewReader(form.Encode()))
	w.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	left := make(chan error)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		left <- err
	}()
	w.eventually("the intent is durable", func() bool { return w.newest().State == lease.Pending })
	leave()
	if err := <-left; err == nil {
		t.Fatal("the client got an answer")
	}
	w.eventually("the lease has ended", func() bool { return w.newest().State == lease.Revoked })
	if l := w.newest(); l.Cause != lease.CauseClientGone {
		t.Errorf("the lease ended by %s", l.Cause)
	}
	minted := w.github.Mints()
	if w.github.Alive(minted[len(minted)-1].Token) {
		t.Error("the token is alive")
	}
	if o := w.exchange(oidc, nil); o.refused.Code != "replayed" {
		t.Errorf("the same OIDC token again: %d %s", o.status, o.refused.Code)
	}
}

// Five seconds mean at most ten, also over a restart.
func TestACurfewOfFiveSeconds(t *testing.T) {
	t.Parallel()
	w, _ := newFaultyWorld(t)
	curfew := url.Values{"requested_expires_in": {"5"}}
	before := w.exchange(w.oidc(w.job(nil), nil), curfew)
	issued := time.Now()
	w.restart()
	after := w.exchange(w.oidc(w.job(nil), nil), curfew)
	w.eventually("both tokens are dead", func() bool {
		first, second := w.github.Alive(before.token()), w.github.Alive(after.token())
		if time.Since(issued) < 4500*time.Millisecond && (!first || !second) {
			t.Fatal("a token died before its curfew")
		}
		return !first && !second
	})
	if took := time.Since(issued); took > 10*time.Second {
		t.Errorf("a curfew of five seconds took %s", took)
	}
}
