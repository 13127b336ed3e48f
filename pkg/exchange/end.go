package exchange

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// EndByToken ends the lease that a revocation handle or an access token
// belongs to. What is unknown or over is fine (RFC 7009 section 2.2); an error
// means that the end could not be recorded.
func (h *Hall) EndByToken(ctx context.Context, presented secret.Text, correlation string) error {
	l, err := h.ledger.ByDigest(ctx, presented.Digest())
	if problem.Is(err, problem.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return h.end(context.WithoutCancel(ctx), l, lease.CausePost, correlation)
}

// EndJob ends every lease of the job that an OIDC token belongs to and returns
// how many. The token is checked and not used up. A job without check_run_id
// can't be told apart from others of its attempt and is refused.
func (h *Hall) EndJob(ctx context.Context, token secret.Text, correlation string) (int, error) {
	w, err := h.verifier.Verify(ctx, token.Reveal())
	if err != nil {
		return 0, err
	}
	if w.CheckRunID == 0 {
		return 0, problem.New(problem.BadClaims, "the token has no check_run_id, so its job can't be told apart from others").
			WithHint("end leases by their revocation handle")
	}
	if !h.rules.Serves(w.Issuer, w.RepositoryOwnerID) {
		return 0, problem.New(problem.OwnerNotServed, "this server does not serve the owner of this repository")
	}
	h.over.mark(w.Job(), h.now())
	leases, err := h.ledger.ByJob(ctx, w.Job())
	if err != nil {
		return 0, err
	}
	ended, failed := 0, error(nil)
	for _, l := range leases {
		if l.State != lease.Active {
			continue
		}
		if err := h.end(context.WithoutCancel(ctx), l, lease.CauseJobEnded, correlation); err != nil {
			failed = errors.Join(failed, err) // the other tokens must die all the same
			continue
		}
		ended++
	}
	return ended, failed
}

// Withdraw ends a lease whose token could not be delivered.
func (h *Hall) Withdraw(ctx context.Context, l lease.Lease, correlation string) error {
	return h.end(context.WithoutCancel(ctx), l, lease.CauseClientGone, correlation)
}

// end makes the ending of an active lease durable and tries at once to prove
// it. A lease that is no longer active is somebody else's to end, and fine. If
// the ending can't be recorded the token is revoked all the same.
func (h *Hall) end(ctx context.Context, l lease.Lease, cause lease.Cause, correlation string) error {
	if l.State != lease.Active {
		return nil
	}
	l = l.End(cause, h.now())
	err := h.ledger.Move(ctx, lease.Active, l, endingRecord(l, correlation, h.now()))
	if errors.Is(err, lease.ErrMoved) {
		return nil
	}
	failpoint("ending")
	h.settle(ctx, l)
	return err
}

// settle tries once to bring an ending lease to a proven end: revoked after a
// 204 and a 401, gone after two 401 that are far enough apart, expired when
// GitHub's hour is over. Failing that the lease is due again later.
func (h *Hall) settle(ctx context.Context, l lease.Lease) {
	now := h.now()
	if l.TokenExpired(now) {
		h.finish(ctx, l.Over(lease.Expired, now), proof{})
		return
	}
	token, err := h.sealer.Open(l.ID, l.Sealed)
	if err != nil {
		h.log.Error("a sealed token does not open; it lives until GitHub ends it", "lease_id", l.ID, "error", err)
		h.postpone(ctx, l, l.DeadBy().Sub(now))
		return
	}
	p, err := h.kill(ctx, &l, token)
	if err != nil {
		h.log.Warn("a token is not yet proven dead", "lease_id", l.ID, "attempt", l.Attempts+1, "error", err)
	}
	failpoint("probed")
	switch dead := p.probe == statusDead; {
	case dead && !l.DeletedAt.IsZero():
		h.finish(ctx, l.Over(lease.Revoked, h.now()), p)
	case dead && l.ProvenGone(now):
		h.finish(ctx, l.Over(lease.Gone, h.now()), p)
	case dead:
		l.Dead401At = firstOf(l.Dead401At, now)
		h.postpone(ctx, l, l.GoneCheck(now).Sub(now))
	default:
		l.Dead401At = time.Time{}
		h.postpone(ctx, l, max(l.Backoff(), problem.From(err).After()))
	}
}

// What GitHub answers to a token that it has just deleted, and to a dead one.
const (
	statusDeleted = 204
	statusDead    = 401
)

// A proof is what GitHub answered about a token.
type proof struct{ revoke, probe int }

// kill deletes a token unless GitHub has already said 204, and probes it.
func (h *Hall) kill(ctx context.Context, l *lease.Lease, token secret.Text) (p proof, err error) {
	if l.DeletedAt.IsZero() || h.now().Sub(l.DeletedAt) > deleteAgain {
		if p.revoke, err = h.minter.Revoke(ctx, token); err != nil {
			return p, err
		}
		if p.revoke == statusDeleted {
			l.DeletedAt = h.now()
		}
		failpoint("revoked")
	}
	p.probe, err = h.minter.Probe(ctx, token)
	return p, err
}

// deleteAgain is how long a deleted token may go on working before GitHub is asked again.
const deleteAgain = time.Minute

func (h *Hall) finish(ctx context.Context, l lease.Lease, p proof) {
	err := h.ledger.Move(ctx, lease.Ending, l, endedRecord(l, p))
	if err != nil && !errors.Is(err, lease.ErrMoved) {
		h.log.Error("a proven end could not be recorded; the sweep will", "lease_id", l.ID, "state", l.State, "error", err)
		return
	}
	failpoint("ended")
	h.log.Info("lease ended", "lease_id", l.ID, "state", l.State, "cause", l.Cause, "revoke_status", p.revoke, "probe_status", p.probe)
}

// postpone makes the lease due again after a while, and at the latest when GitHub itself has ended the token.
func (h *Hall) postpone(ctx context.Context, l lease.Lease, wait time.Duration) {
	l.Attempts++
	l.NextAt = h.now().Add(wait)
	if last := l.DeadBy(); l.NextAt.After(last) {
		l.NextAt = last
	}
	if err := h.ledger.Postpone(ctx, l); err != nil && !errors.Is(err, lease.ErrMoved) {
		h.log.Error("a lease could not be postponed; its claim will run out", "lease_id", l.ID, "error", err)
	}
}

func firstOf(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// endedJobs remembers for a while which jobs have ended their leases, so that
// a token which is being minted meanwhile does not slip out.
type endedJobs struct {
	mu sync.Mutex
	at map[identity.Job]time.Time
}

// forgetJobs is longer than any exchange takes.
const forgetJobs = 5 * time.Minute

func (e *endedJobs) mark(j identity.Job, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at == nil {
		e.at = map[identity.Job]time.Time{}
	}
	for other, at := range e.at {
		if now.Sub(at) > forgetJobs {
			delete(e.at, other)
		}
	}
	e.at[j] = now
}

func (e *endedJobs) since(j identity.Job) (time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ended := e.at[j]
	return at, ended
}
