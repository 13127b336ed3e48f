package storetest

import (
	"slices"
	"time"

	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/google/go-cmp/cmp"
)

var dueTests = map[string]func(*book){
	"due leases come earliest first":              dueInOrder,
	"a lease is due from its time on, to its end": dueByTime,
	"a claim keeps others off until it runs out":  claimRunsOut,
	"postponing gives up the claim":               postponeFrees,
	"a move keeps the claim":                      moveKeepsClaim,
	"overdue tokens are listed without a claim":   overdueListed,
}

const claim = 30 * time.Second

// due claims leases and gives their ids in order.
func (b *book) due(now time.Time, limit int) []string {
	b.Helper()
	leases, err := b.Due(b.Context(), now, claim, limit)
	b.must(err)
	ids := []string{}
	for _, l := range leases {
		ids = append(ids, l.ID)
		b.holds(l)
	}
	return ids
}

func (b *book) wantsDue(now time.Time, limit int, want ...string) {
	b.Helper()
	if diff := cmp.Diff(append([]string{}, want...), b.due(now, limit)); diff != "" {
		b.Errorf("due (-want +got):\n%s", diff)
	}
}

// dueAt makes a lease that is due at a time.
func (b *book) dueAt(at time.Time) lease.Lease {
	b.Helper()
	l := b.pending()
	l.NextAt = at
	b.must(b.intend(l, plenty))
	return l
}

func dueInOrder(b *book) {
	var want []string
	for i := range 5 {
		want = append(want, b.dueAt(start.Add(time.Duration(10-i)*time.Second)).ID)
	}
	slices.Reverse(want)
	b.wantsDue(start.Add(time.Minute), 3, want[:3]...)
	b.wantsDue(start.Add(time.Minute), 3, want[3:]...)
	b.wantsDue(start.Add(time.Minute), 3)
}

func dueByTime(b *book) {
	l := b.dueAt(start)
	b.wantsDue(start.Add(-1), 10)
	b.wantsDue(start, 10, l.ID)

	for _, state := range []lease.State{lease.Refused, lease.Revoked, lease.Gone, lease.Expired} {
		b.reach(b.pending(), state)
	}
	var want []string
	for _, state := range []lease.State{lease.Pending, lease.Active, lease.Ending, lease.Indeterminate} {
		want = append(want, b.reach(b.pending(), state).ID)
	}
	got := b.due(start.AddDate(1, 0, 0), 10)
	if diff := cmp.Diff(sorted(append(want, l.ID)), sorted(got)); diff != "" {
		b.Errorf("due in a year (-want +got):\n%s", diff)
	}
}

func claimRunsOut(b *book) {
	l := b.dueAt(start)
	b.wantsDue(start, 10, l.ID)
	b.wantsDue(start, 10)
	b.wantsDue(start.Add(claim-1), 10)
	b.wantsDue(start.Add(claim), 10, l.ID)
	b.wantsDue(start.Add(claim), 10)
}

func postponeFrees(b *book) {
	l := b.dueAt(start)
	b.wantsDue(start, 10, l.ID)
	l.NextAt = start.Add(time.Second)
	b.must(b.Postpone(b.Context(), l))
	b.wantsDue(start, 10)
	b.wantsDue(start.Add(time.Second), 10, l.ID)
}

func moveKeepsClaim(b *book) {
	l := b.dueAt(start)
	b.wantsDue(start, 10, l.ID)
	l.State = lease.Indeterminate
	b.must(b.move(lease.Pending, l))
	b.wantsDue(start, 10)
	b.wantsDue(start.Add(claim), 10, l.ID)
}

func overdueListed(b *book) {
	ending := b.reach(b.pending(), lease.Ending)
	active := b.reach(b.pending(), lease.Active)
	for _, state := range []lease.State{lease.Pending, lease.Indeterminate, lease.Revoked} {
		b.reach(b.pending(), state)
	}
	ending.NextAt = start.Add(time.Second)
	b.must(b.Postpone(b.Context(), ending))
	b.wantsDue(ending.NextAt, 1, ending.ID)
	for _, row := range []struct {
		at    time.Time
		limit int
		want  []string
	}{
		{ending.NextAt.Add(-1), 10, nil},
		{ending.NextAt, 10, []string{ending.ID}},
		{active.NextAt, 10, []string{ending.ID, active.ID}},
		{active.NextAt, 1, []string{ending.ID}},
	} {
		leases, err := b.Overdue(b.Context(), row.at, row.limit)
		b.must(err)
		var got []string
		for _, l := range leases {
			got = append(got, l.ID)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			b.Errorf("overdue at %s (-want +got):\n%s", row.at, diff)
		}
	}
}

func sorted(ids []string) []string {
	s := slices.Clone(ids)
	slices.Sort(s)
	return s
}
