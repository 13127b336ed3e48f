package exchange_test

import (
	"testing"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/secret"
)

func TestJobsEndEndsTheLeasesOfThatJob(t *testing.T) {
	s := newStage(t)
	one, again, other := s.granted(s.ask(worker(1))), s.granted(s.ask(worker(1))), s.granted(s.ask(worker(2)))
	token := s.token(worker(1))
	for _, want := range []int{2, 0} { // the token is checked and not used up
		if n, err := s.hall.EndJob(s.ctx, token, "c-2"); err != nil || n != want {
			t.Errorf("ended %d (%v), want %d", n, err, want)
		}
	}
	s.is(one.Lease.ID, lease.Revoked, lease.CauseJobEnded)
	s.is(again.Lease.ID, lease.Revoked, lease.CauseJobEnded)
	s.is(other.Lease.ID, lease.Active, "")
}

func TestWhoMayEndAJob(t *testing.T) {
	s := newStage(t)
	issued := s.granted(s.ask(worker(1)))
	blind, unserved := worker(1), worker(1)
	blind.CheckRunID = 0
	unserved.RepositoryOwnerID = 6666
	for name, row := range map[string]struct {
		token secret.Text
		want  problem.Code
	}{
		"a token that nobody signed":      {secret.New("forged"), problem.BadSignature},
		"a token without check_run_id":    {s.token(blind), problem.BadClaims},
		"a workload that nobody serves":   {s.token(unserved), problem.OwnerNotServed},
		"a job of another attempt is met": {s.token(otherAttempt(1)), ""},
	} {
		n, err := s.hall.EndJob(s.ctx, row.token, "c-2")
		if n != 0 || row.want != "" && !problem.Is(err, row.want) || row.want == "" && err != nil {
			t.Errorf("%s: ended %d, %v", name, n, err)
		}
	}
	s.is(issued.Lease.ID, lease.Active, "")
}

func TestJobsEndGoesOnAfterALeaseThatCantBeRecorded(t *testing.T) {
	s := newStage(t)
	s.granted(s.ask(worker(1)))
	s.granted(s.ask(worker(1)))
	s.ledger.broken(audit.LeaseEnding)
	if _, err := s.hall.EndJob(s.ctx, s.token(worker(1)), "c-2"); !problem.Is(err, problem.StoreUnavailable) {
		t.Errorf("got %v, want store_unavailable", err)
	}
	if n := s.github.living(); n != 0 {
		t.Errorf("%d tokens are alive", n)
	}
}

func TestNoTokenLeavesOnceItsJobHasEnded(t *testing.T) {
	endJob := func(s *stage) {
		s.Helper()
		if _, err := s.hall.EndJob(s.ctx, s.token(worker(1)), "c-2"); err != nil {
			s.Errorf("end: %v", err)
		}
	}
	for when, row := range map[string]struct {
		arrange func(*stage)
		events  []audit.Event
	}{
		"while GitHub mints": {func(s *stage) { s.github.minting = func() { endJob(s) } },
			[]audit.Event{audit.LeaseIntent, audit.LeaseEnding, audit.LeaseEnded}}, // it was never issued
		"as the issue is being recorded": {func(s *stage) {
			s.ledger.before = func(_ string, r audit.Record) error {
				if r.Event == audit.LeaseIssued {
					endJob(s)
				}
				return nil
			}
		}, []audit.Event{audit.LeaseIntent, audit.LeaseIssued, audit.LeaseEnding, audit.LeaseEnded}},
	} {
		s := newStage(t)
		row.arrange(s)
		issued, err := s.hall.Exchange(s.ctx, s.ask(worker(1)))
		s.recorded(0, row.events...)
		if issued != nil || !problem.Is(err, problem.JobOver) {
			t.Errorf("%s: got %v, want job_over", when, err)
		}
		if s.github.living() != 0 || s.github.mints != 1 {
			t.Errorf("%s: %d of %d tokens are alive", when, s.github.living(), s.github.mints)
		}
		last := s.ledger.taken()[len(s.ledger.taken())-1]
		s.is(last.Lease, lease.Revoked, lease.CauseJobEnded)
	}
	s := newStage(t)
	s.github.minting = func() {
		if _, err := s.hall.EndJob(s.ctx, s.token(worker(2)), "c-2"); err != nil {
			t.Error(err)
		}
	}
	s.granted(s.ask(worker(1))) // another job's end is nothing to this one
	s.github.minting = nil
	s.wait(1)
	s.granted(s.ask(worker(2))) // and a job may ask again after it gave all back
}

func otherAttempt(n int) identity.Workload {
	w := worker(n)
	w.RunAttempt++
	return w
}
