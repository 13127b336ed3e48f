package exchange_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// killers are all that can end a lease, each harmless to repeat.
var killers = map[string]func(*stage, *exchange.Issued, int) error{
	"post, with the handle": func(s *stage, i *exchange.Issued, _ int) error { return s.hall.EndByToken(s.ctx, i.Handle, "c") },
	"post, with the token":  func(s *stage, i *exchange.Issued, _ int) error { return s.hall.EndByToken(s.ctx, i.Token, "c") },
	"jobs/end": func(s *stage, _ *exchange.Issued, n int) error {
		_, err := s.hall.EndJob(s.ctx, s.token(worker(n)), "c")
		return err
	},
	"client gone": func(s *stage, i *exchange.Issued, _ int) error { return s.hall.Withdraw(s.ctx, i.Lease, "c") },
	"sweep": func(s *stage, _ *exchange.Issued, _ int) error {
		_, err := s.hall.Sweep(s.ctx)
		return err
	},
	"curfew": func(s *stage, _ *exchange.Issued, _ int) error {
		s.wait(10 * time.Minute)
		_, err := s.hall.Sweep(s.ctx)
		return err
	},
	"a moment": func(s *stage, _ *exchange.Issued, _ int) error { s.wait(time.Second); return nil },
}

// I8, I11, I13: any order and number of killers, with GitHub failing now and
// then, ends in the same state, by one record a move, and touches no other lease.
func TestAnyOrderOfEndsIsTheSameEnd(t *testing.T) {
	s := newStage(t)
	names := make([]string, 0, len(killers))
	for name := range killers {
		names = append(names, name)
	}
	slices.Sort(names)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n += 2
		s.failer, s.now, s.github.onRevoke, s.github.onProbe = t, noon.AddDate(0, 0, n), nil, nil
		bystander := s.granted(s.ask(worker(n + 1)))
		from := len(s.ledger.taken())
		issued := s.granted(s.ask(worker(n)))
		order := rapid.SliceOfN(rapid.SampledFrom(names), 1, 12).Draw(t, "order")
		s.github.onRevoke = faults(issued.Token, rapid.SliceOfN(rapid.SampledFrom([]string{"", "500", "401"}), 0, 2).Draw(t, "revokes"))
		s.github.onProbe = faults(issued.Token, rapid.SliceOfN(rapid.SampledFrom([]string{"", "500", "200"}), 0, 2).Draw(t, "probes"))
		for _, name := range append(order, "curfew", "curfew", "curfew", "curfew", "curfew") {
			if err := killers[name](s, issued, n); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		l := s.lease(issued.Lease.ID)
		if l.State != lease.Revoked && l.State != lease.Gone {
			t.Fatalf("the lease is %s after %v", l.State, order)
		}
		if s.github.alive[issued.Token.Reveal()] {
			t.Fatalf("%s, but the token is alive", l.State)
		}
		for name := range killers {
			if err := killers[name](s, issued, n); err != nil {
				t.Fatalf("%s, after the end: %v", name, err)
			}
		}
		events := eventsOf(s.ledger.taken()[from:], issued.Lease.ID)
		want := []audit.Event{audit.LeaseIntent, audit.LeaseIssued, audit.LeaseEnding, audit.LeaseEnded}
		if !slices.Equal(events, want) || s.lease(issued.Lease.ID).State != l.State {
			t.Fatalf("recorded %v, want %v", events, want)
		}
		if got := s.lease(bystander.Lease.ID); got.Cause != lease.CauseCurfew { // only its own time ends it
			t.Fatalf("another job's lease was ended: %s", got.Cause)
		}
	})
}

// faults answers about one token by the list, and honestly once it is used up.
// 401 to a deletion is GitHub not knowing a fresh token yet, 200 to a probe is
// GitHub being late.
func faults(about secret.Text, list []string) func(string) (int, error) {
	return func(token string) (int, error) {
		if token != about.Reveal() || len(list) == 0 { // a sweep asks about others beside it
			return 0, nil
		}
		next := list[0]
		list = list[1:]
		switch next {
		case "500":
			return 500, outage
		case "401":
			return 401, nil
		case "200":
			return 200, nil
		}
		return 0, nil
	}
}

func eventsOf(records []audit.Record, id string) (events []audit.Event) {
	for _, r := range records {
		if r.Lease == id {
			events = append(events, r.Event)
		}
	}
	return events
}

// The same, all at once.
func TestAllEndsAtOnceAreOneEnd(t *testing.T) {
	s := newStage(t)
	for n := range 10 {
		issued := s.granted(s.ask(worker(n)))
		var all sync.WaitGroup
		for name, kill := range killers {
			if name == "curfew" || name == "a moment" {
				continue // they move the clock
			}
			for range 3 {
				all.Go(func() {
					if err := kill(s, issued, n); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
		}
		all.Wait()
		if l := s.lease(issued.Lease.ID); l.State != lease.Revoked {
			t.Errorf("the lease is %s", l.State)
		}
	}
	counts := map[audit.Event]int{}
	for _, r := range s.ledger.taken() {
		counts[r.Event]++
	}
	if len(counts) != 4 || counts[audit.LeaseEnding] != 10 || counts[audit.LeaseEnded] != 10 {
		t.Errorf("recorded %v, want ten of each move", counts)
	}
}

// breaks are the sub-results that a verdict rests on, each turned into an error.
var breaks = map[string]func(*stage, *exchange.Request, func()){
	"verification":  func(_ *stage, r *exchange.Request, _ func()) { r.Token = secret.New("forged") },
	"who is served": func(s *stage, _ *exchange.Request, _ func()) { s.rules.served = nil },
	"the rules":     func(s *stage, _ *exchange.Request, _ func()) { s.rules.err = errors.New("broken") },
	"the rules, beside set": func(s *stage, _ *exchange.Request, _ func()) {
		s.rules.err = problem.New(problem.PolicyInvalid, "broken")
	},
	"the decision": func(_ *stage, r *exchange.Request, _ func()) {
		r.Ask.Permissions = scope.Permissions{"contents": scope.Admin}
	},
	"the intent": func(s *stage, _ *exchange.Request, _ func()) { s.ledger.broken(audit.LeaseIntent) },
	"the mint":   func(s *stage, _ *exchange.Request, _ func()) { s.github.mintErr = outage },
	"the answer": func(s *stage, _ *exchange.Request, _ func()) {
		s.github.answer = func(g *scope.Granted) { *g = scope.Granted{} }
	},
	"the issue":         func(s *stage, _ *exchange.Request, _ func()) { s.ledger.broken(audit.LeaseIssued) },
	"the client's wait": func(s *stage, _ *exchange.Request, leave func()) { s.github.minting = leave },
}

// I5: whatever is turned into an error, the verdict only goes from allow to
// deny, and what is denied stays denied.
func TestErrorsOnlyDeny(t *testing.T) {
	names := make([]string, 0, len(breaks))
	for name := range breaks {
		names = append(names, name)
	}
	slices.Sort(names)
	s := newStage(t)
	check := func(t failer, broken []string, allowed bool) {
		s.failer, s.rules.served, s.rules.err = t, map[int64]bool{1001: true}, nil
		s.github.mintErr, s.github.answer, s.github.minting, s.ledger.before = nil, nil, nil, nil
		s.wait(time.Hour)
		s.sweep() // nothing of the run before is alive
		if s.github.living() != 0 {
			t.Fatalf("a token outlives its curfew")
		}
		r := s.ask(worker(len(s.workloads)))
		if !allowed {
			r.Ask.Grant = "nonesuch"
		}
		ctx, leave := context.WithCancel(s.ctx)
		defer leave()
		for _, name := range broken {
			breaks[name](s, &r, leave)
		}
		issued, err := s.hall.Exchange(ctx, r)
		switch granted := issued != nil && err == nil; {
		case granted != (allowed && len(broken) == 0):
			t.Errorf("with %v broken: granted %v (%v)", broken, granted, err)
		case !granted && (issued != nil || s.github.living() != 0):
			t.Errorf("with %v broken: refused, and a token is alive", broken)
		}
	}
	check(t, nil, true)
	check(t, nil, false)
	for _, name := range names {
		check(t, []string{name}, true)
	}
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID[string])
		check(t, some.Draw(t, "broken"), rapid.Bool().Draw(t, "allowed"))
	})
}

// I3 and I10: whatever is asked, what is granted lies within request, grant and ceiling.
func TestAGrantIsNeverWiderThanAsked(t *testing.T) {
	s := newStage(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		s.failer = t
		ask := policy.Request{
			Grant:    rapid.SampledFrom([]string{"release", "deploy"}).Draw(t, "grant"),
			Duration: time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "duration")),
		}
		if name := rapid.SampledFrom([]string{"", "contents", "issues", "metadata"}).Draw(t, "permission"); name != "" {
			ask.Permissions = scope.Permissions{name: rapid.SampledFrom([]scope.Level{scope.Read, scope.Write, scope.Admin}).Draw(t, "level")}
		}
		r := s.ask(worker(n))
		r.Ask = ask
		issued, err := s.hall.Exchange(s.ctx, r)
		if err != nil {
			return
		}
		curfew := issued.Lease.ExpiresAt.Sub(s.clock())
		if curfew <= 0 || curfew > 30*time.Minute || ask.Duration > 0 && curfew != ask.Duration {
			t.Errorf("asked for %s, got a curfew of %s", ask.Duration, curfew)
		}
		most := scope.Permissions{"contents": scope.Write, "metadata": scope.Read}
		if !issued.Lease.Scope.Permissions.Within(most) || ask.Permissions != nil && !issued.Decision.Scope.Permissions.Within(ask.Permissions) {
			t.Errorf("asked for %s, got %s", ask.Permissions, issued.Lease.Scope)
		}
	})
}
