package exchange_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
	"github.com/curfew-dev/curfew/pkg/store"
)

const issuer = "https://issuer.example"

// noon is when every test begins.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A failer is a test, or one run of a property.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// A stage is a hall with a fake world around it and a real ledger below.
type stage struct {
	failer
	ctx context.Context

	hall   *exchange.Hall
	rules  *rules
	github *github
	ledger *ledger
	log    *lockedBuffer

	mu        sync.Mutex
	now       time.Time
	workloads map[string]identity.Workload
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{failer: t, ctx: t.Context(), now: noon, workloads: map[string]identity.Workload{}, log: &lockedBuffer{}}
	private, _, err := audit.NewKey("curfew.example.com/audit")
	s.must(err)
	signer, err := note.NewSigner(private)
	s.must(err)
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "curfew.db"), Signer: signer, Now: s.clock})
	s.must(err)
	t.Cleanup(func() { _ = db.Close() })
	sealer, err := secret.NewSealer(secret.NewSealKey())
	s.must(err)
	s.rules = &rules{served: map[int64]bool{1001: true, 1003: true}, set: set(t)}
	s.ledger = &ledger{Ledger: db}
	s.github = &github{now: s.clock, alive: map[string]bool{}}
	s.hall = exchange.New(exchange.Parts{
		Verifier: s, Rules: s.rules, Ledger: s.ledger, Minter: s.github, Sealer: sealer, Now: s.clock,
		Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	return s
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%v", err)
	}
}

// clock is what wait sets, or in a bubble of synctest the bubble's.
func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.IsZero() {
		return time.Now()
	}
	return s.now
}

func (s *stage) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// Verify knows the tokens that job made, and refuses all others.
func (s *stage) Verify(_ context.Context, raw string) (identity.Workload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, known := s.workloads[raw]
	if !known {
		return w, problem.New(problem.BadSignature, "nobody signed this").WithHint("sign it")
	}
	return w, nil
}

// worker is a job of acme/web on main; n tells jobs apart.
func worker(n int) identity.Workload {
	return identity.Workload{
		Issuer: issuer, Repository: "acme/web", RepositoryID: 3002, RepositoryOwner: "acme", RepositoryOwnerID: 1001,
		RunID: int64(n), RunAttempt: 1, CheckRunID: int64(100 + n), Ref: "refs/heads/main", EventName: "push",
	}
}

// friend is a job of another owner, whom the ceiling names as a caller.
func friend(n int) identity.Workload {
	w := worker(n)
	w.Repository, w.RepositoryID, w.RepositoryOwner, w.RepositoryOwnerID = "friend/ops", 5001, "friend", 1003
	return w
}

// token gives a fresh OIDC token of a workload.
func (s *stage) token(w identity.Workload) secret.Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.JTI = fmt.Sprintf("jti-%d", len(s.workloads))
	w.Expires = s.now.Add(5 * time.Minute) // who verifies looks at it, not the hall
	raw := "oidc-" + w.JTI
	s.workloads[raw] = w
	return secret.New(raw)
}

// ask is a request of a workload for the grant release on acme/web.
func (s *stage) ask(w identity.Workload) exchange.Request {
	return exchange.Request{
		Token: s.token(w), Target: policy.Target{Owner: "acme", Repositories: []string{"web"}},
		Ask: policy.Request{Grant: "release"}, Correlation: "c-1", SourceIP: "192.0.2.1",
	}
}

// granted exchanges, and it must succeed.
func (s *stage) granted(r exchange.Request) *exchange.Issued {
	s.Helper()
	issued, err := s.hall.Exchange(s.ctx, r)
	if err != nil {
		s.Fatalf("the exchange was refused: %v", err)
	}
	return issued
}

// refused exchanges, and it must be refused with the code.
func (s *stage) refused(r exchange.Request, want problem.Code) problem.Problem {
	s.Helper()
	issued, err := s.hall.Exchange(s.ctx, r)
	if issued != nil || err == nil {
		s.Fatalf("the exchange was granted, want %s", want)
	}
	p := problem.From(err)
	if p.Code != want {
		s.Errorf("refused as %s, want %s: %v", p.Code, want, err)
	}
	return *p
}

func (s *stage) sweep() {
	s.Helper()
	if _, err := s.hall.Sweep(s.ctx); err != nil {
		s.Errorf("sweep: %v", err)
	}
}

func (s *stage) lease(id string) lease.Lease {
	s.Helper()
	l, err := s.ledger.Lease(s.ctx, id)
	s.must(err)
	return l
}

// is checks where a lease stands.
func (s *stage) is(id string, state lease.State, cause lease.Cause) lease.Lease {
	s.Helper()
	l := s.lease(id)
	if l.State != state || l.Cause != cause {
		s.Errorf("the lease is %s (%s), want %s (%s)", l.State, l.Cause, state, cause)
	}
	return l
}

// recorded checks the events of the audit log, in order, from the given one on.
func (s *stage) recorded(from int, want ...audit.Event) {
	s.Helper()
	var got []audit.Event
	for _, r := range s.ledger.taken()[from:] {
		got = append(got, r.Event)
	}
	if !slices.Equal(got, want) {
		s.Errorf("recorded %v, want %v", got, want)
	}
}

const policyText = `version: 1
owner: { login: acme, id: 1001, issuer: "https://issuer.example" }
ceiling:
  permissions: { contents: write, metadata: read }
  callers: [{ login: friend, id: 1003 }]
grants:
  release:
    description: Releases web
    repositories: [web, api]
    allow: [{ ref: refs/heads/main }]
    permissions: { contents: write }
    duration: { default: 10m, max: 30m }
    leases_per_job: 3
`

var target = scope.Scope{Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: 3002, Name: "web"}}}

func set(t *testing.T) *policy.Set {
	t.Helper()
	f, err := policy.Parse(policy.Operator, policy.Source{Path: "acme.yaml"}, []byte(policyText))
	if err != nil {
		t.Fatal(err)
	}
	return policy.NewSet(target, f, nil, nil)
}

// rules are one set for all, or an error.
// github mints what is wanted unless told otherwise, and remembers which tokens are alive.
// living counts the tokens that work.
// A ledger is the real one, which can be made to fail and tells what was recorded.
// broken makes the writes of one event fail.
// silent checks that neither the log nor a record holds a token or a handle.
func (s *stage) silent() {
	s.Helper()
	for _, text := range append([]string{s.log.String()}, s.told()...) {
		for _, canary := range []string{"ghs_canary", "oidc-jti", "curfew_revoke_"} {
			if strings.Contains(text, canary) {
				s.Errorf("%s shows in %s", canary, text)
			}
		}
	}
}

func (s *stage) told() (texts []string) {
	for _, r := range s.ledger.taken() {
		texts = append(texts, fmt.Sprintf("%+v", r))
	}
	return texts
}
