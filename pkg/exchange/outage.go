package exchange

import (
	"context"
	"maps"
	"sync"

	"github.com/curfew-dev/curfew/pkg/lease"
)

// A graveyard holds the leases whose tokens were seen dead while the ledger
// could not be written. Their records are made up for once it can.
type graveyard struct {
	mu   sync.Mutex
	dead map[string]bool
}

func (g *graveyard) bury(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead == nil {
		g.dead = map[string]bool{}
	}
	g.dead[id] = true
}

func (g *graveyard) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = nil
}

func (g *graveyard) list() map[string]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := maps.Clone(g.dead)
	if list == nil {
		list = map[string]bool{}
	}
	return list
}

// killOverdue is the sweep of a ledger that can be read and not written: tokens
// past their curfew die all the same, each once.
func (h *Hall) killOverdue(ctx context.Context) error {
	seen := h.unrecorded.list()
	for ctx.Err() == nil {
		overdue, err := h.ledger.Overdue(ctx, h.now(), len(seen)+sweepAtOnce)
		if err != nil {
			return err
		}
		var side sync.WaitGroup
		fresh := 0
		for _, l := range overdue {
			if seen[l.ID] {
				continue
			}
			seen[l.ID] = true
			fresh++
			side.Go(func() { h.killUnrecorded(context.WithoutCancel(ctx), l) })
		}
		side.Wait()
		if fresh == 0 {
			return nil
		}
	}
	return ctx.Err()
}

func (h *Hall) killUnrecorded(ctx context.Context, l lease.Lease) {
	token, err := h.sealer.Open(l.ID, l.Sealed)
	if err == nil {
		var p proof
		if p, err = h.kill(ctx, &l, token); p.probe == statusDead {
			h.unrecorded.bury(l.ID)
		}
	}
	if err != nil {
		h.log.Warn("a token past its curfew is not yet dead, and the ledger can't be written", "lease_id", l.ID, "error", err)
	}
}
