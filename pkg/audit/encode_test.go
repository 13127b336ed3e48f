package audit_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// full has every field.
func full() audit.Record {
	expires := time.Date(2026, 3, 1, 12, 10, 0, 0, time.UTC)
	allowed := scope.Scope{
		Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: 3001, Name: "web"}},
		Permissions: scope.Permissions{"contents": scope.Write, "issues": scope.Read},
	}
	return audit.Record{
		Time: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC), Event: audit.LeaseIssued, Correlation: "c-1", Lease: "l-1",
		Job:    &identity.Job{Issuer: "https://issuer.example", RepositoryID: 3001, RunID: 77, RunAttempt: 1, CheckRunID: 501},
		Claims: map[string]string{"ref": "refs/heads/<main>&", "actor": "Zoë \U0001F600 \"\\ufffd\" \uFFFD \u2028"},
		JTI:    "jti-1", SourceIP: "2001:db8::1", Grant: "release",
		Requested: &audit.Request{Owner: "acme", Repositories: []string{"web"}, Permissions: scope.Permissions{"contents": scope.Write}, Seconds: 600, DryRun: true},
		Allowed:   &allowed, Granted: &allowed,
		Reason: "OPS-1 ship\nit", Context: "release on main",
		Policies: []audit.Policy{{Origin: "operator", Repository: "acme/.github", Path: "acme.yaml", Blob: "e69de29b", Digest: "sha256:00"}},
		Code:     problem.AboveGrant, Detail: "contents: admin is above the grant",
		Rules:     []problem.Mismatch{{Rule: "permissions", Claim: "contents", Expected: "write", Got: "admin"}},
		ExpiresAt: &expires, TokenSHA256: "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", State: "active", Cause: "curfew",
		Mint: 201, Revoke: 204, Probe: 401,
	}
}

func TestEncodingIsGolden(t *testing.T) {
	const golden = "testdata/record.json"
	got, err := full().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("stored logs would not verify any more (-want +got):\n%s", diff)
	}
	decoded, err := audit.Decode(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), decoded); diff != "" {
		t.Errorf("decoding changes the record (-want +got):\n%s", diff)
	}
}

func TestEncodingDoesNotDependOnTheTimeZone(t *testing.T) {
	r := full()
	zone := time.FixedZone("far", 5*3600)
	expires := r.ExpiresAt.In(zone)
	r.Time, r.ExpiresAt = r.Time.In(zone), &expires
	got, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := full().Encode()
	if string(got) != string(want) {
		t.Errorf("got %s", got)
	}
	if r.ExpiresAt.Location() != zone {
		t.Error("encoding changed the record")
	}
}

func TestOnlyUTF8IsEncoded(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, fine := range map[string]bool{
		"\uFFFD really there":           true,
		`the escape \ufffd as text`:     true,
		`and after a backslash \\ufffd`: true,
		"\xff":                          false,
		"a backslash, then \\\xff":      false,
		"cut rune \xe2\x82":             false,
		"surrogate \xed\xa0\x80":        false,
	} {
		for name, r := range map[string]audit.Record{
			"a reason":      {Time: at, Reason: text},
			"a claim":       {Time: at, Claims: map[string]string{"actor": text}},
			"a claim's key": {Time: at, Claims: map[string]string{text: "actor"}},
		} {
			if _, err := r.Encode(); (err == nil) != fine {
				t.Errorf("%s of %q: got %v", name, text, err)
			}
		}
	}
}

func TestRecordsAreBounded(t *testing.T) {
	fits := audit.Record{Reason: strings.Repeat("x", audit.MaxRecord-200)}
	if _, err := fits.Encode(); err != nil {
		t.Error(err)
	}
	fits.Reason += strings.Repeat("x", 200)
	if _, err := fits.Encode(); err == nil {
		t.Error("a record beyond the bound is encoded")
	}
	if _, err := audit.Decode(make([]byte, audit.MaxRecord+1)); err == nil {
		t.Error("a line beyond the bound is decoded")
	}
}

func TestTheLargestScopeFits(t *testing.T) {
	r := full()
	r.Allowed.Repositories = nil
	for i := range scope.MaxRepositories {
		name := strings.Repeat("n", 100) // GitHub's longest
		r.Requested.Repositories = append(r.Requested.Repositories, name)
		r.Allowed.Repositories = append(r.Allowed.Repositories, scope.Repository{ID: 1_000_000_000_000 + int64(i), Name: name})
	}
	r.Granted = nil
	if _, err := r.Encode(); err != nil {
		t.Error(err)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	good := `{"time":"2026-03-01T12:00:00Z","event":"lease.issued","lease_id":"l-1"}`
	if _, err := audit.Decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"nothing":             ``,
		"null":                `null`,
		"a line's end":        good + "\n",
		"a second record":     good + good,
		"an unknown member":   strings.Replace(good, `}`, `,"x":1}`, 1),
		"a doubled member":    strings.Replace(good, `}`, `,"lease_id":"l-1"}`, 1),
		"another case":        strings.Replace(good, `lease_id`, `Lease_ID`, 1),
		"another order":       `{"event":"lease.issued","time":"2026-03-01T12:00:00Z","lease_id":"l-1"}`,
		"a space":             strings.Replace(good, `,`, `, `, 1),
		"another zone":        strings.Replace(good, `12:00:00Z`, `13:00:00+01:00`, 1),
		"another escape":      strings.Replace(good, `l-1`, `\u006c-1`, 1),
		"an empty member":     strings.Replace(good, `}`, `,"reason":""}`, 1),
		"bytes that no UTF-8": strings.Replace(good, `l-1`, "\xff", 1),
		"an unknown level":    strings.Replace(good, `}`, `,"allowed":{"owner":"","owner_id":0,"repositories":null,"permissions":{"contents":"root"}}}`, 1),
		"a level as a number": strings.Replace(good, `}`, `,"allowed":{"owner":"","owner_id":0,"repositories":null,"permissions":{"contents":2}}}`, 1),
		"an unknown subfield": strings.Replace(good, `}`, `,"job":{"issuer":"","repository_id":1,"run_id":1,"run_attempt":1,"x":1}}`, 1),
	} {
		if got, err := audit.Decode([]byte(line)); err == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	line, err := full().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"time":"2026-03-01T12:00:00Z","event":"lease.issued","lease_id":"l-1"}`))
	f.Add([]byte(`{"time":"2026-03-01T12:00:00Z","event":"","requested":{"owner":"","permissions":{"a":"none"}}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := audit.Decode(line)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || string(again) != string(line) {
			t.Errorf("decoded %q, encoded %q, %v", line, again, err)
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	l := newLog(f, 3)
	f.Add(l.checkpoint(f))
	f.Add([]byte("o\n1\n\n"))
	f.Fuzz(func(t *testing.T, signed []byte) {
		if c, err := audit.OpenCheckpoint(signed, l.verifier); err == nil && c != l.at() {
			t.Errorf("a forged checkpoint was taken: %+v", c)
		}
	})
}
