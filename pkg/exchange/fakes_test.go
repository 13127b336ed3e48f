package exchange_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

type rules struct {
	served map[int64]bool
	set    *policy.Set
	err    error
	asked  int
}

func (r *rules) Serves(from string, owner int64) bool { return from == issuer && r.served[owner] }

func (r *rules) Rules(context.Context, string, policy.Target) (*policy.Set, error) {
	r.asked++
	return r.set, r.err
}

type github struct {
	now func() time.Time

	mu      sync.Mutex
	alive   map[string]bool
	mints   int
	revokes int
	probes  int

	minting  func()                          // before a mint is answered
	answer   func(*scope.Granted)            // changes what a mint answers
	mintErr  error                           // instead of a token
	onRevoke func(token string) (int, error) // instead of an honest answer; status 0 and no error: the honest one
	onProbe  func(token string) (int, error)
}

func (g *github) Mint(_ context.Context, want scope.Scope) (secret.Text, scope.Granted, error) {
	if g.minting != nil {
		g.minting()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mints++
	if g.mintErr != nil {
		return secret.Text{}, scope.Granted{}, g.mintErr
	}
	token := fmt.Sprintf("ghs_canary%06d", g.mints)
	g.alive[token] = true
	granted := scope.Granted{Scope: want, ExpiresAt: g.now().Add(time.Hour)}
	granted.Permissions = scope.Permissions{"metadata": scope.Read}
	for name, level := range want.Permissions {
		granted.Permissions[name] = level
	}
	if g.answer != nil {
		g.answer(&granted)
	}
	return secret.New(token), granted, nil
}

func (g *github) Revoke(_ context.Context, token secret.Text) (int, error) {
	if g.onRevoke != nil {
		if status, err := g.onRevoke(token.Reveal()); status != 0 || err != nil {
			return status, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.revokes++
	if !g.alive[token.Reveal()] {
		return 401, nil
	}
	g.alive[token.Reveal()] = false
	return 204, nil
}

func (g *github) Probe(_ context.Context, token secret.Text) (int, error) {
	if g.onProbe != nil {
		if status, err := g.onProbe(token.Reveal()); status != 0 || err != nil {
			return status, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probes++
	if g.alive[token.Reveal()] {
		return 200, nil
	}
	return 401, nil
}

func (g *github) living() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, alive := range g.alive {
		if alive {
			n++
		}
	}
	return n
}

type ledger struct {
	exchange.Ledger
	mu      sync.Mutex
	records []audit.Record
	// before is called ahead of each write with its name and record; its error is the write's.
	before func(write string, r audit.Record) error
}

func (l *ledger) write(name string, r audit.Record, do func() error) error {
	if l.before != nil {
		if err := l.before(name, r); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if r.Event != "" {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.records = append(l.records, r)
	}
	return nil
}

func (l *ledger) taken() []audit.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

func (l *ledger) Intend(ctx context.Context, t lease.Ticket, i lease.Lease, quota int, r audit.Record) error {
	return l.write("intend", r, func() error { return l.Ledger.Intend(ctx, t, i, quota, r) })
}

func (l *ledger) Deny(ctx context.Context, t lease.Ticket, r audit.Record) error {
	return l.write("deny", r, func() error { return l.Ledger.Deny(ctx, t, r) })
}

func (l *ledger) Move(ctx context.Context, from lease.State, to lease.Lease, r audit.Record) error {
	return l.write("move", r, func() error { return l.Ledger.Move(ctx, from, to, r) })
}

func (l *ledger) Postpone(ctx context.Context, to lease.Lease) error {
	return l.write("postpone", audit.Record{}, func() error { return l.Ledger.Postpone(ctx, to) })
}

func (l *ledger) broken(events ...audit.Event) {
	l.before = func(_ string, r audit.Record) error {
		if slices.Contains(events, r.Event) {
			return problem.New(problem.StoreUnavailable, "the ledger can't be written").WithHint("look at the disk")
		}
		return nil
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
