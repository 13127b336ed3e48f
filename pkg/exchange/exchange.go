// Package exchange is the hall that a token's life passes through: Exchange
// opens a lease, End closes it, Sweep closes those whose time is up.
//
// It speaks the words of the domain only. What it needs of the world (a
// verifier, the rules in force, a ledger, a minter) it declares as small
// interfaces and is given; it knows nothing of HTTP, SQL or the environment.
package exchange

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// A Verifier says who asks.
type Verifier interface {
	// Verify checks an OIDC token in all but whether it was used before.
	Verify(ctx context.Context, raw string) (identity.Workload, error)
}

// Rules say which policies are in force.
type Rules interface {
	// Serves tells, from memory alone, whether an owner's workloads may ask at all.
	Serves(issuer string, ownerID int64) bool
	// Rules gathers the policies in force for a target.
	Rules(ctx context.Context, issuer string, t policy.Target) (*policy.Set, error)
}

// A Minter makes GitHub's tokens and ends them.
type Minter interface {
	// Mint asks GitHub once for a token of just that scope, and returns it with
	// what GitHub says it can do. [problem.MintIndeterminate] means that there may
	// be a token nobody knows; any other refusal that there is none.
	Mint(ctx context.Context, want scope.Scope) (secret.Text, scope.Granted, error)
	// Revoke asks GitHub once to delete a token: 204, or 401 if it was dead already.
	Revoke(ctx context.Context, token secret.Text) (status int, err error)
	// Probe asks GitHub once whether a token works: 200, or 401 if it is dead.
	Probe(ctx context.Context, token secret.Text) (status int, err error)
}

// Hall carries out exchanges and endings. Make it with [New].
type Hall struct {
	verifier Verifier
	rules    Rules
	ledger   Ledger
	minter   Minter
	sealer   *secret.Sealer
	now      func() time.Time
	log      *slog.Logger

	over       endedJobs
	unrecorded graveyard
	detached   sync.WaitGroup
}

// Parts are what a [Hall] is made of; all are required.
type Parts struct {
	Verifier Verifier
	Rules    Rules
	Ledger   Ledger
	Minter   Minter
	Sealer   *secret.Sealer
	Now      func() time.Time
	Log      *slog.Logger
}

// New makes a hall.
func New(p Parts) *Hall {
	return &Hall{
		verifier: p.Verifier, rules: p.Rules, ledger: p.Ledger, minter: p.Minter,
		sealer: p.Sealer, now: p.Now, log: p.Log,
	}
}

// A Request asks for one elevation.
type Request struct {
	Token  secret.Text    // the OIDC token
	Target policy.Target  // without repositories: the workload's own
	Ask    policy.Request // what is wanted there
	// Context is what the client says of its surroundings. Like the reason it is
	// recorded, and never decided on.
	Context string
	DryRun  bool
	// IdempotencyKey and Digest, the digest of the request without its token, make a repetition known; both or none.
	IdempotencyKey string
	Digest         string
	// Correlation and SourceIP are for the record.
	Correlation string
	SourceIP    string
}

// An Issued is a granted elevation: the only place where a token is in the clear.
type Issued struct {
	Decision policy.Decision
	Lease    lease.Lease
	Token    secret.Text
	Handle   secret.Text // ends the lease and can do nothing else
}

// Exchange turns an OIDC token into a GitHub token. The refusal is a
// [problem.Problem]. A dry run decides and issues nothing: no token, no lease.
//
// From the intent on nothing stops it half-way: if ctx ends, the flow goes on
// to a lease that is ended at once.
func (h *Hall) Exchange(ctx context.Context, r Request) (*Issued, error) {
	w, err := h.verifier.Verify(ctx, r.Token.Reveal())
	if err != nil {
		return nil, err
	}
	failpoint("verified")
	c := newHearing(r, w)
	if err := h.decide(ctx, c); err != nil {
		return nil, h.deny(ctx, c, err)
	}
	failpoint("decided")
	if r.DryRun {
		return h.dryRun(ctx, c)
	}

	h.detached.Add(1)
	defer h.detached.Done()
	detached := context.WithoutCancel(ctx)
	l, err := h.intend(detached, c)
	if err != nil {
		return nil, err
	}
	failpoint("intended")
	token, granted, err := h.minter.Mint(detached, c.decision.Scope)
	failpoint("minted")
	if err != nil {
		return nil, h.unminted(detached, c, l, err)
	}
	l = l.Minted(granted, c.decision.Curfew, h.now())
	if err := compare(c.decision.Scope, granted, h.now()); err != nil {
		return nil, h.abandon(detached, c, l, token, lease.CauseTooWide, err)
	}
	failpoint("compared")
	issued, err := h.issue(detached, c, l, token)
	if err != nil {
		return nil, h.abandon(detached, c, l, token, lease.CauseUnrecorded, err)
	}
	failpoint("issued")
	if err := h.stillWanted(ctx, c, issued.Lease); err != nil {
		return nil, err
	}
	return issued, nil
}

// Wait blocks until every exchange that has passed its intent is done with.
func (h *Hall) Wait() { h.detached.Wait() }

const handlePrefix = "curfew_revoke_"

// newHandle makes a revocation handle: 256 random bits under a prefix that says what it is.
func newHandle() secret.Text {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return secret.New(handlePrefix + base64.RawURLEncoding.EncodeToString(b[:]))
}
