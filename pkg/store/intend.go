package store

import (
	"context"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// Intend records an intent before GitHub is asked to mint: the pending lease, the
// audit record and the used ticket. It writes nothing and returns
//   - [problem.Replayed] if the ticket was used before,
//   - a [*lease.Repeated] if the job's idempotency key belongs to a lease of the
//     last ten minutes that is pending or active, or that was asked for otherwise,
//   - [problem.JobQuota] if the job already opened quota leases of this grant that
//     were not refused.
func (s *Store) Intend(ctx context.Context, ticket lease.Ticket, l lease.Lease, quota int, r audit.Record) error {
	if l.State != lease.Pending {
		return problem.New(problem.Internal, "an intent is pending, not %s", l.State)
	}
	e, err := newEntry(r)
	if err != nil {
		return err
	}
	repositories, err := encodeRepositories(l.Scope.Repositories)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *transaction) error {
		if err := t.use(ticket); err != nil {
			return err
		}
		if err := t.refuseRepeated(l); err != nil {
			return err
		}
		if err := t.refuseBeyond(quota, l); err != nil {
			return err
		}
		if err := t.insert(l, repositories); err != nil {
			return err
		}
		return t.append(e)
	})
}

// Deny records a denial and uses up the ticket; [problem.Replayed] as [Store.Intend].
func (s *Store) Deny(ctx context.Context, ticket lease.Ticket, r audit.Record) error {
	e, err := newEntry(r)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *transaction) error {
		if err := t.use(ticket); err != nil {
			return err
		}
		return t.append(e)
	})
}

// use takes a ticket that nobody has used.
func (t *transaction) use(ticket lease.Ticket) error {
	taken, err := t.exec(`INSERT INTO tickets (issuer, jti, expires) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
		ticket.Issuer, ticket.JTI, nanos(ticket.Until))
	if err != nil {
		return err
	}
	if taken != 1 {
		return problem.New(problem.Replayed, "this OIDC token was used before; each one buys one exchange")
	}
	t.tickets++
	return nil
}

const sweepQuery = `DELETE FROM tickets WHERE (issuer, jti) IN
	(SELECT issuer, jti FROM tickets WHERE expires < ? ORDER BY expires LIMIT ?)`

// sweepTickets drops tickets whose tokens are refused for their age by now, at
// most once a second: more than came in since, so that none pile up, but no more, so that no batch waits long.
func (t *transaction) sweepTickets() error {
	t.w.unswept += t.tickets
	now := t.w.now()
	if t.w.unswept == 0 || now.Sub(t.w.sweptAt) < time.Second {
		return nil
	}
	_, err := t.exec(sweepQuery, nanos(now), 2*t.w.unswept+16)
	t.w.unswept, t.w.sweptAt = 0, now
	return err
}

const keyQuery = `SELECT ` + leaseColumns + ` FROM leases
	WHERE idempotency_key = ? AND intent_at > ? AND issuer = ? AND repository_id = ? AND run_id = ? AND run_attempt = ? AND check_run_id = ?
	AND (state IN ('pending', 'active') OR request_digest <> ?)
	ORDER BY intent_at DESC LIMIT 1`

func (t *transaction) refuseRepeated(l lease.Lease) error {
	if l.IdempotencyKey == "" {
		return nil
	}
	earlier, err := t.leases(keyQuery,
		l.IdempotencyKey, nanos(l.IntentAt.Add(-lease.KeyLife)),
		l.Job.Issuer, l.Job.RepositoryID, l.Job.RunID, l.Job.RunAttempt, l.Job.CheckRunID, l.RequestDigest)
	if err != nil || len(earlier) == 0 {
		return err
	}
	return &lease.Repeated{Lease: earlier[0]}
}

const quotaQuery = `SELECT count(*) FROM leases
	WHERE run_id = ? AND check_run_id = ? AND repository_id = ? AND run_attempt = ? AND issuer = ? AND grant_name = ? AND state <> 'refused'`

func (t *transaction) refuseBeyond(quota int, l lease.Lease) error {
	var opened int
	err := t.one(quotaQuery, []any{l.Job.RunID, l.Job.CheckRunID, l.Job.RepositoryID, l.Job.RunAttempt, l.Job.Issuer, l.Grant}, &opened)
	if err != nil {
		return err
	}
	if opened >= quota {
		return problem.New(problem.JobQuota, "this job has opened %d leases of the grant %s, which is all it may", opened, l.Grant)
	}
	return nil
}

// insert adds a pending lease. What only a token brings has its column's default.
func (t *transaction) insert(l lease.Lease, repositories string) error {
	t.tally.add(l.State, 1)
	_, err := t.exec(`INSERT INTO leases (id, state, issuer, repository_id, run_id, run_attempt, check_run_id, grant_name,
		owner, owner_id, repositories, permissions, intent_at, expires_at, token_expires_at, idempotency_key, request_digest, next_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.ID, string(l.State), l.Job.Issuer, l.Job.RepositoryID, l.Job.RunID, l.Job.RunAttempt, l.Job.CheckRunID, l.Grant,
		l.Scope.Owner, l.Scope.OwnerID, repositories, l.Scope.Permissions.String(),
		nanos(l.IntentAt), nanos(l.ExpiresAt), nanos(l.TokenExpiresAt), key(l.IdempotencyKey), l.RequestDigest, due(l))
	return err
}
