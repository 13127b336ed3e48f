package exchange_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
)

func TestWhatASweepDoesInEachState(t *testing.T) {
	for _, row := range []struct {
		state   string
		arrange func(*stage)
		early   time.Duration // when it is not due yet
		due     time.Duration
		want    lease.State
		cause   lease.Cause
		events  []audit.Event
	}{
		{"pending, its answer never came", func(s *stage) {
			s.github.mintErr = problem.New(problem.GitHubError, "no answer")
			s.ledger.broken(audit.LeaseRefused)
			s.refused(s.ask(worker(1)), problem.GitHubError)
			s.ledger.before = nil
		}, 2*time.Minute - 1, 2 * time.Minute, lease.Indeterminate, lease.CauseLost, []audit.Event{audit.LeaseIndeterminate}},
		{"active, past its curfew", func(s *stage) { s.granted(s.ask(worker(1))) },
			10*time.Minute - 1, 10 * time.Minute, lease.Revoked, lease.CauseCurfew, []audit.Event{audit.LeaseEnding, audit.LeaseEnded}},
		{"active, past GitHub's hour", func(s *stage) { s.granted(s.ask(worker(1))) },
			10*time.Minute - 1, 2 * time.Hour, lease.Expired, lease.CauseCurfew, []audit.Event{audit.LeaseEnding, audit.LeaseEnded}},
		{"ending, and whoever ended it died", func(s *stage) {
			l := s.granted(s.ask(worker(1))).Lease
			s.must(s.ledger.Ledger.Move(s.ctx, lease.Active, l.End(lease.CausePost, noon), audit.Record{Event: audit.LeaseEnding}))
		}, 10*time.Second - 1, 10 * time.Second, lease.Revoked, lease.CausePost, []audit.Event{audit.LeaseEnded}},
		{"indeterminate, after GitHub's hour", func(s *stage) {
			s.github.mintErr = problem.New(problem.MintIndeterminate, "lost")
			s.refused(s.ask(worker(1)), problem.MintIndeterminate)
		}, time.Hour + time.Minute - 1, time.Hour + time.Minute, lease.Expired, lease.CauseGitHub, []audit.Event{audit.LeaseEnded}},
	} {
		s := newStage(t)
		row.arrange(s)
		from, id := len(s.ledger.taken()), s.ledger.taken()[0].Lease
		s.now = noon.Add(row.early)
		s.sweep()
		s.recorded(from)
		s.now = noon.Add(row.due)
		s.sweep()
		s.is(id, row.want, row.cause)
		s.recorded(from, row.events...)
		s.now = noon.Add(3 * time.Hour)
		s.sweep()
		if row.want.Terminal() {
			s.recorded(from, row.events...) // I8: terminal is absorbing
		}
	}
}

func TestASweepCountsAndTakesAll(t *testing.T) {
	s := newStage(t)
	const leases = 40 // more than are settled side by side
	for n := range leases {
		s.granted(s.ask(worker(n)))
	}
	s.wait(10 * time.Minute)
	if n, err := s.hall.Sweep(s.ctx); n != leases || err != nil {
		t.Errorf("swept %d (%v), want %d", n, err, leases)
	}
	if s.github.living() != 0 {
		t.Errorf("%d tokens are alive", s.github.living())
	}
}

func TestASweepGoesOnAfterALeaseThatCantBeMoved(t *testing.T) {
	s := newStage(t)
	first, second := s.granted(s.ask(worker(1))).Lease.ID, s.granted(s.ask(worker(2))).Lease.ID
	s.wait(10 * time.Minute)
	s.ledger.before = func(_ string, r audit.Record) error {
		if r.Lease == first {
			return problem.New(problem.StoreUnavailable, "no")
		}
		return nil
	}
	s.sweep()
	s.is(first, lease.Active, "")
	s.is(second, lease.Revoked, lease.CauseCurfew)
	if s.github.living() != 0 {
		t.Error("a token outlives its curfew because its end can't be recorded")
	}
	if !strings.Contains(s.log.String(), first) {
		t.Error("the log says nothing of it")
	}
}

func TestTwoSweepsEndALeaseOnce(t *testing.T) {
	s := newStage(t)
	id := s.granted(s.ask(worker(1))).Lease.ID
	s.wait(10 * time.Minute)
	s.github.onRevoke = func(string) (int, error) { s.sweep(); return 0, nil }
	s.sweep()
	s.is(id, lease.Revoked, lease.CauseCurfew)
	s.recorded(0, audit.LeaseIntent, audit.LeaseIssued, audit.LeaseEnding, audit.LeaseEnded)
	if s.github.revokes != 1 {
		t.Errorf("%d deletions, want 1", s.github.revokes)
	}
}

// In a bubble of its own the hall runs by the clock: a curfew is kept within seconds, also
// while GitHub lets the ends of other tokens hang.
func TestTheHallKeepsCurfews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.now = time.Time{} // the bubble's clock
		const hanging = 20
		release := make(chan struct{})
		s.github.onRevoke = func(token string) (int, error) {
			if token > fmt.Sprintf("ghs_canary%06d", hanging) {
				return 0, nil
			}
			select {
			case <-release:
				return 0, nil
			case <-time.After(15 * time.Second): // as githubapp gives up
				return 0, outage
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { s.hall.Run(ctx); close(stopped) }()
		for n := range hanging {
			r := s.ask(worker(n))
			r.Ask.Duration = 5 * time.Second
			s.granted(r)
		}
		r := s.ask(worker(99))
		r.Ask = policy.Request{Grant: "release", Duration: 8 * time.Second}
		kept := s.granted(r)
		<-time.After(7 * time.Second)
		s.is(kept.Lease.ID, lease.Active, "")
		<-time.After(3 * time.Second)
		s.is(kept.Lease.ID, lease.Revoked, lease.CauseCurfew)
		close(release)
		<-time.After(time.Minute)
		if n := s.github.living(); n != 0 {
			t.Errorf("%d tokens are alive a minute after GitHub came back", n)
		}
		stop()
		<-stopped
	})
}
