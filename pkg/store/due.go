package store

import (
	"context"
	"slices"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
)

const dueQuery = `UPDATE leases SET claimed_until = ? WHERE id IN
	(SELECT id FROM leases WHERE next_at <= ? AND claimed_until <= ? ORDER BY next_at LIMIT ?)
	RETURNING ` + leaseColumns

// Due claims for the given time up to limit leases that are due at now, are not
// terminal and that nobody else has claimed; earliest first. A claim lasts until
// [Store.Postpone], the lease's end, or its time is over.
func (s *Store) Due(ctx context.Context, now time.Time, claim time.Duration, limit int) ([]lease.Lease, error) {
	var claimed []lease.Lease
	err := s.write(ctx, func(t *transaction) (err error) {
		claimed, err = t.leases(dueQuery, nanos(now.Add(claim)), nanos(now), nanos(now), limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(claimed, func(a, b lease.Lease) int { return a.NextAt.Compare(b.NextAt) })
	return claimed, nil
}

const (
	claimsQuery = `UPDATE leases SET claimed_until = 0 WHERE next_at IS NOT NULL AND claimed_until <> 0`
	// An ending that was never tried waits for the process that began it.
	orphansQuery = `UPDATE leases SET next_at = ? WHERE next_at > ? AND state = 'ending' AND attempts = 0`
	pendingQuery = `SELECT ` + leaseColumns + ` FROM leases WHERE next_at IS NOT NULL AND state = 'pending' LIMIT ?`
)

// recoverLength is how many leases Recover moves in one transaction.
const recoverLength = 256

// Recover is for the start, before anything is exchanged: every lease that is
// still pending becomes indeterminate, each with its audit record, because the
// answer of GitHub was lost with the process that waited for it. Claims of that process are void, and
// endings that it began and did not carry out are due at once. It returns how many were pending.
func (s *Store) Recover(ctx context.Context, now time.Time) (int, error) {
	err := s.write(ctx, func(t *transaction) error {
		if _, err := t.exec(claimsQuery); err != nil {
			return err
		}
		_, err := t.exec(orphansQuery, nanos(now), nanos(now))
		return err
	})
	if err != nil {
		return 0, err
	}
	for total := 0; ; {
		var moved int
		err := s.write(ctx, func(t *transaction) (err error) {
			moved, err = t.loseAnswers(now)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += moved; moved < recoverLength {
			return total, nil
		}
	}
}

func (t *transaction) loseAnswers(now time.Time) (int, error) {
	pending, err := t.leases(pendingQuery, recoverLength)
	if err != nil {
		return 0, err
	}
	for _, l := range pending {
		l = l.Lost()
		m, err := newMove(lease.Pending, l, audit.Record{
			Time: now, Event: audit.LeaseIndeterminate, Lease: l.ID, Job: &l.Job, Grant: l.Grant, Allowed: &l.Scope,
			State: string(l.State), Cause: string(l.Cause),
		})
		if err != nil {
			return 0, err
		}
		if err := m.apply(t); err != nil {
			return 0, err
		}
	}
	return len(pending), nil
}
