package storetest

import (
	"fmt"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/google/go-cmp/cmp"
)

var restartTests = map[string]func(*book){
	"nothing is forgotten":                      nothingForgotten,
	"pending leases become indeterminate":       recovered,
	"more pending leases than fit a batch":      manyRecovered,
	"claims of the process before are void":     claimsVoid,
	"an ending that was never tried is due":     endingsDue,
	"after Close nothing is taken":              closed,
	"the log goes on from where it was":         logGoesOn,
	"a checkpoint kept elsewhere stays a match": keptCheckpoint,
}

func nothingForgotten(b *book) {
	var leases []lease.Lease
	for state := range paths {
		leases = append(leases, b.reach(b.pending(), state))
	}
	b.must(b.Deny(b.Context(), ticket("denied"), record(audit.ExchangeDenied, "")))
	before, counts := b.events(), b.counts()
	b.reopen()
	for _, l := range leases {
		b.holds(l)
		b.wants(b.intend(l2(b.pending(), l.ID), plenty), problem.Replayed)
	}
	b.wants(b.Deny(b.Context(), ticket("denied"), record(audit.ExchangeDenied, "")), problem.Replayed)
	if diff := cmp.Diff(before, b.events()); diff != "" {
		b.Errorf("the log changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(counts, b.counts()); diff != "" {
		b.Errorf("the counts changed (-before +after):\n%s", diff)
	}
	b.verified()
}

// l2 gives l another's id, and with it the other's ticket.
func l2(l lease.Lease, id string) lease.Lease {
	l.ID = id
	return l
}

func (b *book) counts() map[lease.State]int64 {
	b.Helper()
	counts, err := b.Stats(b.Context())
	b.must(err)
	return counts
}

func recovered(b *book) {
	var others []lease.Lease
	for state := range paths {
		if state != lease.Pending {
			others = append(others, b.reach(b.pending(), state))
		}
	}
	tried := b.reach(b.pending(), lease.Ending)
	tried.Attempts = 1
	b.must(b.Postpone(b.Context(), tried))
	l := b.reach(b.pending(), lease.Pending)
	b.reopen()
	now := start.Add(time.Minute)
	b.grows(1, func() { b.recovers(now, 1) })
	b.grows(0, func() { b.recovers(now, 0) })

	l.State, l.Cause = lease.Indeterminate, lease.CauseLost
	l.NextAt, l.TokenExpiresAt = l.IntentAt.Add(time.Hour+time.Minute), l.IntentAt.Add(time.Hour+time.Minute)
	b.holds(l)
	for _, other := range others {
		if other.State == lease.Ending {
			other.NextAt = now
		}
		b.holds(other)
	}
	b.holds(tried)
	var last audit.Record
	for line, err := range b.Records(b.Context(), 0) {
		b.must(err)
		last, err = audit.Decode(line)
		b.must(err)
	}
	want := audit.Record{
		Time: now, Event: audit.LeaseIndeterminate, Lease: l.ID, Job: &l.Job, Grant: l.Grant, Allowed: &l.Scope,
		State: "indeterminate", Cause: "answer_lost",
	}
	if diff := cmp.Diff(want, last); diff != "" {
		b.Errorf("the record of the lost answer (-want +got):\n%s", diff)
	}
}

func (b *book) recovers(now time.Time, want int) {
	b.Helper()
	got, err := b.Recover(b.Context(), now)
	b.must(err)
	if got != want {
		b.Errorf("recovered %d leases, want %d", got, want)
	}
}

func manyRecovered(b *book) {
	const many = 600
	b.parallel(many, func(i int) error {
		l := b.pendingAs(fmt.Sprintf("many-%d", i))
		return b.Intend(b.Context(), ticket(l.ID), l, plenty, record(audit.LeaseIntent, l.ID))
	})
	b.grows(many, func() { b.recovers(start, many) })
}

func claimsVoid(b *book) {
	l := b.dueAt(start)
	b.wantsDue(start, 10, l.ID)
	b.must(b.move(lease.Pending, in(l, lease.Indeterminate)))
	b.reopen()
	b.wantsDue(start, 10)
	b.recovers(start, 0)
	b.wantsDue(start, 10, l.ID)
}

func endingsDue(b *book) {
	begun, tried := b.reach(b.pending(), lease.Ending), b.reach(b.pending(), lease.Ending)
	tried.Attempts = 1
	b.must(b.Postpone(b.Context(), tried))
	b.reopen()
	b.recovers(start.Add(time.Second), 0)
	b.wantsDue(start.Add(time.Second), 10, begun.ID)
}

func closed(b *book) {
	l := b.reach(b.pending(), lease.Active)
	b.must(b.Close())
	b.must(b.Close())
	b.wants(b.intend(b.pending(), plenty), problem.StoreUnavailable)
	_, err := b.Lease(b.Context(), l.ID)
	b.wants(err, problem.StoreUnavailable)
}

func logGoesOn(b *book) {
	for i := range 20 {
		b.grows(i, func() {
			for range i {
				b.must(b.Record(b.Context(), record(audit.PolicyChanged, "")))
			}
		})
		b.reopen()
	}
}

func keptCheckpoint(b *book) {
	var kept [][]byte
	for range 5 {
		b.must(b.Record(b.Context(), record(audit.PolicyChanged, "")))
		checkpoint, err := b.Checkpoint(b.Context())
		b.must(err)
		kept = append(kept, checkpoint)
	}
	b.reopen()
	report, err := audit.Verify(b.Records(b.Context(), 0), kept[4], b.backend.Verifier, kept...)
	b.must(err)
	if report.Problem != "" || report.Kept != len(kept) {
		b.Errorf("got %+v", report)
	}
}
