package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// A history is what the audit log tells of one lease.
type history struct {
	events []string
	state  lease.State
	intent time.Time
	token  string // SHA-256 in base64
	jti    string
	ended  time.Time
}

// histories follow the audit log as it grows.
type histories struct {
	*world
	read int64
	of   map[string]*history // by lease
}

func newHistories(w *world) *histories { return &histories{world: w, of: map[string]*history{}} }

// follow reads what has been written since.
func (h *histories) follow() {
	h.t.Helper()
	for _, r := range h.records(h.read) {
		h.read++
		if r.Lease == "" {
			continue
		}
		l := h.of[r.Lease]
		if l == nil {
			l = &history{intent: r.Time, jti: r.JTI}
			h.of[r.Lease] = l
		}
		l.events = append(l.events, strings.TrimPrefix(string(r.Event), "lease."))
		l.state = lease.State(r.State)
		if r.TokenSHA256 != "" {
			l.token = r.TokenSHA256
		}
		if r.Event == audit.LeaseEnded {
			l.ended = r.Time
		}
	}
}

// ever tells how many leases had an event.
func (h *histories) ever(event string) (n int) {
	for _, l := range h.of {
		n += one(slices.Contains(l.events, event))
	}
	return n
}

// count tells how many leases are in one of the states.
func (h *histories) count(states ...lease.State) (n int) {
	for _, l := range h.of {
		if slices.Contains(states, l.state) {
			n++
		}
	}
	return n
}

// hold checks a server that was just started again: nothing is left between
// intent and answer, and each token that is alive has a lease that ends it, or is
// one of those that GitHub may have made for an indeterminate lease.
func (h *histories) hold() {
	h.t.Helper()
	h.follow()
	if n := h.count(lease.Pending); n > 0 {
		h.t.Errorf("%d leases are pending after the restart", n)
	}
	alive, _ := leaseTokens(h.github.AliveTokens())
	if lost, may := len(h.without(alive, lease.Active, lease.Ending)), h.count(lease.Indeterminate); lost > may {
		h.t.Errorf("%d tokens are alive without a lease that ends them; only %d leases are indeterminate", lost, may)
	}
}

// without picks the tokens that no lease in one of the states knows; without states, that no lease knows at all.
func (h *histories) without(tokens []simulator.Mint, states ...lease.State) (lost []simulator.Mint) {
	known := map[string]bool{}
	for _, l := range h.of {
		known[l.token] = known[l.token] || len(states) == 0 || slices.Contains(states, l.state)
	}
	for _, m := range tokens {
		if !known[digestOf(m.Token)] {
			lost = append(lost, m)
		}
	}
	return lost
}

func digestOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// alive counts the tokens that work though their leases were in this state when the log was last read.
func (h *histories) alive(state lease.State) int {
	h.t.Helper()
	h.follow()
	tokens, _ := leaseTokens(h.github.AliveTokens())
	return len(tokens) - len(h.without(tokens, state))
}

// recover lets the server live until every token that a lease knows is dead, and then stops it gracefully.
func (w *wreck) recover(h *histories) {
	w.t.Helper()
	_, before := leaseTokens(w.github.AliveTokens())
	w.begin("")
	h.hold()
	w.eventually("every token that a lease knows is dead", func() bool {
		return h.alive(lease.Active)+h.alive(lease.Ending) == 0
	})
	w.stopGracefully()
	w.auditVerifies()
	h.hold()
	if h.count(lease.Active) > 0 {
		w.t.Errorf("%d leases are active after their curfew", h.count(lease.Active))
	}
	if _, after := leaseTokens(w.github.AliveTokens()); len(after) > len(before) {
		w.t.Error("a server that was stopped gracefully left a token for reading behind")
	}
}

// expire puts the clock forward, over the database that the last life left. Two
// 401 prove the tokens gone that died in a crash. No indeterminate lease ends
// sooner than intent + 1 h + 60 s, and each ends then. GitHub's hour ends the rest.
func (w *wreck) expire(h *histories) {
	w.t.Helper()
	hall, first, last := w.reopen(h)
	sweep := func(at time.Time) int {
		if wait := at.Sub(w.ahead.now()); wait > 0 {
			w.ahead.put(wait)
		}
		n, err := hall.Sweep(w.t.Context())
		w.must(err)
		h.follow()
		return n
	}
	begun := w.ahead.now()
	for _, after := range []time.Duration{0, 70 * time.Second, 80 * time.Second} {
		sweep(begun.Add(after))
	}
	if n := h.count(lease.Active, lease.Ending); n > 0 {
		w.t.Errorf("%d tokens are not yet proven dead", n)
	}
	if waiting := h.count(lease.Indeterminate); waiting > 0 {
		if n := sweep(first.Add(-10 * time.Second)); n != 0 {
			w.t.Errorf("%d indeterminate leases were due too early", n)
		}
		if n := sweep(last); n != waiting {
			w.t.Errorf("%d of %d indeterminate leases were due at the end of GitHub's hour", n, waiting)
		}
	}
	if n := len(h.of) - h.count(lease.Refused, lease.Revoked, lease.Gone, lease.Expired); n > 0 {
		w.t.Errorf("%d leases reached no end", n)
	}
	w.ahead.put(time.Hour)
	if n := len(w.github.AliveTokens()); n > 0 {
		w.t.Errorf("%d tokens outlive GitHub's hour", n)
	}
	w.auditVerifies()
}

// reopen makes a hall over the ledger of a server that has stopped, and tells when the
// first and the last of the indeterminate leases are due.
func (w *wreck) reopen(h *histories) (_ *exchange.Hall, first, last time.Time) {
	w.t.Helper()
	parts := w.openParts()
	for id, l := range h.of {
		row, err := parts.Ledger.Lease(w.t.Context(), id)
		w.must(err)
		if row.State != l.state {
			w.t.Errorf("lease %s is %s, the log says %s", id, row.State, l.state)
		}
		if l.state != lease.Indeterminate {
			continue
		}
		if want := row.IntentAt.Add(time.Hour + time.Minute); !row.NextAt.Equal(want) {
			w.t.Errorf("an indeterminate lease of %s is due at %s, want %s", row.IntentAt, row.NextAt, want)
		}
		if first.IsZero() || row.NextAt.Before(first) {
			first = row.NextAt
		}
		if row.NextAt.After(last) {
			last = row.NextAt
		}
	}
	return exchange.New(parts), first, last
}

// paths are the ways that a lease can take through the audit log.
var paths = []string{
	"intent refused", "intent issued ending ended", "intent ending ended", "intent indeterminate ended",
}

// conserved checks the whole story at its end: what clients got, what the
// ledger tells, and what GitHub made, add up.
func (h *histories) conserved(clients []grantedToken) {
	h.t.Helper()
	byToken, byJTI, issued := map[string]*history{}, map[string]bool{}, map[string]bool{}
	for id, l := range h.of {
		path := strings.Join(l.events, " ")
		if !slices.Contains(paths, path) {
			h.t.Errorf("lease %s took the path %q", id, path)
		}
		if byJTI[l.jti] {
			h.t.Errorf("one OIDC token opened two leases, one of them %s", id)
		}
		byJTI[l.jti] = true
		if l.token != "" && byToken[l.token] != nil {
			h.t.Errorf("two leases have one token, one of them %s", id)
		}
		byToken[l.token] = l
		issued[id] = strings.HasPrefix(path, "intent issued")
	}
	for _, c := range clients {
		if c.TokenSHA256 != digestOf(c.AccessToken) || byToken[c.TokenSHA256] != h.of[c.LeaseID] || !issued[c.LeaseID] {
			h.t.Errorf("a client has a token of lease %s that no issued record tells of", c.LeaseID)
		}
	}
	delete(byToken, "")
	minted, _ := leaseTokens(h.github.Mints())
	if lost, may := len(h.without(minted)), h.ever("indeterminate"); lost > may || lost+len(byToken) != len(minted) {
		h.t.Errorf("%d tokens were minted; leases know %d, and %d may be unknown", len(minted), len(byToken), may)
	}
	for _, m := range minted {
		l := byToken[digestOf(m.Token)]
		if l != nil && l.state == lease.Revoked && (m.RevokedAt.IsZero() || m.RevokedAt.After(l.ended)) {
			h.t.Errorf("a lease was called revoked at %s, its token died at %s", l.ended, m.RevokedAt)
		}
	}
	h.intended(minted)
}

// intended checks that each mint came after an intent of its own.
func (h *histories) intended(minted []simulator.Mint) {
	var intents []time.Time
	for _, l := range h.of {
		intents = append(intents, l.intent)
	}
	slices.SortFunc(intents, time.Time.Compare)
	for i, m := range minted {
		if i >= len(intents) || intents[i].After(m.Time) {
			h.t.Fatalf("mint %d of %s has no intent before it", i+1, m.Time)
		}
	}
}

// attribute counts leases and tokens for the phase in which they began.
func (h *histories) attribute(phases []*phase) {
	minted, readers := leaseTokens(h.github.Mints())
	lost := h.without(minted)
	readers = slices.DeleteFunc(readers, func(m simulator.Mint) bool { return !m.RevokedAt.IsZero() })
	for _, p := range phases {
		p.minted, p.lost, p.readers = p.within(minted), p.within(lost), p.within(readers)
		for _, l := range h.of {
			if l.intent.Before(p.from) || l.intent.After(p.until) {
				continue
			}
			p.leases++
			p.terminal += one(l.state.Terminal())
			p.issued += one(slices.Contains(l.events, "issued"))
			p.indeterminate += one(slices.Contains(l.events, "indeterminate"))
		}
	}
}

func one(holds bool) int {
	if holds {
		return 1
	}
	return 0
}

func (p *phase) within(mints []simulator.Mint) (n int) {
	for _, m := range mints {
		n += one(!m.Time.Before(p.from) && !m.Time.After(p.until))
	}
	return n
}

func countsOf(phases []*phase) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "killed at\truns\tkilled\tleases\tissued\tminted\tknown to no lease\tindeterminate\talive beyond these\treached an end\treplays refused\treader tokens left\t")
	for _, p := range phases {
		_, _ = fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", p.step, p.runs, p.killed,
			p.leases, p.issued, p.minted, p.lost, p.indeterminate, max(0, p.lost-p.indeterminate), p.terminal, p.replayed, p.readers)
	}
	_ = t.Flush() // a strings.Builder takes everything
	return b.String()
}
