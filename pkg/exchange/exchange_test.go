package exchange_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

func TestAGrantedToken(t *testing.T) {
	s := newStage(t)
	r := s.ask(worker(1))
	r.Ask.Reason, r.Context = "OPS-1 tag", "workflow release"
	issued := s.granted(r)
	l := s.is(issued.Lease.ID, lease.Active, "")
	if got := l.ExpiresAt.Sub(s.clock()); got != 10*time.Minute || !l.NextAt.Equal(l.ExpiresAt) {
		t.Errorf("the curfew is in %s and due at %s", got, l.NextAt)
	}
	want := scope.Permissions{"contents": scope.Write, "metadata": scope.Read}
	if diff := cmp.Diff(want, l.Scope.Permissions); diff != "" {
		t.Errorf("the lease holds what GitHub granted (-want +got):\n%s", diff)
	}
	if l.TokenDigest != issued.Token.Digest() || l.HandleDigest != issued.Handle.Digest() || strings.Contains(string(l.Sealed), "ghs_") {
		t.Error("token and handle are kept sealed, and as digests")
	}
	s.recorded(0, audit.LeaseIntent, audit.LeaseIssued)
	intent, done := s.ledger.taken()[0], s.ledger.taken()[1]
	if intent.Reason != r.Ask.Reason || intent.Context != r.Context || intent.SourceIP != r.SourceIP || intent.Correlation != "c-1" || intent.JTI == "" {
		t.Errorf("the intent is recorded as %+v", intent)
	}
	if done.TokenSHA256 != issued.Token.DigestBase64() || done.Granted == nil || done.Lease != l.ID {
		t.Errorf("the issue is recorded as %+v", done)
	}
	s.silent()
}

// I1 and I2: intent before mint, issued record before the token.
func TestNothingIsAskedOrHandedOutBeforeItIsDurable(t *testing.T) {
	s := newStage(t)
	var order []string
	s.github.minting = func() { order = append(order, "mint") }
	s.ledger.before = func(_ string, r audit.Record) error { order = append(order, string(r.Event)); return nil }
	s.granted(s.ask(worker(1)))
	if diff := cmp.Diff([]string{"lease.intent", "mint", "lease.issued"}, order); diff != "" {
		t.Error(diff)
	}
}

func TestTheTargetIsTheWorkloadsOwnRepositoryUnlessNamed(t *testing.T) {
	s := newStage(t)
	r := s.ask(worker(1))
	r.Target = policy.Target{}
	s.granted(r)
	if got := s.ledger.taken()[0].Requested; got.Owner != "acme" || !cmp.Equal(got.Repositories, []string{"web"}) {
		t.Errorf("asked for %+v", got)
	}
}

func TestOneOIDCTokenBuysOneLease(t *testing.T) {
	s := newStage(t)
	r := s.ask(worker(1))
	s.granted(r)
	s.refused(r, problem.Replayed)
	denied := s.ask(worker(2))
	denied.Ask.Grant = "nonesuch"
	s.refused(denied, problem.NoSuchGrant)
	denied.Ask.Grant = "release"
	s.refused(denied, problem.Replayed)
	if s.github.mints != 1 {
		t.Errorf("%d mints, want 1", s.github.mints)
	}
}

// What fails for no fault of the workload's leaves its OIDC token good.
func TestAFailureUsesNothingUp(t *testing.T) {
	s := newStage(t)
	r := s.ask(worker(1))
	s.rules.err = problem.New(problem.PolicyUnavailable, "GitHub does not answer")
	s.refused(r, problem.PolicyUnavailable)
	s.rules.err = nil
	s.ledger.broken(audit.LeaseIntent)
	s.refused(r, problem.StoreUnavailable)
	s.ledger.before = nil
	s.recorded(0)
	s.granted(r)
}

// I21: strangers cost a look into memory.
func TestAStrangerCausesNoWriteAndAsksNoRules(t *testing.T) {
	elsewhere := worker(1)
	elsewhere.Issuer = "https://ghes.example" // acme's id, said by another issuer
	unserved := worker(1)
	unserved.RepositoryOwnerID = 6666
	for name, w := range map[string]identity.Workload{"another owner": unserved, "another issuer's same id": elsewhere} {
		s := newStage(t)
		s.ledger.before = func(write string, _ audit.Record) error { t.Errorf("%s: %s", name, write); return nil }
		r := s.ask(w)
		p := s.refused(r, problem.OwnerNotServed) // of its own owner, or of a namesake, it asks
		if p.Hint == "" {
			t.Errorf("%s: no hint for its own owner", name)
		}
		r.DryRun = true
		s.refused(r, problem.OwnerNotServed)
		r.Token = secret.New("forged")
		s.refused(r, problem.BadSignature)
		if s.rules.asked != 0 || s.github.mints != 0 {
			t.Errorf("%s: rules were asked %d times, GitHub %d times", name, s.rules.asked, s.github.mints)
		}
	}
}

func TestADryRunMintsNothing(t *testing.T) {
	s := newStage(t)
	r := s.ask(worker(1))
	r.DryRun = true
	issued := s.granted(r)
	if !issued.Token.Empty() || !issued.Handle.Empty() || issued.Lease.ID != "" || s.github.mints != 0 {
		t.Errorf("a dry run gave %+v after %d mints", issued, s.github.mints)
	}
	if issued.Decision.Scope.String() != "contents:write on acme/web" || issued.Decision.Curfew != 10*time.Minute {
		t.Errorf("decided %+v", issued.Decision)
	}
	s.recorded(0, audit.ExchangeDryRun)
	if got := s.ledger.taken()[0]; !got.Requested.DryRun || got.Allowed == nil {
		t.Errorf("recorded %+v", got)
	}
	r.DryRun = false
	s.refused(r, problem.Replayed)
	denied := s.ask(worker(1))
	denied.DryRun, denied.Ask.Grant = true, "nonesuch"
	s.refused(denied, problem.NoSuchGrant)
}

func TestIdempotency(t *testing.T) {
	keyed := func(s *stage, n int, digest string) exchange.Request {
		r := s.ask(worker(n))
		r.IdempotencyKey, r.Digest = "k-1", digest
		return r
	}
	t.Run("repeated while active, the first lease is ended", func(t *testing.T) {
		s := newStage(t)
		first, again := s.granted(keyed(s, 1, "same")), s.granted(keyed(s, 1, "same"))
		s.is(first.Lease.ID, lease.Revoked, lease.CauseSuperseded)
		s.is(again.Lease.ID, lease.Active, "")
	})
	t.Run("repeated while pending, it can be tried again", func(t *testing.T) {
		s := newStage(t)
		r := keyed(s, 1, "same")
		s.github.minting = func() {
			s.github.minting = nil
			p := s.refused(r, problem.Pending)
			if p.RetryAfter <= 0 {
				t.Error("no time to come back is named")
			}
		}
		s.granted(keyed(s, 1, "same"))
		s.granted(r) // the OIDC token was not used up
		s.recorded(0, audit.LeaseIntent, audit.LeaseIssued, audit.LeaseEnding, audit.LeaseEnded, audit.LeaseIntent, audit.LeaseIssued)
	})
	t.Run("overtaken by another repetition, it can be tried again", func(t *testing.T) {
		s := newStage(t)
		first := s.granted(keyed(s, 1, "same"))
		var second *exchange.Issued
		s.ledger.before = func(_ string, r audit.Record) error {
			if r.Event == audit.LeaseEnded {
				s.ledger.before = nil
				second = s.granted(keyed(s, 1, "same"))
			}
			return nil
		}
		s.refused(keyed(s, 1, "same"), problem.Pending)
		s.is(first.Lease.ID, lease.Revoked, lease.CauseSuperseded)
		s.is(second.Lease.ID, lease.Active, "")
	})
	t.Run("with another body it is refused, and that is recorded", func(t *testing.T) {
		s := newStage(t)
		first := s.granted(keyed(s, 1, "same"))
		if p := s.refused(keyed(s, 1, "other"), problem.IdempotencyMismatch); p.Hint == "" {
			t.Error("no hint")
		}
		s.is(first.Lease.ID, lease.Active, "")
		s.recorded(0, audit.LeaseIntent, audit.LeaseIssued, audit.ExchangeDenied)
	})
	t.Run("another job's same key is another key", func(t *testing.T) {
		s := newStage(t)
		first := s.granted(keyed(s, 1, "same"))
		s.granted(keyed(s, 2, "other"))
		s.is(first.Lease.ID, lease.Active, "")
	})
	t.Run("after ten minutes it is forgotten", func(t *testing.T) {
		s := newStage(t)
		s.granted(keyed(s, 1, "same"))
		s.wait(lease.KeyLife)
		s.granted(keyed(s, 1, "other"))
	})
	t.Run("if the first lease's end can't be recorded there is no second", func(t *testing.T) {
		s := newStage(t)
		s.granted(keyed(s, 1, "same"))
		s.ledger.broken(audit.LeaseEnding)
		s.refused(keyed(s, 1, "same"), problem.StoreUnavailable)
		if s.github.mints != 1 || s.github.living() != 0 {
			t.Errorf("%d mints, %d alive", s.github.mints, s.github.living())
		}
	})
}

func TestAJobOpensAFewLeases(t *testing.T) {
	s := newStage(t)
	for range 3 {
		s.granted(s.ask(worker(1)))
	}
	r := s.ask(worker(1))
	s.refused(r, problem.JobQuota)
	s.refused(r, problem.Replayed)
	s.granted(s.ask(worker(2)))
	if got := s.ledger.taken()[6]; got.Event != audit.ExchangeDenied || got.Code != problem.JobQuota {
		t.Errorf("a job beyond its quota is recorded as %+v", got)
	}
}

// GitHub's answer against the decision contents:write on acme/web.
// A refused token is ended whatever GitHub says of its end, and however often that takes.
