package storetest

import (
	"errors"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/google/go-cmp/cmp"
)

var intendTests = map[string]func(*book){
	"an intent comes back as it was stored":                   intentComesBack,
	"only a pending lease can be an intent":                   onlyPending,
	"a ticket buys one exchange":                              oneTicket,
	"a refused intent leaves the ticket unused":               ticketStaysUnused,
	"a denial uses up the ticket":                             denialUsesTicket,
	"a key is bound to job, body and ten minutes":             keyIsBound,
	"the latest of the leases of a key counts":                latestOfKey,
	"a job opens no more leases of a grant than its quota":    quotaHolds,
	"a replay is told before a repeated key or a spent quota": replayFirst,
	"a record of no lease is appended":                        recordAppended,
	"a record that can't be encoded keeps its operation out":  badRecord,
	"an operation whose caller has left is not done":          callerLeft,
	"an unknown lease is not found":                           unknownLease,
}

func intentComesBack(b *book) {
	l := b.pending()
	l.IdempotencyKey, l.RequestDigest = "key", "digest"
	b.grows(1, func() { b.must(b.intend(l, 1)) })
	b.holds(l)
}

func onlyPending(b *book) {
	b.grows(0, func() { b.wants(b.intend(active(b.pending()), plenty), problem.Internal) })
}

func oneTicket(b *book) {
	l, second := b.pending(), b.pending()
	b.must(b.Intend(b.Context(), ticket("one"), l, plenty, record(audit.LeaseIntent, l.ID)))
	b.grows(0, func() {
		b.wants(b.Intend(b.Context(), ticket("one"), second, plenty, record(audit.LeaseIntent, second.ID)), problem.Replayed)
	})
	_, err := b.Lease(b.Context(), second.ID)
	b.wants(err, problem.NotFound)

	foreign := ticket("one")
	foreign.Issuer = "https://ghes.example"
	b.must(b.Intend(b.Context(), foreign, second, plenty, record(audit.LeaseIntent, second.ID)))
}

func ticketStaysUnused(b *book) {
	l := b.pending()
	l.IdempotencyKey = "key"
	b.must(b.intend(l, 1))
	again := b.pending()
	again.IdempotencyKey = "key"
	b.grows(0, func() {
		var repeated *lease.Repeated
		if err := b.intend(again, plenty); !errors.As(err, &repeated) {
			b.Errorf("got %v, want Repeated", err)
		}
		again.IdempotencyKey = ""
		b.wants(b.intend(again, 1), problem.JobQuota)
	})
	b.must(b.intend(again, 2))
}

func denialUsesTicket(b *book) {
	l := b.pending()
	deny := func() error { return b.Deny(b.Context(), ticket("denied"), record(audit.ExchangeDenied, "")) }
	b.grows(1, func() { b.must(deny()) })
	b.grows(0, func() {
		b.wants(deny(), problem.Replayed)
		b.wants(b.Intend(b.Context(), ticket("denied"), l, plenty, record(audit.LeaseIntent, l.ID)), problem.Replayed)
	})
}

func keyIsBound(b *book) {
	same := func(lease.Lease) lease.Lease {
		l := b.pending()
		l.IdempotencyKey, l.RequestDigest = "key", "body"
		return l
	}
	change := func(by func(*lease.Lease)) func(lease.Lease) lease.Lease {
		return func(earlier lease.Lease) lease.Lease { l := same(earlier); by(&l); return l }
	}
	otherBody := change(func(l *lease.Lease) { l.RequestDigest = "another body" })
	later := func(d time.Duration) func(lease.Lease) lease.Lease {
		return change(func(l *lease.Lease) { l.IntentAt = l.IntentAt.Add(d) })
	}
	rows := []struct {
		earlier  lease.State
		name     string
		next     func(lease.Lease) lease.Lease
		repeated bool
	}{
		{lease.Pending, "while pending", same, true},
		{lease.Active, "while active", same, true},
		{lease.Ending, "while ending", same, false},
		{lease.Revoked, "after the end", same, false},
		{lease.Refused, "after a refusal", same, false},
		{lease.Indeterminate, "after a lost answer", same, false},
		{lease.Active, "while active, with another body", otherBody, true},
		{lease.Revoked, "after the end, with another body", otherBody, true},
		{lease.Refused, "after a refusal, with another body", otherBody, true},
		{lease.Active, "just within ten minutes", later(lease.KeyLife - 1), true},
		{lease.Active, "after ten minutes", later(lease.KeyLife), false},
		{lease.Revoked, "after ten minutes, with another body", change(func(l *lease.Lease) { l.RequestDigest, l.IntentAt = "x", l.IntentAt.Add(lease.KeyLife) }), false},
		{lease.Active, "with another key", change(func(l *lease.Lease) { l.IdempotencyKey = "Key" }), false},
		{lease.Active, "with no key", change(func(l *lease.Lease) { l.IdempotencyKey = "" }), false},
	}
	for name, j := range otherJobs() {
		rows = append(rows, struct {
			earlier  lease.State
			name     string
			next     func(lease.Lease) lease.Lease
			repeated bool
		}{lease.Active, "by " + name, change(func(l *lease.Lease) { l.Job = j }), false})
	}
	for i, row := range rows {
		run := int64(10_000 * (i + 1)) // keeps the rows out of each other's way
		first := same(lease.Lease{})
		first.Job.RunID += run
		first = b.reach(first, row.earlier)
		next := row.next(first)
		next.Job.RunID += run
		err := b.intend(next, plenty)
		var repeated *lease.Repeated
		switch {
		case errors.As(err, &repeated) != row.repeated:
			b.Errorf("%s: got %v, want repeated %v", row.name, err, row.repeated)
		case row.repeated:
			if diff := cmp.Diff(first, repeated.Lease); diff != "" {
				b.Errorf("%s: the earlier lease is not told (-want +got):\n%s", row.name, diff)
			}
		default:
			b.must(err)
		}
	}
}

func latestOfKey(b *book) {
	keyed := func(after time.Duration) lease.Lease {
		l := b.pending()
		l.IdempotencyKey, l.IntentAt = "key", start.Add(after)
		return l
	}
	b.reach(keyed(0), lease.Revoked)
	second := b.reach(keyed(time.Second), lease.Revoked)
	third := keyed(2 * time.Second)
	third.RequestDigest = "another body"
	var repeated *lease.Repeated
	if err := b.intend(third, plenty); !errors.As(err, &repeated) || repeated.Lease.ID != second.ID {
		b.Errorf("got %v, want Repeated by %s", err, second.ID)
	}
}

func quotaHolds(b *book) {
	for _, state := range []lease.State{lease.Pending, lease.Active, lease.Revoked, lease.Refused, lease.Refused} {
		b.reach(b.pending(), state)
	}
	b.grows(0, func() { b.wants(b.intend(b.pending(), 3), problem.JobQuota) })
	b.wants(b.intend(b.pending(), 0), problem.JobQuota)

	other := b.pending()
	other.Grant = "deploy"
	b.must(b.intend(other, 1))
	for name, j := range otherJobs() {
		l := b.pending()
		l.Job = j
		if err := b.intend(l, 1); err != nil {
			b.Errorf("%s has a quota of its own, got %v", name, err)
		}
	}
	b.must(b.intend(b.pending(), 4))
	b.wants(b.intend(b.pending(), 4), problem.JobQuota)
}

func replayFirst(b *book) {
	l := b.pending()
	l.IdempotencyKey = "key"
	b.must(b.intend(l, 1))
	b.wants(b.intend(l, 1), problem.Replayed)
}

func recordAppended(b *book) {
	b.grows(1, func() { b.must(b.Record(b.Context(), record(audit.PolicyChanged, ""))) })
}

func badRecord(b *book) {
	l := b.reach(b.pending(), lease.Active)
	bad := audit.Record{Time: start, Event: audit.LeaseEnding, Reason: "\xff"}
	fresh := b.pending()
	b.grows(0, func() {
		for name, err := range map[string]error{
			"intend": b.Intend(b.Context(), ticket("bad"), fresh, plenty, bad),
			"deny":   b.Deny(b.Context(), ticket("bad"), bad),
			"move":   b.Move(b.Context(), lease.Active, in(l, lease.Ending), bad),
			"record": b.Record(b.Context(), bad),
		} {
			if err == nil {
				b.Errorf("%s went on without its record", name)
			}
		}
	})
	b.holds(l)
	b.must(b.Deny(b.Context(), ticket("bad"), record(audit.ExchangeDenied, "")))
}

func unknownLease(b *book) {
	_, err := b.Lease(b.Context(), "nobody's")
	b.wants(err, problem.NotFound)
	_, err = b.ByDigest(b.Context(), [32]byte{1})
	b.wants(err, problem.NotFound)
	b.reach(b.pending(), lease.Refused) // has zero digests
	_, err = b.ByDigest(b.Context(), [32]byte{})
	b.wants(err, problem.NotFound)
}
