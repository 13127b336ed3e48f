package exchange_test

import (
	"context"
	"errors"
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
func TestTheAnswerIsHeldAgainstTheDecision(t *testing.T) {
	for name, row := range map[string]struct {
		answer func(*scope.Granted)
		fine   bool
	}{
		"just what was decided":         {func(g *scope.Granted) { delete(g.Permissions, "metadata") }, true},
		"metadata:read, as GitHub adds": {func(*scope.Granted) {}, true},
		"less than was decided":         {func(g *scope.Granted) { g.Permissions["contents"] = scope.Read }, true},
		"metadata:write":                {func(g *scope.Granted) { g.Permissions["metadata"] = scope.Write }, false},
		"a higher level":                {func(g *scope.Granted) { g.Permissions["contents"] = scope.Admin }, false},
		"another permission":            {func(g *scope.Granted) { g.Permissions["issues"] = scope.Read }, false},
		"no permissions told":           {func(g *scope.Granted) { g.Permissions = nil }, false},
		"another repository":            {func(g *scope.Granted) { g.Repositories = []scope.Repository{{ID: 3003, Name: "web"}} }, false},
		"the repository in capitals":    {func(g *scope.Granted) { g.Repositories = []scope.Repository{{ID: 3002, Name: "WEB"}} }, true},
		"the repository renamed":        {func(g *scope.Granted) { g.Repositories = []scope.Repository{{ID: 3002, Name: "site"}} }, false},
		"one repository more": {func(g *scope.Granted) {
			g.Repositories = append(g.Repositories[:1:1], scope.Repository{ID: 3003, Name: "api"})
		}, false},
		"all repositories, or none told":  {func(g *scope.Granted) { g.Repositories = nil }, false},
		"another owner":                   {func(g *scope.Granted) { g.OwnerID = 1002 }, false},
		"an hour, by a clock 5 min ahead": {func(g *scope.Granted) { g.ExpiresAt = noon.Add(65 * time.Minute) }, true},
		"longer than an hour":             {func(g *scope.Granted) { g.ExpiresAt = noon.Add(65*time.Minute + 1) }, false},
		"for ever":                        {func(g *scope.Granted) { g.ExpiresAt = noon.AddDate(7000, 0, 0) }, false},
		"over already":                    {func(g *scope.Granted) { g.ExpiresAt = noon }, false},
		"no end told":                     {func(g *scope.Granted) { g.ExpiresAt = time.Time{} }, false},
		"nothing told but the token":      {func(g *scope.Granted) { *g = scope.Granted{} }, false},
	} {
		s := newStage(t)
		s.github.answer = row.answer
		issued, err := s.hall.Exchange(s.ctx, s.ask(worker(1)))
		if row.fine {
			if err != nil || s.github.living() != 1 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if issued != nil || !problem.Is(err, problem.AnswerTooWide) {
			t.Errorf("%s: got %v, want answer_too_wide", name, err)
		}
		if s.github.living() != 0 {
			t.Errorf("%s: the token is alive", name)
		}
		s.is(s.ledger.taken()[0].Lease, lease.Revoked, lease.CauseTooWide)
		s.recorded(0, audit.LeaseIntent, audit.LeaseEnding, audit.LeaseEnded)
		if ending := s.ledger.taken()[1]; ending.Code != problem.AnswerTooWide || ending.TokenSHA256 == "" {
			t.Errorf("%s: recorded %+v", name, ending)
		}
		s.silent()
	}
}

// A refused token is ended whatever GitHub says of its end, and however often that takes.
func TestATokenWithAnOddEndIsRevokedUntilProven(t *testing.T) {
	for name, end := range map[string]time.Time{
		"none": {}, "past": noon.Add(-time.Hour), "a day on": noon.AddDate(0, 0, 1), "beyond any clock": noon.AddDate(7000, 0, 0),
	} {
		s := newStage(t)
		s.github.answer = func(g *scope.Granted) { g.ExpiresAt = end }
		s.github.onRevoke = func(string) (int, error) { return 500, outage }
		s.refused(s.ask(worker(1)), problem.AnswerTooWide)
		id := s.ledger.taken()[0].Lease
		s.is(id, lease.Ending, lease.CauseTooWide)
		for range 100 {
			s.wait(30 * time.Second)
			s.sweep()
		}
		s.is(id, lease.Ending, lease.CauseTooWide) // 50 minutes later
		s.github.onRevoke = nil
		s.wait(30 * time.Second)
		s.sweep()
		s.is(id, lease.Revoked, lease.CauseTooWide)
		if s.github.living() != 0 {
			t.Errorf("%s: the token is alive", name)
		}
	}
}

func TestAMintWithoutAToken(t *testing.T) {
	for name, row := range map[string]struct {
		err   error
		code  problem.Code
		state lease.State
		event audit.Event
	}{
		"GitHub said no":           {problem.New(problem.NotGrantedToApp, "the App lacks it"), problem.NotGrantedToApp, lease.Refused, audit.LeaseRefused},
		"GitHub was not reached":   {problem.New(problem.GitHubError, "no answer"), problem.GitHubError, lease.Refused, audit.LeaseRefused},
		"GitHub's answer was lost": {problem.New(problem.MintIndeterminate, "lost"), problem.MintIndeterminate, lease.Indeterminate, audit.LeaseIndeterminate},
		"nobody knows":             {errors.New("something broke"), problem.Internal, lease.Indeterminate, audit.LeaseIndeterminate},
	} {
		s := newStage(t)
		s.github.mintErr = row.err
		s.refused(s.ask(worker(1)), row.code)
		s.recorded(0, audit.LeaseIntent, row.event)
		l := s.lease(s.ledger.taken()[0].Lease)
		if l.State != row.state {
			t.Errorf("%s: the lease is %s, want %s", name, l.State, row.state)
		}
		if row.state == lease.Indeterminate {
			s.wait(time.Hour + time.Minute)
			s.sweep()
			s.is(l.ID, lease.Expired, lease.CauseGitHub)
		}
	}
}

func TestAMintThatCantBeSettledIsLeftToTheSweep(t *testing.T) {
	s := newStage(t)
	s.github.mintErr = problem.New(problem.NotGrantedToApp, "the App lacks it")
	s.ledger.broken(audit.LeaseRefused)
	s.refused(s.ask(worker(1)), problem.NotGrantedToApp)
	s.wait(2 * time.Minute)
	s.sweep()
	s.is(s.ledger.taken()[0].Lease, lease.Indeterminate, lease.CauseLost)
}

func TestATokenThatCantBeRecordedDies(t *testing.T) {
	for name, broken := range map[string][]audit.Event{
		"the issue fails":         {audit.LeaseIssued},
		"from the issue on":       {audit.LeaseIssued, audit.LeaseEnding, audit.LeaseEnded},
		"the issue and the proof": {audit.LeaseIssued, audit.LeaseEnded},
	} {
		s := newStage(t)
		s.ledger.broken(broken...)
		s.refused(s.ask(worker(1)), problem.StoreUnavailable)
		if s.github.living() != 0 {
			t.Errorf("%s: the token is alive", name)
		}
		s.ledger.before = nil
		for range 70 {
			s.wait(time.Minute)
			s.sweep()
		}
		if l := s.lease(s.ledger.taken()[0].Lease); !l.State.Terminal() {
			t.Errorf("%s: the lease is stuck in %s", name, l.State)
		}
		s.silent()
	}
}

func TestAMintThatTookTooLongIsRevoked(t *testing.T) {
	s := newStage(t)
	s.github.minting = func() {
		s.wait(2 * time.Minute)
		s.sweep() // another server would
	}
	if _, err := s.hall.Exchange(s.ctx, s.ask(worker(1))); err == nil {
		t.Error("a token left without a record")
	}
	if s.github.living() != 0 {
		t.Error("the token is alive")
	}
	s.is(s.ledger.taken()[0].Lease, lease.Indeterminate, lease.CauseLost)
}

func TestAClientThatWentAwayKeepsNothing(t *testing.T) {
	for when, arrange := range map[string]func(s *stage, leave func()){
		"while GitHub mints": func(s *stage, leave func()) { s.github.minting = leave },
		"while the intent is recorded": func(s *stage, leave func()) {
			s.ledger.before = func(_ string, r audit.Record) error {
				if r.Event == audit.LeaseIntent {
					leave()
				}
				return nil
			}
		},
	} {
		s := newStage(t)
		ctx, leave := context.WithCancel(s.ctx)
		arrange(s, leave)
		issued, err := s.hall.Exchange(ctx, s.ask(worker(1)))
		if issued != nil || err == nil {
			t.Errorf("%s: a token left", when)
		}
		s.hall.Wait()
		s.is(s.ledger.taken()[0].Lease, lease.Revoked, lease.CauseClientGone)
		if s.github.living() != 0 {
			t.Errorf("%s: the token is alive", when)
		}
		if got := s.ledger.taken()[2]; got.Event != audit.LeaseEnding || got.Correlation != "c-1" {
			t.Errorf("%s: the ending is recorded as %+v", when, got)
		}
	}
}
