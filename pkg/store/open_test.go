package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/store"
	"golang.org/x/mod/sumdb/note"
)

// open opens a ledger that is closed with the test.
func open(t testing.TB, path string, signer note.Signer) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// newPath is where a ledger may come to be; its name holds what URIs give a meaning to.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "a b?c#d%20.db") }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// edit changes a closed or open database behind the store's back.
func edit(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	must(t, err)
	defer func() { must(t, db.Close()) }()
	for _, s := range statements {
		_, err := db.Exec(s)
		must(t, err)
	}
}

func TestDatabaseURLs(t *testing.T) {
	signer, _ := newKey(t)
	for source, says := range map[string]string{
		"":                      "use sqlite:PATH",
		"curfew.db":             "use sqlite:PATH",
		"sqlite:":               "use sqlite:PATH",
		"mysql:x":               "use sqlite:PATH",
		"sqlite::memory:":       "memory",
		"postgres://host/db":    "PostgreSQL",
		"postgresql://host/db":  "PostgreSQL",
		"sqlite:/no/such/dir/x": "no such file",
	} {
		if _, err := store.Open(t.Context(), store.Options{URL: source, Signer: signer}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want it to say %q", source, err, says)
		}
	}
	if _, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + newPath(t)}); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("without a signer: got %v", err)
	}
}

func TestNobodyElseCanReadTheFile(t *testing.T) {
	signer, _ := newKey(t)
	path := newPath(t)
	s := open(t, path, signer)
	must(t, exchange(t.Context(), s, 1))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		st, err := os.Stat(path + suffix)
		must(t, err)
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", suffix, st.Mode().Perm())
		}
	}
	must(t, s.Close())
	must(t, os.Chmod(path, 0o644))
	if _, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path, Signer: signer}); err == nil || !strings.Contains(err.Error(), "chmod o=") {
		t.Errorf("a file that everybody reads: got %v", err)
	}
}

func TestALogThatIsNotTheSignersIsNotSignedOn(t *testing.T) {
	signer, _ := newKey(t)
	stranger, _ := newKey(t)
	for name, row := range map[string]struct {
		edit    string
		options store.Options
	}{
		"untouched":              {``, store.Options{Signer: signer}},
		"another key":            {``, store.Options{Signer: stranger}},
		"another origin":         {``, store.Options{Signer: signer, Origin: "other.example.com"}},
		"the last record is cut": {`DELETE FROM records WHERE n = 3`, store.Options{Signer: signer}},
		"cut with its head":      {`DELETE FROM records WHERE n = 3; UPDATE head SET size = 3`, store.Options{Signer: signer}},
		"the head is gone":       {`DELETE FROM head`, store.Options{Signer: signer}},
		"another checkpoint":     {`UPDATE head SET checkpoint = x'00'`, store.Options{Signer: signer}},
		"another root":           {`UPDATE records SET hashes = zeroblob(length(hashes)) WHERE n = 3`, store.Options{Signer: signer}},
	} {
		path := newPath(t)
		s := open(t, path, signer)
		must(t, exchange(t.Context(), s, 1))
		must(t, exchange(t.Context(), s, 2))
		must(t, s.Close())
		if row.edit != "" {
			edit(t, path, row.edit)
		}
		row.options.URL = "sqlite:" + path
		s, err := store.Open(t.Context(), row.options)
		if fine := name == "untouched"; (err == nil) != fine {
			t.Errorf("%s: got %v", name, err)
		}
		if err == nil {
			must(t, s.Close())
		}
	}
}

func TestAFileThatIsNoLedgerIsNotOpened(t *testing.T) {
	signer, _ := newKey(t)
	path := newPath(t)
	must(t, os.WriteFile(path, bytes.Repeat([]byte("not a database\n"), 1000), 0o600))
	if _, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path, Signer: signer}); err == nil {
		t.Error("opened for writing")
	}
	if _, err := store.OpenReadOnly(t.Context(), "sqlite:"+path); err == nil {
		t.Error("opened for reading")
	}
	if _, err := store.OpenReadOnly(t.Context(), "sqlite:"+newPath(t)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: got %v", err)
	}
}

func TestAnAuditorReadsWhileTheServerWrites(t *testing.T) {
	signer, verifier := newKey(t)
	path := newPath(t)
	s := open(t, path, signer)
	must(t, exchange(t.Context(), s, 1))
	log, err := store.OpenReadOnly(t.Context(), "sqlite:"+path)
	must(t, err)
	for n := range int64(200) {
		must(t, exchange(t.Context(), s, 2+n))
	}
	verifies(t, log, verifier, 2)
	must(t, log.Close())
	must(t, log.Close())

	log, err = store.OpenReadOnly(t.Context(), "sqlite:"+path)
	must(t, err)
	verifies(t, log, verifier, 402)
	must(t, log.Close())
	must(t, s.Close())

	log, err = store.OpenReadOnly(t.Context(), "sqlite:"+path)
	must(t, err)
	verifies(t, log, verifier, 402)
	prove(t, log, verifier)
	must(t, log.Close())
}

func verifies(t *testing.T, log *store.Log, verifier note.Verifier, records int64) {
	t.Helper()
	report, err := audit.Verify(log.Records(t.Context(), 0), log.Checkpoint(), verifier)
	must(t, err)
	if report.Problem != "" || report.Records != records {
		t.Errorf("got %+v, want %d good records", report, records)
	}
	if at, err := audit.Locate(log.Records(t.Context(), 0), log); at != -1 || err != nil {
		t.Errorf("a bad record at %d, %v", at, err)
	}
}

func prove(t *testing.T, log *store.Log, verifier note.Verifier) {
	t.Helper()
	checkpoint, err := audit.OpenCheckpoint(log.Checkpoint(), verifier)
	must(t, err)
	n := int64(390)
	for line, err := range log.Records(t.Context(), n) {
		must(t, err)
		p, err := audit.ProveInclusion(checkpoint.Size, n, log)
		must(t, err)
		must(t, p.CheckInclusion(checkpoint, n, line))
		n++
	}
	if n != checkpoint.Size {
		t.Errorf("read up to %d of %d", n, checkpoint.Size)
	}
}

func TestAnEditedDatabaseIsFoundOut(t *testing.T) {
	signer, verifier := newKey(t)
	for statement, first := range map[string]int64{
		`UPDATE records SET line = CAST(replace(CAST(line AS TEXT), 'octocat', 'octodog') AS BLOB) WHERE n = 2`: 2,
		`DELETE FROM records WHERE n = 5`:                                      5,
		`DELETE FROM records WHERE n = 0`:                                      0,
		`DELETE FROM records WHERE n = 19`:                                     -1,
		`UPDATE records SET line = x'7b7d' WHERE n = 19`:                       19,
		`INSERT INTO records SELECT 20, hashes, line FROM records WHERE n = 0`: -1,
		`UPDATE records SET n = -1 WHERE n = 3; UPDATE records SET n = 3 WHERE n = 4; UPDATE records SET n = 4 WHERE n = -1`: -1,
		`UPDATE records SET line = (SELECT o.line FROM records o WHERE o.n = 7 - records.n) WHERE n IN (3, 4)`:               3,
		`UPDATE head SET checkpoint = x'00'`: -1,
		`DELETE FROM head`:                   -1,
	} {
		path := newPath(t)
		s := open(t, path, signer)
		for n := range int64(10) {
			must(t, exchange(t.Context(), s, n))
		}
		edit(t, path, statement)
		log, err := store.OpenReadOnly(t.Context(), "sqlite:"+path)
		must(t, err)
		report, err := audit.Verify(log.Records(t.Context(), 0), log.Checkpoint(), verifier)
		must(t, err)
		if report.Problem == "" {
			t.Errorf("%s: not found", statement)
		}
		if at, err := audit.Locate(log.Records(t.Context(), 0), log); err != nil || first >= 0 && at != first {
			t.Errorf("%s: located at %d, %v; want %d", statement, at, err, first)
		}
		must(t, log.Close())
		must(t, s.Close())
	}
}

func TestTheSealedTokenLeavesTheFileWithItsLease(t *testing.T) {
	signer, _ := newKey(t)
	for _, size := range []int{40, 520, 8 << 10} { // the last fills pages of its own
		path := newPath(t)
		s := open(t, path, signer)
		l := issued(t, s)
		l.Sealed = bytes.Repeat([]byte("sealed canary "), size/14+1)
		must(t, s.Move(t.Context(), lease.Pending, l, audit.Record{Time: time.Now(), Event: audit.LeaseIssued}))
		must(t, s.Close())
		if !contains(t, path, "canary") {
			t.Fatal("the test would not see a sealed token")
		}
		s = open(t, path, signer)
		l.State = lease.Ending
		must(t, s.Move(t.Context(), lease.Active, l, audit.Record{Time: time.Now(), Event: audit.LeaseEnding}))
		l.State = lease.Revoked
		must(t, s.Move(t.Context(), lease.Ending, l, audit.Record{Time: time.Now(), Event: audit.LeaseEnded}))
		must(t, s.Close())
		if contains(t, path, "canary") {
			t.Errorf("a sealed token of %d bytes is still in the file", size)
		}
	}
}

// issued intends a lease and gives it as the move to active would store it.
func issued(t *testing.T, s *store.Store) lease.Lease {
	t.Helper()
	l := lease.Lease{ID: "l-1", State: lease.Pending, IntentAt: time.Now()}
	must(t, s.Intend(t.Context(), lease.Ticket{JTI: "j-1"}, l, 1, audit.Record{Time: time.Now(), Event: audit.LeaseIntent}))
	l.State = lease.Active
	return l
}

func contains(t *testing.T, path, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	must(t, err)
	for _, f := range files {
		content, err := os.ReadFile(f)
		must(t, err)
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

func TestTwoServersOnOneFileKeepOneLog(t *testing.T) {
	signer, verifier := newKey(t)
	path := newPath(t)
	one, two := open(t, path, signer), open(t, path, signer)
	for n := range int64(20) {
		must(t, exchange(t.Context(), one, 2*n))
		must(t, exchange(t.Context(), two, 2*n+1))
		same := lease.Ticket{Issuer: "i", JTI: string(rune('a' + n)), Until: time.Now().Add(time.Hour)}
		denied := audit.Record{Time: time.Now(), Event: audit.ExchangeDenied}
		must(t, two.Deny(t.Context(), same, denied))
		if err := one.Deny(t.Context(), same, denied); !problem.Is(err, problem.Replayed) {
			t.Errorf("got %v", err)
		}
	}
	log, err := one.Log(context.Background())
	must(t, err)
	verifies(t, log, verifier, 100)
	must(t, log.Close())
}
