package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// A world is a simulated GitHub with the example organisation, and a whole
// server in this process, wired as `curfew serve` wires it.
type world struct {
	t      testing.TB
	dir    string
	github *simulator.Server
	appKey []byte
	log    *safeBuffer
	now    func() time.Time

	server *exchanger
	stop   func()
	runs   int64
}

// safeBuffer is a buffer that many goroutines may write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newWorld sets up owner acme (1001) with .github, ops, web and api, the example
// policies, the App, and a running server.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldAt(t, time.Now)
}

// newWorldAt gives GitHub and the server a clock of their own.
func newWorldAt(t testing.TB, now func() time.Time) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), log: &safeBuffer{}, now: now}
	var err error
	if w.github, err = simulator.Start(simulator.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.github.Close)
	w.populate()
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) populate() {
	w.t.Helper()
	for _, o := range []simulator.Owner{{ID: 1001, Login: "acme", Type: "Organization"}, {ID: 1002, Login: "stranger", Type: "Organization"}} {
		_, err := w.github.AddOwner(o)
		w.must(err)
	}
	for _, r := range []simulator.Repository{
		{ID: 2001, Owner: "acme", Name: ".github"}, {ID: 3001, Owner: "acme", Name: "ops"},
		{ID: 3002, Owner: "acme", Name: "web"}, {ID: 3003, Owner: "acme", Name: "api"},
		{ID: 4001, Owner: "stranger", Name: "web"},
	} {
		_, err := w.github.AddRepository(r)
		w.must(err)
	}
	w.putPolicy(".github", "curfew.yaml", w.example("organization/curfew.yaml"))
	w.putPolicy("web", ".github/curfew.yaml", w.example("repository/curfew.yaml"))
	app, err := w.github.AddApp(simulator.App{ID: 7, ClientID: "Iv23test", Slug: "curfew-test", Permissions: map[string]string{
		"metadata": "read", "actions": "read", "contents": "write", "issues": "write", "pull_requests": "write", "deployments": "write",
	}})
	w.must(err)
	w.appKey = app.KeyPEM
	_, err = w.github.Install(simulator.Installation{AppID: 7, Owner: "acme"})
	w.must(err)
	w.must(os.WriteFile(filepath.Join(w.dir, "app.pem"), app.KeyPEM, 0o600))
}

func (w *world) example(path string) string {
	content, err := os.ReadFile(filepath.Join("..", "..", "examples", "policies", filepath.FromSlash(path)))
	w.must(err)
	return string(content)
}

func (w *world) putPolicy(repository, path, content string) {
	w.t.Helper()
	_, err := w.github.PutFile("acme", repository, path, []byte(content))
	w.must(err)
}

func (w *world) settings() settings {
	return settings{
		URL: "http://127.0.0.1:0", Listen: "127.0.0.1:0", AppID: "Iv23test", AppKey: filepath.Join(w.dir, "app.pem"),
		GitHub: w.github.URL + "/api/v3", Issuer: []string{w.github.Issuer()},
		Policy:   filepath.Join("..", "..", "examples", "policies", "operator"),
		Database: "sqlite:" + filepath.Join(w.dir, "curfew.db"), Log: "debug,json",
	}
}

// start starts the server; stop drains it.
func (w *world) start() {
	w.t.Helper()
	r, err := w.settings().resolve(func(string) string { return "" })
	w.must(err)
	if w.server != nil { // the audience must stay the same over a restart
		r.url, r.Listen = w.server.origin, w.server.listener.Addr().String()
	}
	r.now = w.now
	log, err := newLog(w.log, r.Log)
	w.must(err)
	w.server, err = open(w.t.Context(), r, log)
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.serve(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// job starts a job of the release workflow of acme/web on main, changed by edit.
func (w *world) job(edit func(*simulator.Job)) simulator.StartedJob {
	w.t.Helper()
	w.runs++
	j := simulator.Job{
		Owner: "acme", Repo: "web", RunID: 9000 + w.runs, RunNumber: w.runs, RunAttempt: 1,
		Workflow: "release", WorkflowPath: ".github/workflows/release.yml", Name: "release",
		Ref: "refs/heads/main", Event: "push", Actor: "octocat", ActorID: 583231,
	}
	if edit != nil {
		edit(&j)
	}
	started, err := w.github.StartJob(j)
	w.must(err)
	return started
}

// oidc gives a fresh OIDC token of a job, its claims changed by edit.
func (w *world) oidc(j simulator.StartedJob, edit func(map[string]any)) string {
	w.t.Helper()
	token, err := w.github.IDToken(j.ID, w.server.origin, edit)
	w.must(err)
	return token
}

// An outcome is what the server answered.
type outcome struct {
	status  int
	granted map[string]any
	refused api.ErrorBody
	header  http.Header
}

func (o outcome) token() string { s, _ := o.granted["access_token"].(string); return s }

// exchange posts a token exchange for the grant release; form adds and replaces parameters.
func (w *world) exchange(oidc string, form url.Values, header ...string) outcome {
	w.t.Helper()
	values := url.Values{
		"grant_type": {api.GrantTypeTokenExchange}, "subject_token_type": {api.TokenTypeJWT},
		"subject_token": {oidc}, "grant": {"release"},
	}
	for name, v := range form {
		values[name] = v
	}
	return w.post("/v1/token", values, header...)
}

// post sends a form. Headers come as name, value, name, value.
func (w *world) post(path string, form url.Values, header ...string) outcome {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.origin+path, strings.NewReader(form.Encode()))
	w.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	w.must(err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	w.must(err)
	o := outcome{status: response.StatusCode, header: response.Header}
	if o.status == http.StatusOK {
		w.must(json.Unmarshal(body, &o.granted))
	} else if err := json.Unmarshal(body, &o.refused); err != nil {
		w.t.Errorf("%s answers %d with a body that is no error: %s", path, o.status, body)
	}
	return o
}

// eventually waits until f holds, for ten seconds at most.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline.C:
			w.t.Fatalf("%s: not within ten seconds", what)
		case <-tick.C:
		}
	}
}
