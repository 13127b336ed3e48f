package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"flag"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/store"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// BenchmarkLedger does the ledger's part of an exchange, Intend and Move, as one operation.
func BenchmarkLedger(b *testing.B) {
	signer, _ := newKey(b)
	path := filepath.Join(b.TempDir(), "curfew.db")
	s := open(b, path, signer)
	if *stored > 0 {
		must(b, s.Close())
		fill(b, path, signer)
		s = open(b, path, signer)
	}
	var serial atomic.Int64
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			before := cpu(b)
			b.ResetTimer()
			run(b, callers, func() {
				if err := exchange(b.Context(), s, serial.Add(1)); err != nil {
					b.Error(err)
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// BenchmarkVerify does what `curfew audit verify` does, on the log of so many -stored leases.
func BenchmarkVerify(b *testing.B) {
	signer, verifier := newKey(b)
	path := filepath.Join(b.TempDir(), "curfew.db")
	must(b, open(b, path, signer).Close())
	fill(b, path, signer)
	for b.Loop() {
		log, err := store.OpenReadOnly(b.Context(), "sqlite:"+path)
		must(b, err)
		report, err := audit.Verify(log.Records(b.Context(), 0), log.Checkpoint(), verifier)
		must(b, err)
		if report.Problem != "" {
			b.Fatal(report.Problem)
		}
		must(b, log.Close())
		b.ReportMetric(float64(report.Records), "records")
	}
}

var stored = flag.Int("stored", 0, "leases in the ledger before BenchmarkLedger begins, with three audit records each")

// fill stores leases that are over and their records, as a server of some months has them.
func fill(b *testing.B, path string, signer note.Signer) {
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	must(b, err)
	defer func() { must(b, db.Close()) }()
	db.SetMaxOpenConns(1)
	tx, err := db.Begin()
	must(b, err)
	_, err = tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < ?)
		INSERT INTO leases (id, state, issuer, repository_id, run_id, run_attempt, check_run_id, grant_name, owner, owner_id, repositories, permissions,
			intent_at, issued_at, expires_at, token_expires_at, ended_at, token_digest, handle_digest, request_digest, cause)
		SELECT printf('01900000-0000-7000-8000-%012d', i), 'revoked', 'https://token.actions.githubusercontent.com', 3001, 1000000000 + i, 1, 2000000000 + i,
			'release', 'acme', 1001, '[{"id":3001,"name":"web"}]', 'contents:write', i, i, i, i, i, randomblob(32), randomblob(32), '', 'post' FROM n`, *stored)
	must(b, err)
	var tree audit.Tree
	insert, err := tx.Prepare(`INSERT INTO records (n, hashes, line) VALUES (?, ?, ?)`)
	must(b, err)
	line := bytes.Repeat([]byte("x"), 600)
	for n := range 3 * *stored {
		var hashes []byte
		for _, h := range tree.Append(tlog.RecordHash(line)) {
			hashes = append(hashes, h[:]...)
		}
		_, err := insert.Exec(n, hashes, line)
		must(b, err)
	}
	checkpoint, err := audit.Checkpoint{Origin: signer.Name(), Size: tree.Size(), Root: tree.Root()}.Sign(signer)
	must(b, err)
	_, err = tx.Exec(`UPDATE head SET size = ?, checkpoint = ?`, tree.Size(), checkpoint)
	must(b, err)
	must(b, tx.Commit())
}

// run spreads b.N calls over so many goroutines.
func run(b *testing.B, callers int, call func()) {
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	for range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for left.Add(-1) >= 0 {
				call()
			}
		}()
	}
	for range callers {
		<-done
	}
}

// cpu is the time that this process has computed so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func exchange(ctx context.Context, s *store.Store, n int64) error {
	now := time.Now()
	id := uuid.Must(uuid.NewV7()).String()
	job := identity.Job{Issuer: "https://token.actions.githubusercontent.com", RepositoryID: 3001, RunID: 7_000_000_000 + n, RunAttempt: 1, CheckRunID: 30_000_000_000 + n}
	allowed := scope.Scope{Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: 3001, Name: "web"}}, Permissions: scope.Permissions{"contents": scope.Write}}
	l := lease.Lease{
		ID: id, State: lease.Pending, Job: job, Grant: "release", Scope: allowed,
		IntentAt: now, ExpiresAt: now.Add(10 * time.Minute), TokenExpiresAt: now.Add(time.Hour), NextAt: now.Add(time.Hour),
	}
	r := audit.Record{
		Time: now, Event: audit.LeaseIntent, Correlation: id, Lease: id, Job: &job, JTI: id, SourceIP: "203.0.113.7", Grant: "release",
		Claims: map[string]string{
			"repository": "acme/web", "repository_id": "3001", "repository_owner": "acme", "repository_owner_id": "1001", "ref": "refs/heads/main",
			"workflow_ref": "acme/web/.github/workflows/release.yml@refs/heads/main", "event_name": "push", "actor": "octocat", "actor_id": "583231",
			"run_id": "7000000000", "run_attempt": "1", "runner_environment": "github-hosted", "sub": "repo:acme/web:ref:refs/heads/main",
		},
		Requested: &audit.Request{Owner: "acme", Repositories: []string{"web"}, Permissions: allowed.Permissions, Seconds: 600}, Allowed: &allowed,
		Policies: []audit.Policy{{Origin: "operator", Path: "acme.yaml", Digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}},
	}
	ticket := lease.Ticket{Issuer: job.Issuer, JTI: id, Until: now.Add(5 * time.Minute)}
	if err := s.Intend(ctx, ticket, l, 3, r); err != nil {
		return err
	}
	l.State, l.IssuedAt, l.NextAt = lease.Active, now, l.ExpiresAt
	l.Sealed = make([]byte, 600)
	l.TokenDigest, l.HandleDigest = sha256.Sum256([]byte(id)), sha256.Sum256([]byte(id+"h"))
	issued := audit.Record{
		Time: now, Event: audit.LeaseIssued, Correlation: id, Lease: id, Job: &job, Grant: "release", Granted: &allowed,
		ExpiresAt: &l.ExpiresAt, TokenSHA256: "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", State: "active", Mint: 201,
	}
	return s.Move(ctx, lease.Pending, l, issued)
}
