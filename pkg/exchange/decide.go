package exchange

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// clockSkew is how long after its end a token's id is still remembered, so
// that no other clock can bring it back.
const clockSkew = time.Minute

// A hearing is one request on its way through the hall.
type hearing struct {
	Request
	workload identity.Workload
	ticket   lease.Ticket
	target   policy.Target
	decision policy.Decision
	// stranger is set for workloads whose owner is not served: of them nothing is recorded.
	stranger bool
	// ownerID is the target's owner, once known.
	ownerID int64
}

func newHearing(r Request, w identity.Workload) *hearing {
	c := &hearing{
		Request: r, workload: w, target: r.Target,
		ticket: lease.Ticket{Issuer: w.Issuer, JTI: w.JTI, Until: w.Expires.Add(clockSkew)},
	}
	if len(c.target.Repositories) == 0 {
		owner, name, _ := strings.Cut(w.Repository, "/")
		c.target = policy.Target{Owner: owner, Repositories: []string{name}}
	}
	return c
}

// decide fills in the decision, or refuses. Cheap checks come first: a
// stranger costs no GitHub call and no write.
func (h *Hall) decide(ctx context.Context, c *hearing) error {
	if !h.rules.Serves(c.workload.Issuer, c.workload.RepositoryOwnerID) {
		c.stranger = true
		return problem.New(problem.OwnerNotServed, "this server does not serve the owner of this repository").
			WithHint("ask the operator of this server for a policy file for owner %s (id %d)",
				c.workload.RepositoryOwner, c.workload.RepositoryOwnerID)
	}
	set, err := h.rules.Rules(ctx, c.workload.Issuer, c.target)
	if err != nil {
		return err
	}
	c.ownerID = set.Target().OwnerID
	c.decision = set.Decide(c.workload, c.Ask)
	if c.decision.Refusal != nil {
		return c.decision.Refusal
	}
	return nil
}

// deny records a denial, which uses up the OIDC token, and returns what the
// client may see of it. What is not a denial but a failure is not recorded: it
// can be tried again.
func (h *Hall) deny(ctx context.Context, c *hearing, err error) error {
	p := problem.From(err)
	if !c.stranger && !p.Code.Retryable() {
		if lost := h.ledger.Deny(context.WithoutCancel(ctx), c.ticket, c.deniedRecord(p, h.now())); lost != nil {
			return c.visible(problem.From(lost))
		}
	}
	h.log.Info("exchange denied", "correlation_id", c.Correlation, "code", p.Code, "stranger", c.stranger,
		"repository", c.workload.Repository, "run_id", c.workload.RunID, "grant", c.Ask.Grant, "error", err)
	return c.visible(p)
}

// dryRun records that a decision was asked for, which uses up the OIDC token too.
func (h *Hall) dryRun(ctx context.Context, c *hearing) (*Issued, error) {
	if err := h.ledger.Deny(ctx, c.ticket, c.dryRunRecord(h.now())); err != nil {
		return nil, c.visible(problem.From(err))
	}
	return &Issued{Decision: c.decision}, nil
}

// visible is what the workload may see of a refusal. Workloads of another owner
// see one and the same word, whatever they asked, so that nothing can be
// learnt about repositories and policies of others. What has to do with their
// own token or with this server alone they see without its hint.
func (c *hearing) visible(p *problem.Problem) *problem.Problem {
	if c.ownsTarget() {
		return p
	}
	switch p.Code {
	case problem.Replayed, problem.Pending, problem.StoreUnavailable:
		return problem.New(p.Code, "%s", p.Detail).WithRetryAfter(p.RetryAfter).WithCause(p)
	}
	return problem.New(problem.Denied, "this workload may not have what it asked for").WithCause(p)
}

// ownsTarget compares ids; while the target's id is not known yet, its name.
func (c *hearing) ownsTarget() bool {
	if c.ownerID != 0 {
		return c.ownerID == c.workload.RepositoryOwnerID
	}
	return strings.EqualFold(c.target.Owner, c.workload.RepositoryOwner)
}

// intend makes the intent durable. A repeated request ends the lease that it
// opened before, whose token may have been lost, and opens a new one.
func (h *Hall) intend(ctx context.Context, c *hearing) (lease.Lease, error) {
	now := h.now()
	l := lease.Intend(uuid.Must(uuid.NewV7()).String(), c.workload.Job(), c.decision.Grant, c.decision.Scope, c.decision.Curfew, now)
	l.IdempotencyKey, l.RequestDigest = c.IdempotencyKey, c.Digest

	err := h.ledger.Intend(ctx, c.ticket, l, c.decision.LeasesPerJob, c.intentRecord(l))
	var repeated *lease.Repeated
	if errors.As(err, &repeated) && repeated.Lease.RequestDigest == c.Digest && repeated.Lease.State == lease.Active {
		if err := h.end(ctx, repeated.Lease, lease.CauseSuperseded, c.Correlation); err != nil {
			return l, c.visible(problem.From(err))
		}
		err = h.ledger.Intend(ctx, c.ticket, l, c.decision.LeasesPerJob, c.intentRecord(l))
	}
	return l, h.unintended(ctx, c, err)
}

// unintended turns what stood in an intent's way into a refusal; nil stays nil.
func (h *Hall) unintended(ctx context.Context, c *hearing, err error) error {
	var repeated *lease.Repeated
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &repeated):
	case repeated.Lease.RequestDigest != c.Digest:
		err = problem.New(problem.IdempotencyMismatch, "the Idempotency-Key was used for another request").
			WithHint("use a new key for each request; repeat one only with the same body")
	default:
		err = problem.New(problem.Pending, "the same request is still being carried out").WithRetryAfter(time.Second)
	}
	if problem.Is(err, problem.JobQuota, problem.IdempotencyMismatch) {
		return h.deny(ctx, c, err)
	}
	return c.visible(problem.From(err))
}
