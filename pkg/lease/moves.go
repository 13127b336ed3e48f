package lease

import (
	"time"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/scope"
)

const (
	// tokenLife is how long GitHub lets an installation token live.
	// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
	tokenLife = time.Hour
	// afterlife is how long after GitHub's hour a token is taken to be dead whatever the clocks say.
	afterlife = time.Minute
	// pendingFor is how long an intent may wait for GitHub before its answer counts as lost.
	pendingFor = 2 * time.Minute
)

// Intend makes the pending lease of an intent.
func Intend(id string, j identity.Job, grant string, s scope.Scope, curfew time.Duration, now time.Time) Lease {
	return Lease{
		ID: id, State: Pending, Job: j, Grant: grant, Scope: s,
		IntentAt: now, ExpiresAt: now.Add(curfew), TokenExpiresAt: now.Add(tokenLife + afterlife),
		NextAt: now.Add(pendingFor),
	}
}

// Minted notes what GitHub granted. The curfew counts from now, and never goes
// beyond the life of the token itself. If GitHub names no end, or one that is
// past, the token is taken to live as long as the intent allowed for. The state
// stays pending until the issue is durable.
func (l Lease) Minted(g scope.Granted, curfew time.Duration, now time.Time) Lease {
	l.Scope, l.IssuedAt, l.ExpiresAt = g.Scope, now, now.Add(curfew)
	if g.ExpiresAt.After(now) {
		l.TokenExpiresAt = g.ExpiresAt
	}
	if l.TokenExpiresAt.Before(l.ExpiresAt) {
		l.ExpiresAt = l.TokenExpiresAt
	}
	return l
}

// Refuse makes the lease refused: GitHub said no, there is no token.
func (l Lease) Refuse(now time.Time) Lease {
	l.State, l.Cause, l.EndedAt = Refused, CauseRefused, now
	return l
}

// Lost makes the lease indeterminate: there may be a token nobody knows, until GitHub's hour is over.
func (l Lease) Lost() Lease {
	l.State, l.Cause = Indeterminate, CauseLost
	l.TokenExpiresAt = l.IntentAt.Add(tokenLife + afterlife)
	l.NextAt = l.TokenExpiresAt
	return l
}

// settling is how long whoever ends a lease has it for itself before the sweep takes over.
const settling = 10 * time.Second

// End makes the lease ending. It is due for the sweep a little later, so that
// whoever ends it can prove the end first.
func (l Lease) End(cause Cause, now time.Time) Lease {
	l.State, l.Cause, l.NextAt = Ending, cause, now.Add(settling)
	return l
}

// Over makes the lease terminal and forgets its token.
func (l Lease) Over(s State, now time.Time) Lease {
	l.State, l.EndedAt, l.Sealed = s, now, nil
	return l
}

// TokenExpired tells whether GitHub itself has ended the token by now, clock skew allowed for.
func (l Lease) TokenExpired(now time.Time) bool { return !now.Before(l.DeadBy()) }

// DeadBy is when GitHub itself has ended the token, clock skew allowed for.
func (l Lease) DeadBy() time.Time {
	if l.IssuedAt.IsZero() {
		return l.TokenExpiresAt
	}
	return l.TokenExpiresAt.Add(afterlife)
}

const (
	goneApart = 10 * time.Second // between the two 401 that prove a token gone
	goneSince = 60 * time.Second // from the mint to the later of them: a fresh token may answer 401 for a while
)

// ProvenGone tells whether a 401 at now, together with the first, proves that the token is dead.
func (l Lease) ProvenGone(now time.Time) bool {
	return !l.Dead401At.IsZero() && !now.Before(l.GoneCheck(now))
}

// GoneCheck is when the next 401 would prove the token dead.
func (l Lease) GoneCheck(now time.Time) time.Time {
	first := l.Dead401At
	if first.IsZero() {
		first = now
	}
	check := first.Add(goneApart)
	if earliest := l.IssuedAt.Add(goneSince); earliest.After(check) {
		return earliest
	}
	return check
}

// Backoff is how long to wait before the next try to end the token: from one second, doubling, to half a minute.
func (l Lease) Backoff() time.Duration {
	return min(time.Second<<min(l.Attempts, 5), 30*time.Second)
}
