package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/google/go-cmp/cmp"
)

var moveTests = map[string]func(*book){
	"each move of the table, and no other":              moveTable,
	"a lease that has moved on moves for nobody else":   movedOn,
	"a move keeps what it is told":                      moveKeeps,
	"the token is wiped at the end, its digests stay":   wiped,
	"a lease ends alone":                                endsAlone,
	"a job's leases are those of exactly that job":      byJob,
	"a digest leads to its lease":                       byDigest,
	"the leases are counted by state":                   counted,
	"postponing keeps four fields and writes no record": postponed,
	"a lease that is over can't be postponed":           notPostponed,
}

func moveTable(b *book) {
	for from := range paths {
		for to := range paths {
			l := b.reach(b.pending(), from)
			next := in(l, to)
			legal := from.CanMove(to)
			records := 0
			if legal {
				records = 1
			}
			b.grows(records, func() {
				err := b.move(from, next)
				switch {
				case legal && err != nil:
					b.Errorf("%s to %s: %v", from, to, err)
				case !legal:
					b.wants(err, problem.Internal)
					next = l
				}
			})
			b.holds(stored(next))
		}
	}
}

func movedOn(b *book) {
	l := b.reach(b.pending(), lease.Ending)
	b.grows(0, func() {
		for _, err := range []error{
			b.move(lease.Active, l), // again
			b.move(lease.Pending, in(l, lease.Refused)),
			b.move(lease.Active, in(b.pending(), lease.Ending)), // unknown
			b.Postpone(b.Context(), in(l, lease.Active)),
			b.Postpone(b.Context(), b.pending()),
		} {
			if !errors.Is(err, lease.ErrMoved) {
				b.Errorf("got %v, want ErrMoved", err)
			}
		}
	})
	b.holds(l)
}

func moveKeeps(b *book) {
	l := b.reach(b.pending(), lease.Active)
	l.State, l.Cause, l.Attempts, l.NextAt = lease.Ending, lease.CauseOperator, 7, start.Add(11*time.Second)
	l.DeletedAt, l.Dead401At = start.Add(9*time.Second), start.Add(10*time.Second)
	l.TokenExpiresAt, l.ExpiresAt = start.Add(40*time.Minute), start.Add(4*time.Minute)
	b.must(b.move(lease.Active, l))
	b.holds(l)
}

func wiped(b *book) {
	for _, end := range []lease.State{lease.Revoked, lease.Gone, lease.Expired} {
		l := active(b.pending())
		b.must(b.intend(in(l, lease.Pending), plenty))
		b.must(b.move(lease.Pending, l))
		b.must(b.move(lease.Active, in(l, lease.Ending)))
		b.must(b.move(lease.Ending, in(l, end))) // still holds its sealed token
		got, err := b.ByDigest(b.Context(), l.TokenDigest)
		b.must(err)
		if got.State != end || got.Sealed != nil {
			b.Errorf("%s: state %s, sealed %q", end, got.State, got.Sealed)
		}
	}
}

func endsAlone(b *book) {
	one, two := b.reach(b.pending(), lease.Active), b.reach(b.pending(), lease.Active)
	b.must(b.move(lease.Active, in(one, lease.Ending)))
	b.must(b.move(lease.Ending, in(one, lease.Revoked)))
	b.holds(two)
}

func byJob(b *book) {
	var want []string
	for _, state := range []lease.State{lease.Pending, lease.Active, lease.Ending, lease.Indeterminate} {
		want = append(want, b.reach(b.pending(), state).ID)
	}
	for _, state := range []lease.State{lease.Refused, lease.Revoked, lease.Gone, lease.Expired} {
		b.reach(b.pending(), state)
	}
	for _, j := range otherJobs() {
		l := b.pending()
		l.Job = j
		b.reach(l, lease.Active)
	}
	check := func(j identity.Job, want ...string) {
		got, err := b.ByJob(b.Context(), j)
		b.must(err)
		var ids []string
		for _, l := range got {
			ids = append(ids, l.ID)
			b.holds(l)
		}
		if diff := cmp.Diff(sorted(want), sorted(ids)); diff != "" {
			b.Errorf("the leases of %v (-want +got):\n%s", j, diff)
		}
	}
	check(job, want...)
	stranger := job
	stranger.RunID = 1
	check(stranger)
}

func byDigest(b *book) {
	l := b.reach(b.pending(), lease.Active)
	b.reach(b.pending(), lease.Active)
	for name, digest := range map[string][32]byte{"token": l.TokenDigest, "handle": l.HandleDigest} {
		got, err := b.ByDigest(b.Context(), digest)
		b.must(err)
		if diff := cmp.Diff(l, got); diff != "" {
			b.Errorf("by the %s's digest (-want +got):\n%s", name, diff)
		}
		digest[31] ^= 1
		_, err = b.ByDigest(b.Context(), digest)
		b.wants(err, problem.NotFound)
	}
}

func counted(b *book) {
	want := map[lease.State]int64{}
	for state := range paths {
		b.reach(b.pending(), state)
		want[state] = 1
	}
	b.reach(b.pending(), lease.Revoked)
	want[lease.Revoked]++
	b.wants(b.intend(b.pending(), 0), problem.JobQuota) // not counted
	if err := b.move(lease.Active, in(b.pending(), lease.Ending)); !errors.Is(err, lease.ErrMoved) {
		b.Errorf("got %v", err)
	}
	got, err := b.Stats(b.Context())
	b.must(err)
	for state, n := range want {
		if got[state] != n {
			b.Errorf("%s: counted %d, want %d", state, got[state], n)
		}
	}
}

func postponed(b *book) {
	l := b.reach(b.pending(), lease.Ending)
	l.Attempts, l.NextAt = 3, start.Add(time.Hour)
	l.DeletedAt, l.Dead401At = start.Add(time.Minute), start.Add(2*time.Minute)
	told := l
	told.Sealed, told.Cause, told.Grant, told.EndedAt = nil, lease.CauseLocked, "other", start
	b.grows(0, func() { b.must(b.Postpone(b.Context(), told)) })
	b.holds(l)
}

func notPostponed(b *book) {
	l := b.reach(b.pending(), lease.Revoked)
	l.NextAt = start
	b.wants(b.Postpone(b.Context(), l), problem.Internal)
	due, err := b.Due(b.Context(), start.AddDate(1, 0, 0), time.Minute, 10)
	b.must(err)
	if len(due) != 0 {
		b.Errorf("a lease that is over is due: %v", due)
	}
}

func callerLeft(b *book) {
	gone, leave := context.WithCancel(b.Context())
	leave()
	l := b.pending()
	b.grows(0, func() {
		for name, err := range map[string]error{
			"intend": b.Intend(gone, ticket("gone"), l, plenty, record(audit.LeaseIntent, l.ID)),
			"record": b.Record(gone, record(audit.PolicyChanged, "")),
		} {
			if !problem.Is(err, problem.StoreUnavailable) || !errors.Is(err, context.Canceled) {
				b.Errorf("%s: got %v, want store_unavailable by context.Canceled", name, err)
			}
		}
	})
	b.must(b.Deny(b.Context(), ticket("gone"), record(audit.ExchangeDenied, "")))
	_, err := b.Lease(gone, l.ID)
	b.wants(err, problem.StoreUnavailable)
}
