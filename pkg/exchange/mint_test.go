package exchange_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

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
