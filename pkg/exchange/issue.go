package exchange

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// longestToken is how long a token of GitHub may live, with some clock skew.
// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
const longestToken = time.Hour + 5*time.Minute

// compare holds GitHub's answer against what was decided. GitHub adds
// metadata:read to every token; anything else beyond the decision, other
// repositories, or a longer life is refused. A repository must have kept its
// name too: what policy says of a name is not meant for one that was renamed.
func compare(want scope.Scope, got scope.Granted, now time.Time) error {
	allowed := want
	allowed.Permissions = maps.Clone(want.Permissions)
	allowed.Permissions["metadata"] = max(allowed.Permissions["metadata"], scope.Read)
	if got.Within(allowed) && sameNames(want.Repositories, got.Repositories) && plausibleEnd(got.ExpiresAt, now) {
		return nil
	}
	return problem.New(problem.AnswerTooWide, "GitHub's token could do more than was decided; it was revoked at once")
}

// plausibleEnd tells whether a token minted now can end then: not yet, and within GitHub's hour.
func plausibleEnd(end, now time.Time) bool {
	return end.After(now) && !end.After(now.Add(longestToken))
}

// sameNames tells whether each repository of got is called as in want, case aside.
func sameNames(want, got []scope.Repository) bool {
	names := make(map[int64]string, len(want))
	for _, r := range want {
		names[r.ID] = r.Name
	}
	for _, r := range got {
		if !strings.EqualFold(names[r.ID], r.Name) {
			return false
		}
	}
	return true
}

// issue seals the token into the lease and makes the issued record durable.
// Only after that may the token leave.
func (h *Hall) issue(ctx context.Context, c *hearing, l lease.Lease, token secret.Text) (*Issued, error) {
	if over := h.jobOver(l); over != nil {
		return nil, over
	}
	handle := newHandle()
	l.State = lease.Active
	l.Sealed = h.sealer.Seal(l.ID, token)
	l.TokenDigest, l.HandleDigest = token.Digest(), handle.Digest()
	l.NextAt = l.ExpiresAt
	if err := h.ledger.Move(ctx, lease.Pending, l, c.issuedRecord(l, token)); err != nil {
		return nil, err
	}
	h.log.Info("lease issued", "correlation_id", c.Correlation, "lease_id", l.ID, "grant", l.Grant,
		"scope", l.Scope.String(), "expires_at", l.ExpiresAt)
	return &Issued{Decision: c.decision, Lease: l, Token: token, Handle: handle}, nil
}

// unminted settles a lease for which no token came back. Only a refusal proves
// that there is none; after any other failure there may be one.
func (h *Hall) unminted(ctx context.Context, c *hearing, l lease.Lease, cause error) error {
	p := problem.From(cause)
	if problem.Is(cause, problem.MintIndeterminate) || !errors.As(cause, new(*problem.Problem)) {
		l = l.Lost()
	} else {
		l = l.Refuse(h.now())
	}
	if err := h.ledger.Move(ctx, lease.Pending, l, c.unmintedRecord(l, p, h.now())); err != nil {
		h.log.Error("a lease without token could not be settled; the sweep will", "lease_id", l.ID, "error", err)
	}
	h.log.Warn("no token minted", "correlation_id", c.Correlation, "lease_id", l.ID, "state", l.State, "error", cause)
	return c.visible(p)
}

// abandon ends a lease whose token exists and must not be handed out. The
// token is revoked from memory even if the ledger can't be written.
func (h *Hall) abandon(ctx context.Context, c *hearing, l lease.Lease, token secret.Text, cause lease.Cause, why error) error {
	p := problem.From(why)
	if p.Code == problem.JobOver {
		cause = lease.CauseJobEnded
	}
	if !plausibleEnd(l.TokenExpiresAt, l.IssuedAt) {
		l.TokenExpiresAt = l.IssuedAt.Add(longestToken) // or the token would count as expired, and live
	}
	l.Sealed = h.sealer.Seal(l.ID, token)
	l.TokenDigest = token.Digest()
	l = l.End(cause, h.now())
	h.log.Error("a token is revoked before it leaves", "correlation_id", c.Correlation, "lease_id", l.ID, "cause", l.Cause, "error", why)
	if err := h.ledger.Move(ctx, lease.Pending, l, c.abandonedRecord(l, p, token, h.now())); err != nil {
		h.log.Error("an abandoned lease could not be recorded; its token is revoked all the same", "lease_id", l.ID, "error", err)
	}
	h.settle(ctx, l)
	return c.visible(p)
}

// stillWanted ends a fresh lease if its job said meanwhile that it is over, or
// if nobody waits for it any more. The job is asked about again because its end
// does not see a lease that is only being issued.
func (h *Hall) stillWanted(ctx context.Context, c *hearing, l lease.Lease) error {
	why, cause := h.jobOver(l), lease.CauseJobEnded
	if why == nil && ctx.Err() != nil {
		why, cause = problem.New(problem.Internal, "the client went away").WithCause(context.Cause(ctx)), lease.CauseClientGone
	}
	if why == nil {
		return nil
	}
	return errors.Join(c.visible(why), h.end(context.WithoutCancel(ctx), l, cause, c.Correlation))
}

// jobOver refuses a lease whose job has ended its leases since the intent; nil if it has not.
func (h *Hall) jobOver(l lease.Lease) *problem.Problem {
	if at, ended := h.over.since(l.Job); !ended || l.IntentAt.After(at) {
		return nil
	}
	return problem.New(problem.JobOver, "the job ended its leases while this one was being opened")
}
