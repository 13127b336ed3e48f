// Package lease is the promise: one token's life, the states it can be in, and
// the moves between them. It holds no tokens in the clear and does no input or
// output.
package lease

import (
	"crypto/sha256"
	"time"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// A Lease is the promise that one token dies by ExpiresAt at the latest.
type Lease struct {
	ID    string // UUID version 7
	State State
	Job   identity.Job
	Grant string
	Scope scope.Scope // as decided; once active, as GitHub returned it

	IntentAt       time.Time // when the intent became durable
	IssuedAt       time.Time // zero until active
	ExpiresAt      time.Time // the curfew
	TokenExpiresAt time.Time // when GitHub itself ends the token; intent + 1 h + skew until GitHub said so
	EndedAt        time.Time // zero until terminal

	// Sealed is the token, sealed under ID; nil until issued and again once the lease is terminal.
	Sealed []byte
	// TokenDigest and HandleDigest are SHA-256; zero until there is a token.
	TokenDigest  [sha256.Size]byte
	HandleDigest [sha256.Size]byte

	// IdempotencyKey and RequestDigest bind a repeated request to this lease; empty without a key.
	IdempotencyKey string
	RequestDigest  string

	// Cause is why the lease was ended; empty before.
	Cause Cause
	// Attempts counts tries to end the token; NextAt is when the lease is due for the sweep.
	Attempts int
	NextAt   time.Time
	// DeletedAt is when GitHub last answered 204 to its deletion; zero before.
	DeletedAt time.Time
	// Dead401At is when an ending token was first seen to answer 401; zero before.
	Dead401At time.Time
}

// A Cause says what ended a lease.
type Cause string

// The causes.
const (
	CausePost       Cause = "post"          // the job's post step, or whoever held the handle
	CauseJobEnded   Cause = "job_ended"     // the workload itself said its job is over
	CauseCurfew     Cause = "curfew"        // its time was up
	CauseSuperseded Cause = "superseded"    // the same request was repeated
	CauseClientGone Cause = "client_gone"   // nobody was there to take the token
	CauseTooWide    Cause = "too_wide"      // GitHub's answer went beyond the decision
	CauseUnrecorded Cause = "unrecorded"    // the issue could not be made durable
	CauseOperator   Cause = "operator"      // an operator ended it
	CauseLocked     Cause = "locked"        // a lock stands
	CauseRefused    Cause = "refused"       // GitHub refused to mint
	CauseLost       Cause = "answer_lost"   // the mint's answer never came
	CauseGitHub     Cause = "github_expiry" // GitHub's hour was over
)

// A Ticket is an OIDC token's (issuer, jti), which buys at most one exchange.
type Ticket struct {
	Issuer string
	JTI    string
	// Until is when the token can no longer be accepted, and the ticket forgotten.
	Until time.Time
}

// KeyLife is how long an idempotency key is remembered, counted from the intent.
const KeyLife = 10 * time.Minute
