package lease

import (
	"slices"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// A State is where a lease stands.
type State string

// The states.
const (
	Pending       State = "pending"       // the intent is durable, GitHub is being asked
	Active        State = "active"        // the token is out
	Refused       State = "refused"       // GitHub said no: there is no token
	Ending        State = "ending"        // the token must die and is not yet proven dead
	Indeterminate State = "indeterminate" // GitHub's answer was lost: there may be a token nobody knows
	Revoked       State = "revoked"       // deleted, and seen to answer 401
	Gone          State = "gone"          // found dead, twice
	Expired       State = "expired"       // GitHub's hour is over
)

var moves = map[State][]State{
	Pending:       {Active, Refused, Ending, Indeterminate},
	Active:        {Ending},
	Ending:        {Revoked, Gone, Expired},
	Indeterminate: {Expired},
}

// Terminal tells whether a lease in this state moves no more.
func (s State) Terminal() bool { return s.Valid() && len(moves[s]) == 0 }

// Valid tells whether s is one of the states.
func (s State) Valid() bool {
	switch s {
	case Pending, Active, Refused, Ending, Indeterminate, Revoked, Gone, Expired:
		return true
	}
	return false
}

// CanMove tells whether a lease may go from s to next.
func (s State) CanMove(next State) bool { return slices.Contains(moves[s], next) }

// Move checks a move; one that is not legal is [problem.Internal].
func (s State) Move(next State) error {
	if s.CanMove(next) {
		return nil
	}
	return problem.New(problem.Internal, "a lease can't move from %s to %s", s, next)
}

// Live lists the states in which there is, or may be, a token that works.
func Live() []State { return []State{Pending, Active, Ending, Indeterminate} }
