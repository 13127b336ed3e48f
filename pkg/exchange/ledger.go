package exchange

import (
	"context"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
)

// A Ledger is the durable memory: leases, used token ids and the audit log.
// Each method is one transaction and returns only when its effect will survive
// a crash. What can't be written is [problem.StoreUnavailable].
type Ledger interface {
	// Intend records an intent before GitHub is asked to mint: the pending
	// lease, the audit record and the used ticket. It writes nothing and returns
	//   - [problem.Replayed] if the ticket was used before,
	//   - a [*lease.Repeated] if the job's idempotency key belongs to a lease of the
	//     last ten minutes that is pending or active, or that was asked for otherwise,
	//   - [problem.JobQuota] if the job already opened quota leases of this grant that
	//     were not refused.
	Intend(ctx context.Context, t lease.Ticket, l lease.Lease, quota int, r audit.Record) error
	// Deny records a denial and uses up the ticket; [problem.Replayed] as Intend.
	Deny(ctx context.Context, t lease.Ticket, r audit.Record) error
	// Move records that a lease has left the state from; l is the lease as it is
	// now, in a state that from can move to. [lease.ErrMoved] if it is no longer in from.
	Move(ctx context.Context, from lease.State, l lease.Lease, r audit.Record) error
	// Postpone stores Attempts, NextAt, DeletedAt and Dead401At of a lease that
	// stays in its state, and gives up the claim on it. [lease.ErrMoved] if its state is another.
	Postpone(ctx context.Context, l lease.Lease) error
	// Due claims for the given time up to limit leases that are due at now, are
	// not terminal and that nobody else has claimed; earliest first.
	Due(ctx context.Context, now time.Time, claim time.Duration, limit int) ([]lease.Lease, error)
	// Overdue lists up to limit active and ending leases that are due at now,
	// claimed or not, earliest first. It only reads.
	Overdue(ctx context.Context, now time.Time, limit int) ([]lease.Lease, error)
	// Record appends an event that concerns no lease.
	Record(ctx context.Context, r audit.Record) error

	// Lease finds one by id; [problem.NotFound] if there is none.
	Lease(ctx context.Context, id string) (lease.Lease, error)
	// ByDigest finds the lease whose token or handle has this SHA-256; [problem.NotFound] if there is none.
	ByDigest(ctx context.Context, digest [32]byte) (lease.Lease, error)
	// ByJob lists the leases of one job that are not terminal.
	ByJob(ctx context.Context, j identity.Job) ([]lease.Lease, error)
}
