package exchange

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/lease"
)

const (
	sweepEvery = time.Second
	// claimFor is how long a sweep has a due lease for itself; longer than settling one takes.
	claimFor = time.Minute
	// sweepAtOnce is how many leases one sweep settles side by side.
	sweepAtOnce = 16
	// sweepsAtOnce is how many sweeps may be under way, because one waits for
	// GitHub's slowest answer and curfews do not.
	sweepsAtOnce = 8
)

// Run sweeps at once, for curfews that passed while no server ran, and then
// every second until ctx ends. It returns when the sweeps under way are done.
func (h *Hall) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var underWay sync.WaitGroup
	defer underWay.Wait()
	places := make(chan struct{}, sweepsAtOnce)
	for {
		select {
		case places <- struct{}{}:
			underWay.Go(func() {
				defer func() { <-places }()
				if _, err := h.Sweep(ctx); err != nil && ctx.Err() == nil {
					h.log.Error("sweep failed; it goes on", "error", err)
				}
			})
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep brings every lease that is due now one step further, and returns how
// many there were. Active leases past their curfew are ended, endings tried
// again, and intents whose answer never came become indeterminate. While the
// ledger can't be written, it kills the tokens that are due and returns why.
func (h *Hall) Sweep(ctx context.Context) (int, error) {
	swept := 0
	for {
		due, err := h.ledger.Due(ctx, h.now(), claimFor, sweepAtOnce)
		if err != nil {
			return swept, errors.Join(err, h.killOverdue(ctx))
		}
		h.unrecorded.clear()
		if len(due) == 0 {
			return swept, nil
		}
		var side sync.WaitGroup
		for _, l := range due {
			side.Go(func() { h.sweepOne(context.WithoutCancel(ctx), l) })
		}
		side.Wait()
		swept += len(due)
		if ctx.Err() != nil {
			return swept, ctx.Err()
		}
	}
}

func (h *Hall) sweepOne(ctx context.Context, l lease.Lease) {
	var err error
	switch l.State {
	case lease.Pending:
		l = l.Lost()
		err = h.ledger.Move(ctx, lease.Pending, l, lostRecord(l, h.now()))
	case lease.Active:
		err = h.end(ctx, l, lease.CauseCurfew, "")
	case lease.Ending:
		h.settle(ctx, l)
	case lease.Indeterminate:
		l.Cause = lease.CauseGitHub
		l = l.Over(lease.Expired, h.now())
		err = h.ledger.Move(ctx, lease.Indeterminate, l, endedRecord(l, proof{}))
	}
	if err != nil && !errors.Is(err, lease.ErrMoved) {
		h.log.Error("a due lease could not be moved; the next sweep will", "lease_id", l.ID, "state", l.State, "error", err)
	}
}
