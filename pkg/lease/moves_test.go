package lease_test

import (
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/google/go-cmp/cmp"
)

var (
	now     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	decided = scope.Scope{Owner: "acme", OwnerID: 1001, Permissions: scope.Permissions{"contents": scope.Write}}
	job     = identity.Job{Issuer: "https://issuer.example", RepositoryID: 3001, RunID: 77}
)

func intent() lease.Lease { return lease.Intend("l-1", job, "release", decided, 10*time.Minute, now) }

// minted is a lease whose token GitHub minted a second after the intent, for an hour.
func minted(curfew, life time.Duration) lease.Lease {
	issued := now.Add(time.Second)
	return intent().Minted(scope.Granted{Scope: decided, ExpiresAt: issued.Add(life)}, curfew, issued)
}

func TestAnIntentWaitsForGitHub(t *testing.T) {
	want := lease.Lease{
		ID: "l-1", State: lease.Pending, Job: job, Grant: "release", Scope: decided,
		IntentAt: now, ExpiresAt: now.Add(10 * time.Minute), TokenExpiresAt: now.Add(time.Hour + time.Minute), NextAt: now.Add(2 * time.Minute),
	}
	if diff := cmp.Diff(want, intent()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheCurfewCountsFromTheMint(t *testing.T) {
	for name, row := range map[string]struct{ curfew, life, want time.Duration }{
		"shorter than the token's life":  {10 * time.Minute, time.Hour, 10 * time.Minute},
		"as long as the token's life":    {time.Hour, time.Hour, time.Hour},
		"never longer than token's life": {time.Hour, time.Hour - time.Second, time.Hour - time.Second},
	} {
		l := minted(row.curfew, row.life)
		if got := l.ExpiresAt.Sub(l.IssuedAt); got != row.want {
			t.Errorf("%s: a curfew of %s, want %s", name, got, row.want)
		}
		if l.State != lease.Pending {
			t.Errorf("%s: %s before the issue is durable", name, l.State)
		}
	}
}

func TestATokenWithoutAnEndIsNotTakenForDead(t *testing.T) {
	issued := now.Add(time.Second)
	for name, row := range map[string]struct{ told, want time.Time }{
		"GitHub names no end":    {time.Time{}, now.Add(time.Hour + time.Minute)},
		"GitHub names one past":  {issued, now.Add(time.Hour + time.Minute)},
		"GitHub names one ahead": {issued.Add(1), issued.Add(1)},
	} {
		l := intent().Minted(scope.Granted{Scope: decided, ExpiresAt: row.told}, time.Minute, issued)
		if !l.TokenExpiresAt.Equal(row.want) || l.TokenExpired(issued) {
			t.Errorf("%s: the token is taken to live until %s, want %s", name, l.TokenExpiresAt, row.want)
		}
	}
}

func TestALostAnswerIsOverWithGitHubsHour(t *testing.T) {
	l := minted(time.Minute, time.Hour).Lost()
	end := now.Add(time.Hour + time.Minute)
	if l.State != lease.Indeterminate || l.Cause != lease.CauseLost || !l.NextAt.Equal(end) || !l.TokenExpiresAt.Equal(end) {
		t.Errorf("got %+v", l)
	}
}

func TestAnEndingIsDueSoonAndItsTokenForgottenAtTheEnd(t *testing.T) {
	l := minted(time.Minute, time.Hour)
	l.Sealed = []byte("sealed")
	l = l.End(lease.CausePost, now)
	if l.State != lease.Ending || l.Cause != lease.CausePost || !l.NextAt.Equal(now.Add(10*time.Second)) || l.Sealed == nil {
		t.Errorf("ending: got %+v", l)
	}
	l = l.Over(lease.Revoked, now.Add(time.Second))
	if l.State != lease.Revoked || l.Sealed != nil || !l.EndedAt.Equal(now.Add(time.Second)) || l.Cause != lease.CausePost {
		t.Errorf("over: got %+v", l)
	}
	l = intent().Refuse(now)
	if l.State != lease.Refused || l.Cause != lease.CauseRefused || !l.EndedAt.Equal(now) {
		t.Errorf("refused: got %+v", l)
	}
}

func TestATokenExpiresWithGitHubsHour(t *testing.T) {
	known, unknown := minted(time.Minute, time.Hour), intent()
	for name, row := range map[string]struct {
		lease lease.Lease
		at    time.Time
		want  bool
	}{
		"a known token, at GitHub's time":        {known, known.TokenExpiresAt, false},
		"a known token, just before a minute on": {known, known.TokenExpiresAt.Add(time.Minute - 1), false},
		"a known token, a minute on":             {known, known.TokenExpiresAt.Add(time.Minute), true},
		"an unknown token, just before":          {unknown, now.Add(time.Hour + time.Minute - 1), false},
		"an unknown token, an hour and a minute": {unknown, now.Add(time.Hour + time.Minute), true},
	} {
		if got := row.lease.TokenExpired(row.at); got != row.want {
			t.Errorf("%s: expired %v", name, got)
		}
	}
}

func TestTwo401sFarApartProveATokenGone(t *testing.T) {
	mint := minted(10*time.Minute, time.Hour).IssuedAt
	after := mint.Add
	for name, row := range map[string]struct {
		first, second time.Time
		want          bool
	}{
		"one alone":                                {time.Time{}, after(10 * time.Minute), false},
		"ten seconds apart, late":                  {after(5 * time.Minute), after(5*time.Minute + 10*time.Second), true},
		"just less than ten seconds apart":         {after(5 * time.Minute), after(5*time.Minute + 10*time.Second - 1), false},
		"far apart, the second a minute on":        {after(time.Second), after(time.Minute), true},
		"far apart, but within the first minute":   {after(time.Second), after(time.Minute - 1), false},
		"at the minute, but the first just before": {after(55 * time.Second), after(time.Minute), false},
	} {
		l := minted(10*time.Minute, time.Hour)
		l.Dead401At = row.first
		if got := l.ProvenGone(row.second); got != row.want {
			t.Errorf("%s: gone %v", name, got)
		}
	}
	if got, want := minted(time.Minute, time.Hour).GoneCheck(after(time.Second)), after(time.Minute); !got.Equal(want) {
		t.Errorf("the next check is at %s, want %s", got, want)
	}
}

func TestBackoffDoublesToHalfAMinute(t *testing.T) {
	for attempts, want := range map[int]time.Duration{0: 1, 1: 2, 2: 4, 3: 8, 4: 16, 5: 30, 6: 30, 1000: 30} {
		if got := (lease.Lease{Attempts: attempts}).Backoff(); got != want*time.Second {
			t.Errorf("after %d tries: %s, want %ds", attempts, got, want)
		}
	}
}

func TestARepeatedKeyNamesItsLease(t *testing.T) {
	err := &lease.Repeated{Lease: lease.Lease{ID: "l-1", State: lease.Active, IdempotencyKey: "a client's key"}}
	if got := err.Error(); !strings.Contains(got, "l-1") || !strings.Contains(got, "active") || strings.Contains(got, "client") {
		t.Errorf("got %q", got)
	}
}
