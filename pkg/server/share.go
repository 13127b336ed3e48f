package server

import (
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// A share bounds how much of one kind of work is in flight. It is entered once
// the request is read, so that slow senders hold no place.
type share chan struct{}

func newShare(n int) share { return make(share, n) }

// enter takes a place, or refuses at once when there is none; leave gives it back.
func (s share) enter() (leave func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	default:
		return nil, problem.New(problem.RateLimited, "too many requests are in flight").WithRetryAfter(time.Second)
	}
}
