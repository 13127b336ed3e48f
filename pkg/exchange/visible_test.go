package exchange_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

var hinted = func(code problem.Code) *problem.Problem {
	return problem.New(code, "%s of acme/web", code).WithHint("look at acme/web").
		WithMismatches(problem.Mismatch{Rule: "acme.yaml:9", Claim: "ref", Expected: "refs/heads/main", Got: "refs/heads/dev"})
}

// obstacles are all that can stand in the way of a request, and what the target's own workload is told.
var obstacles = []struct {
	what    string
	arrange func(*stage, *exchange.Request)
	own     problem.Code
	foreign problem.Code
	hint    bool
}{
	{"a grant that is not there", func(_ *stage, r *exchange.Request) { r.Ask.Grant = "releese" }, problem.NoSuchGrant, problem.Denied, true},
	{"more than the grant gives", func(_ *stage, r *exchange.Request) {
		r.Ask.Permissions = scope.Permissions{"issues": scope.Write}
	}, problem.AboveGrant, problem.Denied, true},
	{"more time than the grant gives", func(_ *stage, r *exchange.Request) { r.Ask.Duration = time.Hour }, problem.AboveGrant, problem.Denied, true},
	{"an App that is not installed", func(s *stage, _ *exchange.Request) { s.rules.err = hinted(problem.NotInstalled) }, problem.NotInstalled, problem.Denied, true},
	{"a policy that does not load", func(s *stage, _ *exchange.Request) { s.rules.err = hinted(problem.PolicyInvalid) }, problem.PolicyInvalid, problem.Denied, true},
	{"a policy that can't be read", func(s *stage, _ *exchange.Request) { s.rules.err = hinted(problem.PolicyUnavailable) }, problem.PolicyUnavailable, problem.Denied, true},
	{"an owner that is not served", func(s *stage, _ *exchange.Request) { s.rules.err = hinted(problem.OwnerNotServed) }, problem.OwnerNotServed, problem.Denied, true},
	{"something that broke", func(s *stage, _ *exchange.Request) { s.rules.err = errors.New("acme/web broke") }, problem.Internal, problem.Denied, false},
	{"a mint that GitHub refused", func(s *stage, _ *exchange.Request) { s.github.mintErr = hinted(problem.NotGrantedToApp) }, problem.NotGrantedToApp, problem.Denied, true},
	{"a mint whose answer was lost", func(s *stage, _ *exchange.Request) { s.github.mintErr = hinted(problem.MintIndeterminate) }, problem.MintIndeterminate, problem.Denied, true},
	{"an answer that is too wide", func(s *stage, _ *exchange.Request) {
		s.github.answer = func(g *scope.Granted) { g.Repositories = nil }
	}, problem.AnswerTooWide, problem.Denied, false},
	{"a job that has ended", func(s *stage, r *exchange.Request) {
		w, err := s.Verify(s.ctx, r.Token.Reveal())
		s.must(err)
		s.github.minting = func() { _, _ = s.hall.EndJob(s.ctx, s.token(w), "") } // the outcome tells
	}, problem.JobOver, problem.Denied, false},
	{"a token that was used", func(s *stage, r *exchange.Request) {
		again := *r
		again.DryRun = true
		s.granted(again)
	}, problem.Replayed, problem.Replayed, false},
	{"a token that was used, and a denial", func(s *stage, r *exchange.Request) {
		again := *r
		again.DryRun = true
		s.granted(again)
		r.Ask.Grant = "nonesuch"
	}, problem.Replayed, problem.Replayed, false},
	{"the same request, still under way", func(s *stage, r *exchange.Request) {
		r.IdempotencyKey, r.Digest = "k", "d"
		first := *r
		w, err := s.Verify(s.ctx, r.Token.Reveal())
		s.must(err)
		first.Token = s.token(w)
		s.github.mintErr = problem.New(problem.GitHubError, "no answer")
		s.ledger.broken(audit.LeaseRefused) // so that the first stays pending
		if _, err := s.hall.Exchange(s.ctx, first); err == nil {
			s.Errorf("the first was granted")
		}
	}, problem.Pending, problem.Pending, false},
	{"a key that stands for another request", func(s *stage, r *exchange.Request) {
		first := *r
		w, err := s.Verify(s.ctx, r.Token.Reveal())
		s.must(err)
		first.Token, first.IdempotencyKey, first.Digest = s.token(w), "k", "other"
		s.granted(first)
		r.IdempotencyKey, r.Digest = "k", "d"
	}, problem.IdempotencyMismatch, problem.Denied, true},
	{"a quota that is used up", func(s *stage, r *exchange.Request) {
		w, err := s.Verify(s.ctx, r.Token.Reveal())
		s.must(err)
		for range 3 {
			s.granted(s.ask(w))
		}
	}, problem.JobQuota, problem.Denied, false},
	{"a ledger that takes no intent", func(s *stage, _ *exchange.Request) { s.ledger.broken(audit.LeaseIntent) }, problem.StoreUnavailable, problem.StoreUnavailable, true},
	{"a ledger that takes no denial", func(s *stage, r *exchange.Request) {
		s.ledger.broken(audit.ExchangeDenied)
		r.Ask.Grant = "nonesuch"
	}, problem.StoreUnavailable, problem.StoreUnavailable, true},
	{"a ledger that takes no dry run", func(s *stage, r *exchange.Request) {
		s.ledger.broken(audit.ExchangeDryRun)
		r.DryRun = true
	}, problem.StoreUnavailable, problem.StoreUnavailable, true},
	{"a ledger that takes no issue", func(s *stage, _ *exchange.Request) { s.ledger.broken(audit.LeaseIssued) }, problem.StoreUnavailable, problem.StoreUnavailable, true},
}

// Others learn nothing of a target, whatever they ask and whatever stands in the way.
func TestWhatIsTold(t *testing.T) {
	for _, row := range obstacles {
		for who, worker := range map[string]func(int) identity.Workload{"own": worker, "foreign": friend} {
			s := newStage(t)
			r := s.ask(worker(1))
			row.arrange(s, &r)
			want, hint := row.own, row.hint
			if who == "foreign" {
				want, hint = row.foreign, false
			}
			p := s.refused(r, want)
			if p.Hint == "" == hint {
				t.Errorf("%s, %s: the hint is %q", row.what, who, p.Hint)
			}
			if who == "foreign" && (p.Mismatches != nil || p.Code == problem.Denied && p.Detail != denied) {
				t.Errorf("%s: others are told %q %v", row.what, p.Detail, p.Mismatches)
			}
			s.silent()
		}
	}
}

const denied = "this workload may not have what it asked for"

// Once the target's id is known a name counts for nothing: names change hands.
func TestANamesakeIsAStranger(t *testing.T) {
	namesake := friend(1)
	namesake.RepositoryOwner = "acme"
	s := newStage(t)
	r := s.ask(namesake)
	s.github.mintErr = hinted(problem.NotGrantedToApp)
	if p := s.refused(r, problem.Denied); p.Hint != "" {
		t.Errorf("a namesake is told %q", p.Hint)
	}
	renamed := worker(1)
	renamed.RepositoryOwner = "acme-inc"
	if p := s.refused(s.ask(renamed), problem.NotGrantedToApp); p.Hint == "" {
		t.Error("the owner under a new name is told nothing")
	}
}

func TestACallerOfAnotherOwnerCanBeGranted(t *testing.T) {
	s := newStage(t)
	s.granted(s.ask(friend(1)))
}

// A stranger sees the same of what is there and what is not, what is served and what is not.
func TestAStrangerSeesNoDifference(t *testing.T) {
	stranger := worker(1)
	stranger.Repository, stranger.RepositoryOwner, stranger.RepositoryOwnerID = "stranger/x", "stranger", 6666
	var seen []*problem.Problem
	for _, target := range []policy.Target{
		{Owner: "acme", Repositories: []string{"web"}}, {Owner: "acme", Repositories: []string{"nonesuch"}},
		{Owner: "nobody", Repositories: []string{"web"}},
	} {
		s := newStage(t)
		r := s.ask(stranger)
		r.Target = target
		p := s.refused(r, problem.Denied)
		seen = append(seen, &problem.Problem{Code: p.Code, Detail: p.Detail, Hint: p.Hint, Mismatches: p.Mismatches, RetryAfter: p.RetryAfter})
		if s.rules.asked != 0 {
			t.Error("rules were asked")
		}
	}
	for _, p := range seen {
		if !cmp.Equal(*p, *seen[0], cmp.AllowUnexported(problem.Problem{})) {
			t.Errorf("told %+v and %+v", *p, *seen[0])
		}
	}
}
