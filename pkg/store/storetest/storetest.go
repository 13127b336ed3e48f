// Package storetest is the conformance suite of ledgers: each sentence that the
// exchange relies on is a test here, and every database runs them all.
package storetest

import (
	"context"
	"crypto/sha256"
	"iter"
	"strconv"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// A Ledger is what the exchange, the start and the auditor need of a database.
type Ledger interface {
	Intend(ctx context.Context, t lease.Ticket, l lease.Lease, quota int, r audit.Record) error
	Deny(ctx context.Context, t lease.Ticket, r audit.Record) error
	Move(ctx context.Context, from lease.State, l lease.Lease, r audit.Record) error
	Postpone(ctx context.Context, l lease.Lease) error
	Due(ctx context.Context, now time.Time, claim time.Duration, limit int) ([]lease.Lease, error)
	Overdue(ctx context.Context, now time.Time, limit int) ([]lease.Lease, error)
	Record(ctx context.Context, r audit.Record) error
	Lease(ctx context.Context, id string) (lease.Lease, error)
	ByDigest(ctx context.Context, digest [sha256.Size]byte) (lease.Lease, error)
	ByJob(ctx context.Context, j identity.Job) ([]lease.Lease, error)

	Recover(ctx context.Context, now time.Time) (int, error)
	Stats(ctx context.Context) (map[lease.State]int64, error)
	Records(ctx context.Context, from int64) iter.Seq2[[]byte, error]
	Checkpoint(ctx context.Context) ([]byte, error)
	Close() error
}

// A Backend is a database under test.
type Backend struct {
	// Open opens the ledger at a place, an empty folder's path at first. The same
	// place again is the same ledger.
	Open func(t *testing.T, place string) Ledger
	// Verifier checks the checkpoints that the ledgers sign.
	Verifier note.Verifier
}

// Run holds a backend to every test of the suite.
func Run(t *testing.T, b Backend) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*book)
	}{
		{"intend", intendTests}, {"move", moveTests}, {"due", dueTests}, {"restart", restartTests}, {"race", raceTests},
	} {
		for name, test := range group.tests {
			t.Run(group.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				place := t.TempDir()
				test(&book{T: t, Ledger: b.Open(t, place), backend: b, place: place})
			})
		}
	}
}

// A book is one test's ledger. When the test is over, its audit log must verify.
type book struct {
	*testing.T
	Ledger
	backend Backend
	place   string
	serial  int
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

var job = identity.Job{Issuer: "https://issuer.example", RepositoryID: 3001, RunID: 77, RunAttempt: 1, CheckRunID: 501}

// otherJobs differ from job in one thing each.
func otherJobs() map[string]identity.Job {
	others := map[string]identity.Job{}
	change := func(name string, by func(*identity.Job)) {
		j := job
		by(&j)
		others[name] = j
	}
	change("another issuer", func(j *identity.Job) { j.Issuer = "https://ghes.example" })
	change("another repository", func(j *identity.Job) { j.RepositoryID++ })
	change("another run", func(j *identity.Job) { j.RunID++ })
	change("another attempt", func(j *identity.Job) { j.RunAttempt++ })
	change("another job of the run", func(j *identity.Job) { j.CheckRunID++ })
	change("a job without a check run", func(j *identity.Job) { j.CheckRunID = 0 })
	return others
}

// pending makes a lease that nothing else is equal to.
func (b *book) pending() lease.Lease {
	b.serial++
	return lease.Lease{
		ID: "lease-" + strconv.Itoa(1000+b.serial), State: lease.Pending, Job: job, Grant: "release",
		Scope: scope.Scope{
			Owner: "acme", OwnerID: 1001,
			Repositories: []scope.Repository{{ID: 3001, Name: "web"}, {ID: 3002, Name: "svc-a"}},
			Permissions:  scope.Permissions{"contents": scope.Write, "issues": scope.Read},
		},
		IntentAt: start, ExpiresAt: start.Add(10 * time.Minute), TokenExpiresAt: start.Add(time.Hour), NextAt: start.Add(time.Minute),
	}
}

// active is what becomes of a pending lease when GitHub has minted.
func active(l lease.Lease) lease.Lease {
	l.State, l.IssuedAt, l.NextAt = lease.Active, start.Add(time.Second), l.ExpiresAt
	l.TokenExpiresAt = start.Add(time.Hour + time.Second)
	l.Scope.Permissions = scope.Permissions{"contents": scope.Write, "issues": scope.Read, "metadata": scope.Read}
	l.Sealed = []byte("sealed token of " + l.ID)
	l.TokenDigest = sha256.Sum256([]byte("token of " + l.ID))
	l.HandleDigest = sha256.Sum256([]byte("handle of " + l.ID))
	return l
}

// in is a lease on its way to a state.
func in(l lease.Lease, state lease.State) lease.Lease {
	l.State = state
	if state.Terminal() {
		l.EndedAt = start.Add(time.Minute)
	}
	return l
}

func ticket(jti string) lease.Ticket {
	return lease.Ticket{Issuer: job.Issuer, JTI: jti, Until: start.AddDate(100, 0, 0)}
}

func record(e audit.Event, id string) audit.Record {
	return audit.Record{Time: start, Event: e, Lease: id}
}

const plenty = 1000 // a quota that no test reaches

// intend records an intent with a ticket of its own.
func (b *book) intend(l lease.Lease, quota int) error {
	return b.Intend(b.Context(), ticket("jti of "+l.ID), l, quota, record(audit.LeaseIntent, l.ID))
}

// move records a move.
func (b *book) move(from lease.State, l lease.Lease) error {
	return b.Move(b.Context(), from, l, record("lease."+audit.Event(l.State), l.ID))
}

// must ends the test for an error.
func (b *book) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// wants checks for a refusal.
func (b *book) wants(err error, code problem.Code) {
	b.Helper()
	if !problem.Is(err, code) {
		b.Errorf("got %v, want %s", err, code)
	}
}

// holds checks that the ledger has this lease.
func (b *book) holds(want lease.Lease) {
	b.Helper()
	got, err := b.Lease(b.Context(), want.ID)
	b.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("lease %s is not as it was stored (-want +got):\n%s", want.ID, diff)
	}
}

// reach brings a new lease into a state by legal moves and gives it as the ledger must have it.
func (b *book) reach(l lease.Lease, state lease.State) lease.Lease {
	b.Helper()
	b.must(b.intend(l, plenty))
	for from, path := lease.Pending, paths[state]; len(path) > 0; path = path[1:] {
		if path[0] == lease.Active {
			l = active(l)
		}
		l = in(l, path[0])
		b.must(b.move(from, l))
		from = path[0]
	}
	return stored(l)
}

// paths are the ways to the states.
var paths = map[lease.State][]lease.State{
	lease.Pending: {}, lease.Active: {lease.Active}, lease.Refused: {lease.Refused}, lease.Indeterminate: {lease.Indeterminate},
	lease.Ending:  {lease.Active, lease.Ending},
	lease.Revoked: {lease.Active, lease.Ending, lease.Revoked},
	lease.Gone:    {lease.Active, lease.Ending, lease.Gone},
	lease.Expired: {lease.Active, lease.Ending, lease.Expired},
}

// stored is a lease as it comes back: terminal ones have no token and are never due.
func stored(l lease.Lease) lease.Lease {
	if l.State.Terminal() {
		l.Sealed, l.NextAt = nil, time.Time{}
	}
	return l
}

// events lists the events of the log in order, each with its lease.
func (b *book) events() []string {
	b.Helper()
	var list []string
	for line, err := range b.Records(b.Context(), 0) {
		b.must(err)
		r, err := audit.Decode(line)
		b.must(err)
		list = append(list, string(r.Event)+" "+r.Lease)
	}
	return list
}

// verified checks the audit log against its checkpoint and counts its records.
func (b *book) verified() int {
	b.Helper()
	checkpoint, err := b.Checkpoint(b.Context())
	b.must(err)
	report, err := audit.Verify(b.Records(b.Context(), 0), checkpoint, b.backend.Verifier)
	b.must(err)
	if report.Problem != "" {
		b.Errorf("the audit log does not verify: %s", report.Problem)
	}
	return int(report.Records)
}

// grows checks that a step adds so many records to a log that verifies.
func (b *book) grows(by int, step func()) {
	b.Helper()
	before := b.verified()
	step()
	if got := b.verified() - before; got != by {
		b.Errorf("the log grew by %d records, want %d", got, by)
	}
}

// reopen closes the ledger and opens it again.
func (b *book) reopen() {
	b.Helper()
	b.must(b.Close())
	b.Ledger = b.backend.Open(b.T, b.place)
}
