package store

import (
	"context"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// Move records that a lease has left the state from; l is the lease as it is
// now, in a state that from can move to. [lease.ErrMoved] if it is no longer in
// from. The sealed token of a lease that has become terminal is wiped (the
// ciphertext leaves the write-ahead log when that is next overwritten or the store
// closes), and its NextAt forgotten. Token and handle digests are taken when a
// lease leaves pending and kept from then on.
func (s *Store) Move(ctx context.Context, from lease.State, l lease.Lease, r audit.Record) error {
	m, err := newMove(from, l, r)
	if err != nil {
		return err
	}
	return s.write(ctx, m.apply)
}

// A move is one checked move with its audit record, ready for the writer's turn.
type move struct {
	from         lease.State
	lease        lease.Lease
	repositories string
	entry        entry
}

func newMove(from lease.State, l lease.Lease, r audit.Record) (move, error) {
	if err := from.Move(l.State); err != nil {
		return move{}, err
	}
	if l.State.Terminal() {
		l.Sealed = nil
	}
	e, err := newEntry(r)
	if err != nil {
		return move{}, err
	}
	repositories, err := encodeRepositories(l.Scope.Repositories)
	return move{from, l, repositories, e}, err
}

func (m move) apply(t *transaction) error {
	update := m.advance
	if m.from == lease.Pending {
		update = m.settle
	}
	changed, err := update(t)
	if err != nil {
		return err
	}
	if changed != 1 {
		return lease.ErrMoved
	}
	t.tally.add(m.from, -1)
	t.tally.add(m.lease.State, 1)
	return t.append(m.entry)
}

// settle writes what GitHub's answer to the mint decided.
func (m move) settle(t *transaction) (int64, error) {
	l := m.lease
	return t.exec(`UPDATE leases SET state = ?, owner = ?, owner_id = ?, repositories = ?, permissions = ?,
		issued_at = ?, expires_at = ?, token_expires_at = ?, ended_at = ?, sealed = ?, token_digest = ?, handle_digest = ?,
		cause = ?, attempts = ?, next_at = ?, deleted_at = ?, dead401_at = ? WHERE id = ? AND state = ?`,
		string(l.State), l.Scope.Owner, l.Scope.OwnerID, m.repositories, l.Scope.Permissions.String(),
		nanos(l.IssuedAt), nanos(l.ExpiresAt), nanos(l.TokenExpiresAt), nanos(l.EndedAt), l.Sealed, digest(l.TokenDigest), digest(l.HandleDigest),
		string(l.Cause), l.Attempts, due(l), nanos(l.DeletedAt), nanos(l.Dead401At), l.ID, string(m.from))
}

// advance writes what the way to the end decides. It leaves the digests and their indexes alone.
func (m move) advance(t *transaction) (int64, error) {
	l := m.lease
	return t.exec(`UPDATE leases SET state = ?, expires_at = ?, token_expires_at = ?, ended_at = ?, sealed = ?,
		cause = ?, attempts = ?, next_at = ?, deleted_at = ?, dead401_at = ? WHERE id = ? AND state = ?`,
		string(l.State), nanos(l.ExpiresAt), nanos(l.TokenExpiresAt), nanos(l.EndedAt), l.Sealed,
		string(l.Cause), l.Attempts, due(l), nanos(l.DeletedAt), nanos(l.Dead401At), l.ID, string(m.from))
}

// Postpone stores Attempts, NextAt, DeletedAt and Dead401At of a lease that
// stays in its state, and gives up the claim on it. [lease.ErrMoved] if its state is another.
func (s *Store) Postpone(ctx context.Context, l lease.Lease) error {
	if l.State.Terminal() {
		return problem.New(problem.Internal, "a lease that is %s can't be postponed", l.State)
	}
	return s.write(ctx, func(t *transaction) error {
		changed, err := t.exec(`UPDATE leases SET attempts = ?, next_at = ?, deleted_at = ?, dead401_at = ?, claimed_until = 0 WHERE id = ? AND state = ?`,
			l.Attempts, due(l), nanos(l.DeletedAt), nanos(l.Dead401At), l.ID, string(l.State))
		if err == nil && changed != 1 {
			return lease.ErrMoved
		}
		return err
	})
}

// Record appends an event that concerns no lease.
func (s *Store) Record(ctx context.Context, r audit.Record) error {
	e, err := newEntry(r)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *transaction) error { return t.append(e) })
}
