package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"golang.org/x/mod/sumdb/note"
)

// A faultySigner fails while told to.
type faultySigner struct {
	note.Signer
	failing atomic.Bool
}

func (f *faultySigner) Sign(msg []byte) ([]byte, error) {
	if f.failing.Load() {
		return nil, errors.New("the key does not answer")
	}
	return f.Signer.Sign(msg)
}

type fixture struct {
	*Store
	t        *testing.T
	path     string
	signer   *faultySigner
	verifier note.Verifier
	now      atomic.Int64 // seconds
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	skey, vkey, err := audit.NewKey("curfew.example.com/audit")
	must(t, err)
	signer, err := note.NewSigner(skey)
	must(t, err)
	verifier, err := note.NewVerifier(vkey)
	must(t, err)
	f := &fixture{t: t, path: filepath.Join(t.TempDir(), "curfew.db"), signer: &faultySigner{Signer: signer}, verifier: verifier}
	f.Store, err = Open(t.Context(), Options{
		URL: "sqlite:" + f.path, Signer: f.signer,
		Now: func() time.Time { return time.Unix(f.now.Load(), 0) },
	})
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) intend(id string) error {
	return f.Intend(f.t.Context(), ticket(id, 1<<30), lease.Lease{ID: id, State: lease.Pending}, 1<<30, event(audit.LeaseIntent))
}

func ticket(jti string, until int64) lease.Ticket {
	return lease.Ticket{Issuer: "https://issuer.example", JTI: jti, Until: time.Unix(until, 0)}
}

func event(e audit.Event) audit.Record { return audit.Record{Time: time.Unix(1, 0), Event: e} }

// verified counts the records of a log that verifies.
func (f *fixture) verified() int64 {
	f.t.Helper()
	checkpoint, err := f.Checkpoint(f.t.Context())
	must(f.t, err)
	report, err := audit.Verify(f.Records(f.t.Context(), 0), checkpoint, f.verifier)
	must(f.t, err)
	if report.Problem != "" {
		f.t.Error(report.Problem)
	}
	return report.Records
}

// unharmed checks that a failed operation left nothing, and that the same now succeeds.
func (f *fixture) unharmed(id string, records int64) {
	f.t.Helper()
	if got := f.verified(); got != records {
		f.t.Errorf("%d records after the failure, want %d", got, records)
	}
	if _, err := f.Lease(f.t.Context(), id); !problem.Is(err, problem.NotFound) {
		f.t.Errorf("a lease without its record: %v", err)
	}
	must(f.t, f.intend(id))
	if got := f.verified(); got != records+1 {
		f.t.Errorf("%d records after the recovery, want %d", got, records+1)
	}
}

func TestWithoutASignatureNothingIsWritten(t *testing.T) {
	f := newFixture(t)
	must(t, f.intend("before"))
	f.signer.failing.Store(true)
	for range 3 {
		if err := f.intend("during"); !problem.Is(err, problem.StoreUnavailable) || !strings.Contains(err.Error(), "the key does not answer") {
			t.Errorf("got %v", err)
		}
	}
	f.signer.failing.Store(false)
	f.unharmed("during", 1)
}

func TestAFullDiskWritesNothingAndPasses(t *testing.T) {
	f := newFixture(t)
	must(t, f.intend("before"))
	must(t, f.write(t.Context(), func(t *transaction) error {
		_, err := t.exec(`PRAGMA max_page_count = 1`) // as far as the file has grown
		return err
	}))
	large := event(audit.PolicyChanged)
	large.Reason = strings.Repeat("x", 200_000)
	err := f.Record(t.Context(), large)
	if !problem.Is(err, problem.StoreUnavailable) || !strings.Contains(err.Error(), "full") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(problem.From(err).Detail, "full") {
		t.Errorf("a client is told %q", problem.From(err).Detail)
	}
	f.unharmed("after", 1)
}

func TestOneBrokenOperationLeavesItsBatchAlone(t *testing.T) {
	f := newFixture(t)
	gate := make(chan struct{})
	busy := make(chan struct{})
	go func() {
		_ = f.write(context.Background(), func(*transaction) error { close(busy); <-gate; return nil })
	}()
	<-busy
	results := map[string]chan error{}
	for _, id := range []string{"first", "broken", "last"} {
		o := &operation{ctx: t.Context(), done: make(chan error, 1), do: func(tx *transaction) error {
			if err := tx.use(ticket(id, 1)); err != nil {
				return err
			}
			if err := tx.append(mustEntry(t, event(audit.Event(id)))); err != nil {
				return err
			}
			if id == "broken" {
				_, err := tx.exec(`INSERT INTO head (id, size, checkpoint) VALUES (2, 0, x'')`) // breaks a constraint
				return err
			}
			return nil
		}}
		must(t, f.enqueue(t.Context(), o))
		results[id] = o.done
	}
	close(gate)
	must(t, <-results["first"])
	must(t, <-results["last"])
	if err := <-results["broken"]; !problem.Is(err, problem.StoreUnavailable) {
		t.Errorf("got %v", err)
	}
	if got := f.verified(); got != 2 {
		t.Errorf("%d records, want 2", got)
	}
	must(t, f.Deny(t.Context(), ticket("broken", 1<<30), event(audit.ExchangeDenied)))
}

func mustEntry(t *testing.T, r audit.Record) entry {
	t.Helper()
	e, err := newEntry(r)
	must(t, err)
	return e
}

func TestACallerIsNotHeldWhileAnotherProgramLocksTheFile(t *testing.T) {
	f := newFixture(t)
	db, err := sql.Open("sqlite", f.path)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`BEGIN IMMEDIATE`)
	must(t, err)
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = f.Intend(soon, ticket("locked out", 1<<30), lease.Lease{ID: "locked out", State: lease.Pending}, 1, event(audit.LeaseIntent))
	if !problem.Is(err, problem.StoreUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_, err = db.Exec(`ROLLBACK`)
	must(t, err)
	must(t, f.intend("next"))
}

func TestTicketsAreForgottenWhenTheirTokensAreTooOld(t *testing.T) {
	f := newFixture(t)
	f.now.Store(1000)
	for i := range 100 {
		must(t, f.Deny(t.Context(), ticket(fmt.Sprint("short", i), 1100), event(audit.ExchangeDenied)))
		must(t, f.Deny(t.Context(), ticket(fmt.Sprint("long", i), 9000), event(audit.ExchangeDenied)))
	}
	f.now.Store(1100)
	must(t, f.Deny(t.Context(), ticket("at 1100", 9000), event(audit.ExchangeDenied)))
	if got := f.tickets(); got != 201 {
		t.Errorf("%d tickets while all tokens could be accepted, want 201", got)
	}
	for second := range int64(20) {
		f.now.Store(1101 + second)
		must(t, f.Deny(t.Context(), ticket(fmt.Sprint("later", second), 9000), event(audit.ExchangeDenied)))
	}
	if got := f.tickets(); got != 121 {
		t.Errorf("%d tickets remain, want the 121 that are needed", got)
	}
	if err := f.Deny(t.Context(), ticket("long7", 9000), event(audit.ExchangeDenied)); !problem.Is(err, problem.Replayed) {
		t.Errorf("got %v", err)
	}
}

func (f *fixture) tickets() (n int) {
	f.t.Helper()
	must(f.t, f.readers.QueryRow(`SELECT count(*) FROM tickets`).Scan(&n))
	return n
}

func TestPingFindsALedgerThatCanNotBeWritten(t *testing.T) {
	f := newFixture(t)
	must(t, f.Ping(t.Context()))
	must(t, f.write(t.Context(), func(t *transaction) error {
		_, err := t.exec(`PRAGMA query_only = 1`)
		return err
	}))
	if err := f.Ping(t.Context()); !problem.Is(err, problem.StoreUnavailable) {
		t.Errorf("got %v", err)
	}
}

// TestQueriesUseTheirIndexes keeps a million leases from slowing what every exchange or sweep asks.
func TestQueriesUseTheirIndexes(t *testing.T) {
	f := newFixture(t)
	for query, plan := range map[string]string{
		dueQuery:      "leases_due",
		byDigestQuery: "leases_token leases_handle",
		byJobQuery:    "leases_job",
		quotaQuery:    "leases_job",
		keyQuery:      "leases_idempotency",
		sweepQuery:    "tickets_expires",
		claimsQuery:   "leases_due",
		orphansQuery:  "leases_due",
		pendingQuery:  "leases_due",
	} {
		rows, err := f.readers.Query(`EXPLAIN QUERY PLAN `+query, make([]any, strings.Count(query, "?"))...)
		must(t, err)
		var got string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			must(t, rows.Scan(&id, &parent, &unused, &detail))
			got += detail + "; "
		}
		must(t, rows.Close())
		for index := range strings.FieldsSeq(plan) {
			if !strings.Contains(got, index) {
				t.Errorf("%s\nhas the plan %s without %s", query, got, index)
			}
		}
		if strings.Contains(strings.ReplaceAll(got, "SCAN leases USING INDEX leases_due", ""), "SCAN leases") {
			t.Errorf("%s\nreads all leases: %s", query, got)
		}
	}
}
