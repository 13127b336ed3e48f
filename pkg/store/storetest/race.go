package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
)

var raceTests = map[string]func(*book){
	"one ticket has one winner":               ticketRace,
	"one key has one winner":                  keyRace,
	"a quota is not exceeded":                 quotaRace,
	"one lease has one mover":                 moverRace,
	"claims never overlap":                    claimRace,
	"closing answers everybody":               closeRace,
	"a refusal spoils nobody else's exchange": mixedRace,
}

const callers = 64

// parallel calls n times at once and gives each call's error by its number.
func (b *book) parallel(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-gate
			errs[i] = call(i)
		})
	}
	close(gate)
	all.Wait()
	return errs
}

// pendingAs makes a pending lease from any goroutine.
func (b *book) pendingAs(id string) lease.Lease {
	fresh := book{T: b.T}
	l := fresh.pending()
	l.ID = id
	return l
}

// oneWins checks that one call of many succeeded and the others were refused by lost.
func (b *book) oneWins(errs []error, lost func(error) bool) (winner int) {
	b.Helper()
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won, winner = won+1, i
		case !lost(err):
			b.Errorf("caller %d got %v", i, err)
		}
	}
	if won != 1 {
		b.Fatalf("%d callers won, want 1", won)
	}
	return winner
}

func ticketRace(b *book) {
	replayed := func(err error) bool { return problem.Is(err, problem.Replayed) }
	for round := range 20 {
		b.grows(1, func() {
			b.oneWins(b.parallel(callers, func(i int) error {
				if i%8 == 7 {
					return b.Deny(b.Context(), ticket(fmt.Sprint(round)), record(audit.ExchangeDenied, ""))
				}
				l := b.pendingAs(fmt.Sprintf("%d-%d", round, i))
				return b.Intend(b.Context(), ticket(fmt.Sprint(round)), l, plenty*plenty, record(audit.LeaseIntent, l.ID))
			}), replayed)
		})
	}
}

func keyRace(b *book) {
	for round := range 5 {
		key := fmt.Sprint("key ", round)
		var first atomic.Value
		b.grows(1, func() {
			winner := b.oneWins(b.parallel(callers, func(i int) error {
				l := b.pendingAs(fmt.Sprintf("%d-%d", round, i))
				l.IdempotencyKey = key
				return b.intend(l, plenty)
			}), func(err error) bool {
				var repeated *lease.Repeated
				if !errors.As(err, &repeated) {
					return false
				}
				first.CompareAndSwap(nil, repeated.Lease.ID)
				return first.Load() == repeated.Lease.ID
			})
			if want := fmt.Sprintf("%d-%d", round, winner); first.Load() != want {
				b.Errorf("the others were told of %v, want %s", first.Load(), want)
			}
		})
	}
}

func quotaRace(b *book) {
	const quota = 3
	opened := 0
	for i, err := range b.parallel(callers, func(i int) error { return b.intend(b.pendingAs(fmt.Sprint(i)), quota) }) {
		switch {
		case err == nil:
			opened++
		case !problem.Is(err, problem.JobQuota):
			b.Errorf("caller %d got %v", i, err)
		}
	}
	if opened != quota {
		b.Errorf("%d leases were opened, want %d", opened, quota)
	}
}

func moverRace(b *book) {
	moved := func(err error) bool { return errors.Is(err, lease.ErrMoved) }
	causes := []lease.Cause{lease.CausePost, lease.CauseCurfew, lease.CauseOperator, lease.CauseJobEnded}
	for range 10 {
		l := b.reach(b.pending(), lease.Active)
		b.grows(1, func() {
			winner := b.oneWins(b.parallel(len(causes), func(i int) error {
				next := in(l, lease.Ending)
				next.Cause = causes[i]
				return b.move(lease.Active, next)
			}), moved)
			l.State, l.Cause = lease.Ending, causes[winner]
			b.holds(l)
		})
	}
}

func claimRace(b *book) {
	const many = 200
	for i := range many {
		b.dueAt(start.Add(time.Duration(i) * time.Millisecond))
	}
	var mu sync.Mutex
	times := map[string]int{}
	for i, err := range b.parallel(8, func(int) error {
		for {
			due, err := b.Due(b.Context(), start.Add(time.Second), claim, 7)
			if err != nil || len(due) == 0 {
				return err
			}
			mu.Lock()
			for _, l := range due {
				times[l.ID]++
			}
			mu.Unlock()
		}
	}) {
		if err != nil {
			b.Errorf("sweeper %d: %v", i, err)
		}
	}
	if len(times) != many {
		b.Errorf("%d leases were claimed, want %d", len(times), many)
	}
	for id, n := range times {
		if n != 1 {
			b.Errorf("%s was claimed %d times", id, n)
		}
	}
}

func closeRace(b *book) {
	acknowledged := make([]bool, callers)
	var all sync.WaitGroup
	begun := make(chan struct{}, callers)
	for i := range callers {
		all.Go(func() {
			err := b.intend(b.pendingAs(fmt.Sprint(i)), plenty)
			begun <- struct{}{}
			acknowledged[i] = err == nil
			if err != nil && !problem.Is(err, problem.StoreUnavailable) {
				b.Errorf("caller %d got %v", i, err)
			}
		})
	}
	<-begun
	b.must(b.Close())
	all.Wait()
	b.Ledger = b.backend.Open(b.T, b.place)
	for i, ok := range acknowledged {
		if _, err := b.Lease(b.Context(), fmt.Sprint(i)); ok && err != nil {
			b.Errorf("lease %d was acknowledged and is not there: %v", i, err)
		}
	}
	b.verified()
}

func mixedRace(b *book) {
	used := b.reach(b.pending(), lease.Active)
	const rounds = 10
	b.grows(rounds*callers/2, func() {
		for round := range rounds {
			for i, err := range b.parallel(callers, func(i int) error {
				l := b.pendingAs(fmt.Sprintf("%d-%d", round, i))
				switch i % 4 {
				case 0:
					l.ID = used.ID // and its ticket
					return b.intend(l, plenty)
				case 1:
					return b.move(lease.Pending, in(used, lease.Refused))
				}
				return b.intend(l, plenty)
			}) {
				if wantsError := i%4 < 2; (err != nil) != wantsError {
					b.Errorf("caller %d got %v", i, err)
				}
			}
		}
	})
	b.holds(used)
}
