package exchange_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// Due is a write too: it claims.
func (l *ledger) Due(ctx context.Context, now time.Time, claim time.Duration, limit int) (due []lease.Lease, err error) {
	err = l.write("due", audit.Record{}, func() error {
		due, err = l.Ledger.Due(ctx, now, claim, limit)
		return err
	})
	return due, err
}

// readOnly makes every write fail.
func (l *ledger) readOnly() {
	l.before = func(string, audit.Record) error {
		return problem.New(problem.StoreUnavailable, "the disk is full")
	}
}

func TestTokensDieAtTheirCurfewWhileTheLedgerCantBeWritten(t *testing.T) {
	const leases = 40
	s := newStage(t)
	var ids []string
	for n := range leases {
		ids = append(ids, s.granted(s.ask(worker(n))).Lease.ID)
	}
	s.ledger.readOnly()
	var asked atomic.Int64
	s.github.onRevoke = func(string) (int, error) {
		if asked.Add(1) == 1 {
			return 502, problem.New(problem.GitHubError, "GitHub answers 502")
		}
		return 0, nil
	}
	for _, step := range []struct {
		when   string
		wait   time.Duration
		living int
		asked  int // revocations that GitHub has carried out by then
	}{
		{"just before the curfew", 10*time.Minute - 1, leases, 0},
		{"at the curfew; GitHub fails once", 1, 1, leases - 1},
		{"a second later", time.Second, 0, leases},
		{"and nobody asks again for what is dead", time.Second, 0, leases},
	} {
		s.wait(step.wait)
		if _, err := s.hall.Sweep(s.ctx); !problem.Is(err, problem.StoreUnavailable) {
			t.Errorf("%s: the sweep says %v", step.when, err)
		}
		if living := s.github.living(); living != step.living || s.github.revokes != step.asked {
			t.Errorf("%s: %d tokens are alive after %d revocations, want %d after %d", step.when, living, s.github.revokes, step.living, step.asked)
		}
	}
	s.ledger.before = nil
	s.sweep()
	s.wait(10 * time.Second)
	s.sweep()
	for _, id := range ids {
		s.is(id, lease.Gone, lease.CauseCurfew)
	}
	s.silent()
}
