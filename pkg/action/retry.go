package action

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
)

const (
	firstPause = time.Second
	maxPause   = 16 * time.Second
)

// retry tries until one attempt succeeds, fails for good, or the next one would
// start after the budget is spent. It gives back the last attempt's error.
func (p *phase) retry(ctx context.Context, budget time.Duration, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	deadline := p.Now().Add(budget)
	for backoff := firstPause; ; backoff = min(2*backoff, maxPause) {
		err := attempt(ctx)
		if err == nil || !passing(err) || ctx.Err() != nil {
			return err
		}
		pause := max(jittered(backoff), api.RetryAfter(err))
		if !p.Now().Add(pause).Before(deadline) {
			return err
		}
		p.say("trying again in %s: %s", pause.Round(100*time.Millisecond), err)
		if p.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

// passing tells whether an error may be gone at the next try: the server says so
// itself, and for the rest it is lost connections and failing gateways.
func passing(err error) bool {
	var u *unexpected
	if errors.As(err, &u) {
		return u.passing()
	}
	return api.Retryable(err)
}

// jittered keeps jobs that failed together from coming back together.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2) //nolint:gosec // it is chance that is wanted, not secrecy
}
