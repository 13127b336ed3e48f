package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/simulator"
	"github.com/curfew-dev/curfew/pkg/store"
)

// wreckOrigin is what the OIDC tokens are for. Each life of the server listens on a port of its own.
const wreckOrigin = "http://127.0.0.1:8080"

// A wreck is a server in a process of its own, killed and started again over
// one database, and the simulated GitHub that knows what really happened.
type wreck struct {
	*world
	binary string
	ahead  *ahead // GitHub's clock

	life *life

	mu      sync.Mutex
	clients []grantedToken // what clients really got
}

// A grantedToken is what one client got.
type grantedToken struct {
	AccessToken      string `json:"access_token"`
	RevocationHandle string `json:"revocation_handle"`
	TokenSHA256      string `json:"token_sha256"`
	LeaseID          string `json:"lease_id"`
}

// ahead is a clock that can be put forward.
type ahead struct {
	mu sync.Mutex
	by time.Duration
}

func (a *ahead) now() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Add(a.by)
}

func (a *ahead) put(by time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.by += by
}

// buildWithFailpoints makes the binary that can be told where to die.
func buildWithFailpoints(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "curfew")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "failpoints", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func newWreck(t *testing.T, binary string) *wreck {
	t.Helper()
	w := &wreck{world: &world{t: t, dir: t.TempDir(), log: &safeBuffer{}}, binary: binary, ahead: &ahead{}}
	w.now = w.ahead.now
	var err error
	w.github, err = simulator.Start(simulator.Options{Now: w.now})
	w.must(err)
	t.Cleanup(w.github.Close)
	w.populate()
	t.Cleanup(func() {
		if w.life != nil {
			_ = w.life.command.Process.Kill() // it may be dead already
			<-w.life.over
		}
		if t.Failed() {
			t.Log(w.log.tail(64 << 10))
		}
	})
	return w
}

func (s *safeBuffer) tail(n int) string {
	all := s.String()
	return all[max(0, len(all)-n):]
}

// A life is one process of the server, from its start to its end.
type life struct {
	command *exec.Cmd
	address string
	over    chan struct{} // closed at the end; then state is set
	state   *os.ProcessState
}

// begin starts the server, to die at the failpoint if one is given, and waits until it listens or has died.
func (w *wreck) begin(failpoint string) {
	w.t.Helper()
	s := w.settings()
	told := &listening{address: make(chan string, 1), log: w.log}
	l := &life{over: make(chan struct{})}
	l.command = exec.Command(w.binary, "serve", "--url", wreckOrigin, "--listen", s.Listen, "--app-id", s.AppID, "--app-key", s.AppKey,
		"--github", s.GitHub, "--issuer", s.Issuer[0], "--policy", s.Policy, "--database", s.Database,
		"--log", s.Log)
	l.command.Env = append(os.Environ(), "CURFEW_FAILPOINT="+failpoint)
	l.command.Stderr = told
	w.must(l.command.Start())
	w.life = l
	go func() {
		_ = l.command.Wait() // how it ended is in the state
		l.state = l.command.ProcessState
		close(l.over)
	}()
	select {
	case l.address = <-told.address:
	case <-l.over:
		if failpoint == "" { // else the first sweep met it
			w.t.Fatalf("the server ended at its start: %v", l.state)
		}
	case <-time.After(30 * time.Second):
		w.t.Fatal("the server does not listen")
	}
}

// listening picks the server's address out of its log.
type listening struct {
	address chan string
	log     *safeBuffer
	told    bool
	line    []byte
}

func (l *listening) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != '\n' {
			l.line = append(l.line, b)
			continue
		}
		var said struct{ Msg, Address string }
		if !l.told && json.Unmarshal(l.line, &said) == nil && said.Msg == "listening" {
			l.told = true
			l.address <- said.Address
		}
		l.line = l.line[:0]
	}
	return l.log.Write(p)
}

// ends waits for the process to end.
func (l *life) ends(within time.Duration) bool {
	select {
	case <-l.over:
		return true
	case <-time.After(within):
		return false
	}
}

// killed tells of a process that has ended whether SIGKILL ended it.
func (l *life) killed() bool {
	status, _ := l.state.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == syscall.SIGKILL
}

// stopGracefully asks the server to stop and waits until it has.
func (w *wreck) stopGracefully() {
	w.t.Helper()
	w.must(w.life.command.Process.Signal(syscall.SIGTERM))
	if !w.life.ends(time.Minute) {
		w.t.Fatal("the server does not stop")
	}
	if !w.life.state.Success() {
		w.t.Fatalf("a server that was asked to stop ended with %v", w.life.state)
	}
}

// wreckClient opens a connection for each call: the server at the other end may be gone any time.
var wreckClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}

// request gives the status and the decoded answer. No answer at all is status 0.
func (w *wreck) request(method, path string, form url.Values, into any) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+w.life.address+path, strings.NewReader(form.Encode()))
	w.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := wreckClient.Do(r)
	if err != nil {
		_, _ = fmt.Fprintln(w.log, "a client got no answer:", err)
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil || json.Unmarshal(body.Bytes(), into) != nil {
		return 0 // an answer that was cut off told nothing
	}
	return response.StatusCode
}

// idToken makes the OIDC token of a job of its own.
func (w *wreck) idToken() string {
	w.t.Helper()
	w.mu.Lock()
	j := w.job(nil)
	w.mu.Unlock()
	token, err := w.github.IDToken(j.ID, wreckOrigin, nil)
	w.must(err)
	return token
}

// elevate asks for a token with a curfew of five seconds.
func (w *wreck) elevate(oidc string) (got grantedToken, status int, code string) {
	w.t.Helper()
	var answer struct {
		grantedToken
		Code string
	}
	status = w.request(http.MethodPost, api.PathToken, url.Values{
		"grant_type": {api.GrantTypeTokenExchange}, "subject_token_type": {api.TokenTypeJWT}, "subject_token": {oidc},
		"grant": {"release"}, "requested_expires_in": {"5"},
	}, &answer)
	switch {
	case status == http.StatusOK:
		w.mu.Lock()
		w.clients = append(w.clients, answer.grantedToken)
		w.mu.Unlock()
	case answer.Code == "issuer_unavailable": // a machine that stalls for seconds; nothing was begun
		w.t.Log("a server that has just started could not read the issuer's keys")
		return grantedToken{}, 0, ""
	}
	return answer.grantedToken, status, answer.Code
}

// records reads the audit log from a record on, whether or not a server has it open.
func (w *world) records(from int64) []audit.Record {
	w.t.Helper()
	log, err := store.OpenReadOnly(context.Background(), w.settings().Database)
	w.must(err)
	defer func() { w.must(log.Close()) }()
	var all []audit.Record
	for line, err := range log.Records(context.Background(), from) {
		w.must(err)
		r, err := audit.Decode(line)
		w.must(err)
		all = append(all, r)
	}
	return all
}

// auditVerifies runs `curfew audit verify` on what the crash left.
func (w *world) auditVerifies() {
	w.t.Helper()
	var out bytes.Buffer
	if code := run(context.Background(), []string{"audit", "verify", "--database", w.settings().Database}, terminal{&out, &out}); code != 0 {
		w.t.Errorf("audit verify exits with %d: %s", code, out.String())
	}
}

// leaseTokens are the tokens minted for leases; the others read policy files and never leave the server.
func leaseTokens(all []simulator.Mint) (forLeases, readers []simulator.Mint) {
	for _, m := range all {
		if m.Permissions["contents"] == "write" {
			forLeases = append(forLeases, m)
		} else {
			readers = append(readers, m)
		}
	}
	return forLeases, readers
}

// openParts opens what a hall needs to end leases, over the database of a server that has stopped, by GitHub's clock.
func (w *wreck) openParts() exchange.Parts {
	w.t.Helper()
	r, err := w.settings().resolve(func(string) string { return "" })
	w.must(err)
	origin, err := url.Parse(wreckOrigin)
	w.must(err)
	signer, err := r.signer(origin.Hostname())
	w.must(err)
	sealer, err := r.sealer()
	w.must(err)
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	ledger, err := store.Open(context.Background(), store.Options{URL: r.Database, Signer: signer, Log: log, Now: w.now})
	w.must(err)
	w.t.Cleanup(func() { w.must(ledger.Close()) })
	github, err := githubapp.New(githubapp.Options{API: r.GitHub, AppID: r.AppID, Key: r.appKey, Log: log, Now: w.now})
	w.must(err)
	return exchange.Parts{Ledger: ledger, Minter: github, Sealer: sealer, Now: w.now, Log: log}
}
