package rulebook

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// A freshness says how long something may be served, counted from when the
// reading that brought or confirmed it began: without a thought up to ahead,
// while it is read anew in the background up to fresh, and only if that fails up to stale.
type freshness struct{ ahead, fresh, stale time.Duration }

const (
	// readingTime bounds one reading, which may be three calls in a row.
	readingTime = 20 * time.Second
	// failedPause is how long a stale value is served before GitHub is bothered again.
	failedPause = 5 * time.Second
	// maxAhead bounds the readings that nobody waits for.
	maxAhead = 16
)

// A reading keeps one value fresh. However many ask at once, it is read once,
// and the reading goes on when the caller who began it gives up.
type reading[T interface{ freshness() freshness }] struct {
	work *work
	now  func() time.Time
	// dropped is told of a value that is no longer held and was not given up by drop or close, if there was some.
	dropped func(value T, some bool)
	ahead   chan struct{} // a place for each background reading

	mu     sync.Mutex
	value  T
	held   bool
	began  time.Time // when the reading began that brought or confirmed the value
	quiet  time.Time // until when a stale value is served without another try
	flight *flight[T]
	closed bool
}

// A read brings a value anew; old is the one held, if any is.
type read[T any] func(ctx context.Context, old T, held bool) (T, error)

// errClosed says that a reading is out of the book: whoever still has it gets a new one there.
var errClosed = errors.New("the reading is closed")

type flight[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// get returns the value, from memory or by reading. Its error is the reading's,
// or that of ctx.
func (r *reading[T]) get(ctx context.Context, read read[T]) (T, error) {
	r.mu.Lock()
	if r.closed {
		defer r.mu.Unlock()
		var none T
		return none, errClosed
	}
	now := r.now()
	age, life := r.age(now), r.life()
	if r.held && age < life.ahead {
		defer r.mu.Unlock()
		return r.value, nil
	}
	if r.held && age < life.fresh {
		defer r.mu.Unlock()
		r.readAhead(ctx, now, read)
		return r.value, nil
	}
	if r.held && age < life.stale && r.flight == nil && now.Before(r.quiet) {
		defer r.mu.Unlock()
		return r.value, nil
	}
	f := r.flight
	if f == nil {
		f = r.takeOff(ctx, now, read, func() {})
	}
	r.mu.Unlock()
	return r.wait(ctx, f)
}

func (r *reading[T]) wait(ctx context.Context, f *flight[T]) (T, error) {
	var err error
	select {
	case <-f.done:
		if f.err == nil {
			return f.value, nil
		}
		err = f.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held && r.age(r.now()) < r.life().stale {
		return r.value, nil
	}
	var none T
	return none, err
}

// readAhead reads in the background, if there is a place; the caller holds mu.
func (r *reading[T]) readAhead(ctx context.Context, now time.Time, read read[T]) {
	if r.flight != nil || now.Before(r.quiet) {
		return
	}
	select {
	case r.ahead <- struct{}{}:
		r.takeOff(ctx, now, read, func() { <-r.ahead })
	default:
	}
}

// takeOff begins a reading; the caller holds mu.
func (r *reading[T]) takeOff(ctx context.Context, now time.Time, read read[T], after func()) *flight[T] {
	f := &flight[T]{done: make(chan struct{})}
	old, held := r.value, r.held
	started := r.work.start(func() {
		defer after()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readingTime)
		defer cancel()
		f.value, f.err = read(ctx, old, held)
		r.land(f, now)
	})
	if started {
		r.flight = f
		return f
	}
	after()
	f.err = draining()
	close(f.done)
	return f
}

// land keeps what a reading brought. A refusal that is sure to stand puts an
// end to the value; a failure that will pass does not.
func (r *reading[T]) land(f *flight[T], began time.Time) {
	r.mu.Lock()
	r.flight = nil
	unwanted, some := f.value, false
	switch {
	case f.err == nil && r.closed:
		some = true
	case f.err == nil:
		r.value, r.held, r.began, r.quiet = f.value, true, began, time.Time{}
	case passing(f.err):
		r.quiet = r.now().Add(failedPause)
	default:
		unwanted, some = r.value, r.held
		r.forget()
	}
	r.mu.Unlock()
	r.dropped(unwanted, some)
	close(f.done)
}

// drop forgets the value if it still is the one that proved wrong.
func (r *reading[T]) drop(wrong func(T) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held && wrong(r.value) {
		r.forget()
	}
}

// close gives up the value and lets none be kept any more.
func (r *reading[T]) close() (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	value, held := r.value, r.held
	r.closed = true
	r.forget()
	return value, held
}

// abandon closes a reading that holds nothing and that nobody is at.
func (r *reading[T]) abandon() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held || r.flight != nil {
		return false
	}
	r.closed = true
	return true
}

func (r *reading[T]) forget() {
	var none T
	r.value, r.held, r.quiet = none, false, time.Time{}
}

func (r *reading[T]) life() freshness {
	if !r.held {
		return freshness{}
	}
	return r.value.freshness()
}

// age takes a value from the future for an old one: the clock has been set back.
func (r *reading[T]) age(now time.Time) time.Duration {
	if age := now.Sub(r.began); age >= 0 {
		return age
	}
	return time.Duration(1<<63 - 1)
}

// passing tells a failure to ask from an answer: what has no code, or one of these, says nothing about the policy.
func passing(err error) bool {
	p := problem.From(err)
	switch p.Code {
	case problem.Internal, problem.GitHubError, problem.RateLimited, problem.MintIndeterminate, problem.PolicyUnavailable:
		return true
	}
	return false
}
