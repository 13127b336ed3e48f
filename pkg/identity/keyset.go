package identity

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

const (
	keysFresh    = time.Hour      // then they are read again, behind the callers' backs
	keysLast     = 24 * time.Hour // how long the last good keys serve when reading fails
	fetchPause   = time.Minute    // after a fetch that brought nothing new
	firstBackoff = 5 * time.Second
)

// A keySet holds one issuer's keys. However many ask, at most one fetch is
// under way, and strangers' tokens can cause one a minute:
//
//   - A kid that is not in the set, or whose key is not believed, causes a fetch.
//     If that does not bring it, no other fetch starts for a minute. A real
//     rotation is found at once.
//   - A failed fetch is not repeated for a minute while there are keys. Without
//     any, it is after 5 s, then 10, 20, 40 and 60 s.
//   - Keys older than an hour are read again in the background; nobody waits.
type keySet struct {
	issuer string
	fetch  func(context.Context) (map[string]key, error)
	now    func() time.Time
	log    *slog.Logger

	mu       sync.Mutex
	keys     map[string]key // replaced whole
	read     time.Time      // when keys were read
	pause    time.Time      // no fetch starts before
	failures int            // fetches failed since keys were read
	cause    error          // of the last failure
	flight   chan struct{}  // closed when the fetch under way is over; nil without one
}

// newKeySet makes the set of one configured issuer, still empty.
func newKeySet(issuer string, o Options) (*keySet, error) {
	address, err := parseIssuer(issuer)
	if err != nil {
		return nil, err
	}
	origin := newSource(address, o.HTTP)
	fetch := func(ctx context.Context) (map[string]key, error) {
		text, err := origin.fetch(ctx)
		if err != nil {
			return nil, err
		}
		return parseKeys(text, issuer, o.Audience)
	}
	return &keySet{issuer: issuer, fetch: fetch, now: o.Now, log: o.Log.With("issuer", issuer)}, nil
}

// key returns the key that a token names, waiting for at most one fetch. Its
// errors are unknown_key, and issuer_unavailable while the set can't be read.
func (s *keySet) key(ctx context.Context, kid string) (key, error) {
	k, flight := s.find(ctx, kid)
	if k.usable() {
		return k, nil
	}
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return key{}, problem.New(problem.IssuerUnavailable, "the wait for the issuer's keys was given up").WithCause(ctx.Err())
		}
	}
	return s.settle(kid)
}

// find looks a key up, starts a fetch if one is due, and returns the fetch that may bring the key.
func (s *keySet) find(ctx context.Context, kid string) (key, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	k := s.living(now)[kid]
	if !k.usable() || now.Sub(s.read) >= keysFresh {
		s.start(ctx, now, kid)
	}
	return k, s.flight
}

// settle gives the final word on a kid, without another fetch.
func (s *keySet) settle(kid string) (key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	k, known := s.living(now)[kid]
	switch {
	case k.usable():
		return k, nil
	case known:
		return key{}, problem.New(problem.UnknownKey, "the issuer's key '%s' %s", clip(kid), k.weakness)
	case s.failures > 0:
		return key{}, problem.New(problem.IssuerUnavailable, "the issuer's keys can't be read at the moment").
			WithCause(s.cause).WithRetryAfter(max(s.pause.Sub(now), time.Second))
	}
	return key{}, problem.New(problem.UnknownKey, "the issuer has no key '%s'", clip(kid))
}

// living returns the keys that may still serve.
func (s *keySet) living(now time.Time) map[string]key {
	if now.Sub(s.read) > keysLast {
		return nil
	}
	return s.keys
}

// start begins a fetch for wanted ("" for none in particular), unless one is
// under way or the pause is on. The fetch outlives the request that caused it,
// for others wait for it too. The caller holds the lock.
func (s *keySet) start(ctx context.Context, now time.Time, wanted string) {
	if s.flight != nil || now.Before(s.pause) {
		return
	}
	flight := make(chan struct{})
	s.flight = flight
	go func() {
		defer close(flight)
		keys, err := s.fetch(context.WithoutCancel(ctx))
		s.land(keys, err, wanted)
	}()
}

// land takes over what a fetch brought and sets the pause before the next.
func (s *keySet) land(keys map[string]key, err error, wanted string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.flight = nil
	if err != nil {
		s.failures++
		s.cause = fmt.Errorf("reading the keys of %s: %w", s.issuer, err)
		wait := fetchPause
		if s.living(now) == nil {
			wait = backoff(s.failures)
		}
		s.pause = now.Add(wait)
		s.log.Warn("issuer keys not read", "error", err, "failures", s.failures, "next_try_after", wait)
		return
	}
	s.keys, s.read, s.failures, s.cause, s.pause = keys, now, 0, nil, time.Time{}
	if wanted != "" && !keys[wanted].usable() {
		s.pause = now.Add(fetchPause)
	}
	s.report()
}

func (s *keySet) report() {
	for kid, k := range s.keys {
		if !k.usable() {
			s.log.Warn("issuer key not believed", "kid", kid, "reason", k.weakness)
		}
	}
	s.log.Debug("issuer keys read", "keys", len(s.keys))
}

// backoff doubles from 5 s up to a minute.
func backoff(failures int) time.Duration {
	return min(firstBackoff<<min(failures-1, 4), fetchPause)
}

// warm reads the keys in advance, if there are none, and waits for them; a failure is in the log.
func (s *keySet) warm(ctx context.Context) {
	select {
	case <-s.begin(ctx):
	case <-ctx.Done():
	}
}

// begin starts the first fetch and returns what closes when none is under way any more.
func (s *keySet) begin(ctx context.Context) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); s.living(now) == nil {
		s.start(ctx, now, "")
	}
	if s.flight != nil {
		return s.flight
	}
	over := make(chan struct{})
	close(over)
	return over
}
