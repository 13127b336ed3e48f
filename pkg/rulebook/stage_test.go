package rulebook

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

const issuer = "https://token.actions.githubusercontent.com"

const operatorFile = `version: 1
owner: { login: acme, id: 1001 }
organization_policy: { repository: .github, repository_id: 2001, path: curfew.yaml }
ceiling: { permissions: { contents: write }, repository_policies: allow, callers: [{ login: friend, id: 1003 }] }
`

const organizationFile = `version: 1
ceiling: { permissions: { contents: write }, repository_policies: allow }
`

const repositoryFile = `version: 1
grants:
  release:
    description: Publishes releases
    allow: [{ repository: self, ref: refs/heads/main }]
    permissions: { contents: write }
`

// A clock is set by hand.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.nanos.Load()))
}
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// appKey is made once, because that is slow.
var appKey = sync.OnceValue(func() []byte {
	app, err := simulator.New(simulator.Options{}).AddApp(simulator.App{Slug: "any"})
	if err != nil {
		panic(err)
	}
	return app.KeyPEM
})

// A stage is a simulated GitHub where acme has the App and both policies, and a book that reads them.
type stage struct {
	github       *simulator.Server
	client       *githubapp.Client
	clock        *clock
	book         *Book
	installation int64
	dir          string

	mu      sync.Mutex
	changes []policy.Source
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{clock: &clock{}, dir: t.TempDir()}
	var err error
	s.github, err = simulator.Start(simulator.Options{Now: s.clock.now})
	must(t, err)
	t.Cleanup(s.github.Close)
	_, err = s.github.AddOwner(simulator.Owner{ID: 1001, Login: "acme", Type: "Organization"})
	must(t, err)
	for id, name := range map[int64]string{2001: ".github", 3001: "web", 3002: "api", 3003: "docs"} {
		_, err = s.github.AddRepository(simulator.Repository{ID: id, Owner: "acme", Name: name})
		must(t, err)
	}
	app, err := s.github.AddApp(simulator.App{ID: 77, Slug: "curfew", KeyPEM: appKey(),
		Permissions: map[string]string{"contents": "write", "metadata": "read"}})
	must(t, err)
	in, err := s.github.Install(simulator.Installation{AppID: 77, Owner: "acme"})
	must(t, err)
	s.installation = in.ID
	key, err := githubapp.ParseKey(app.KeyPEM)
	must(t, err)
	s.client, err = githubapp.New(githubapp.Options{API: s.github.URL, AppID: "77", Key: key, Now: s.clock.now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	s.put(t, ".github", "curfew.yaml", organizationFile)
	s.put(t, "web", repositoryPath, repositoryFile)
	s.open(t, operatorFile)
	return s
}

// open makes the book anew, from one operator's file.
func (s *stage) open(t *testing.T, operator string) {
	t.Helper()
	s.openWith(t, operator, s.client)
}

func (s *stage) openWith(t *testing.T, operator string, r Reader) {
	t.Helper()
	write(t, filepath.Join(s.dir, "acme.yaml"), operator)
	var err error
	s.book, err = Open(Options{Dir: s.dir, DefaultIssuer: issuer, GitHub: r, Now: s.clock.now, Log: slog.New(slog.DiscardHandler),
		OnChange: func(p policy.Source) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changes = append(s.changes, p)
		}})
	must(t, err)
}

func (s *stage) put(t *testing.T, repository, path, content string) {
	t.Helper()
	_, err := s.github.PutFile("acme", repository, path, []byte(content))
	must(t, err)
}

func (s *stage) rules(names ...string) (*policy.Set, error) {
	return s.book.Rules(context.Background(), issuer, policy.Target{Owner: "acme", Repositories: names})
}

// origins asks for the rules and names what is in force.
func (s *stage) origins(t *testing.T, names ...string) []policy.Origin {
	t.Helper()
	set, err := s.rules(names...)
	must(t, err)
	var got []policy.Origin
	for _, source := range set.Sources() {
		got = append(got, source.Origin)
	}
	return got
}

// settle waits for what the book does behind its callers' backs.
func (s *stage) settle() { s.book.work.group.Wait() }

// routes counts the calls that reached GitHub, by route, and forgets them.
func (s *stage) routes() map[string]int {
	count := map[string]int{}
	for _, c := range s.github.Calls() {
		count[c.Route]++
	}
	s.github.ResetCalls()
	return count
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
