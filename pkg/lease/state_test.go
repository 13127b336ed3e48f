package lease_test

import (
	"slices"
	"testing"

	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"pgregory.net/rapid"
)

var states = []lease.State{
	lease.Pending, lease.Active, lease.Refused, lease.Ending,
	lease.Indeterminate, lease.Revoked, lease.Gone, lease.Expired,
}

// legal is the whole table of moves.
var legal = []struct {
	why      string
	from, to lease.State
}{
	{"the issue is durable, the token leaves", lease.Pending, lease.Active},
	{"GitHub said no", lease.Pending, lease.Refused},
	{"the answer was too wide, or nobody was there to take it", lease.Pending, lease.Ending},
	{"the answer was lost", lease.Pending, lease.Indeterminate},
	{"its time is up, or somebody ends it", lease.Active, lease.Ending},
	{"it was deleted and seen dead", lease.Ending, lease.Revoked},
	{"it was found dead twice", lease.Ending, lease.Gone},
	{"GitHub's hour is over while it could not be revoked", lease.Ending, lease.Expired},
	{"GitHub's hour is over for a token nobody knows", lease.Indeterminate, lease.Expired},
}

func TestMoves(t *testing.T) {
	for _, from := range states {
		for _, to := range states {
			allowed := false
			for _, row := range legal {
				allowed = allowed || row.from == from && row.to == to
			}
			if got := from.CanMove(to); got != allowed {
				t.Errorf("%s to %s: can move %v, want %v", from, to, got, allowed)
			}
			err := from.Move(to)
			if allowed && err != nil {
				t.Errorf("%s to %s: %v", from, to, err)
			}
			if !allowed && !problem.Is(err, problem.Internal) {
				t.Errorf("%s to %s: got %v, want internal", from, to, err)
			}
		}
	}
	for _, strange := range []lease.State{"", "Active", "dead"} {
		if strange.Valid() || strange.Terminal() || strange.CanMove(lease.Ending) || lease.Active.CanMove(strange) {
			t.Errorf("%q counts as a state", strange)
		}
	}
}

func TestATokenThatMayWorkIsLive(t *testing.T) {
	for _, s := range states {
		if !s.Valid() {
			t.Errorf("%s is no state", s)
		}
		if slices.Contains(lease.Live(), s) == s.Terminal() {
			t.Errorf("%s is both live and terminal, or neither", s)
		}
	}
	for _, s := range []lease.State{lease.Refused, lease.Revoked, lease.Gone, lease.Expired} {
		if !s.Terminal() {
			t.Errorf("%s is not terminal", s)
		}
	}
}

func TestEveryWalkEndsAndStaysThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := lease.Pending
		for _, next := range rapid.SliceOfN(rapid.SampledFrom(states), 1, 60).Draw(t, "walk") {
			if s.Move(next) != nil {
				continue
			}
			if s.Terminal() {
				t.Fatalf("a lease that was %s moved to %s", s, next)
			}
			if next == lease.Pending {
				t.Fatal("a lease became pending again")
			}
			s = next
		}
	})
}
