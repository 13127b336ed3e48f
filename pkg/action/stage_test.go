package action

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/secret"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	token  = "ghs_123_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJnaXRodWIifQ.c2lnbmF0dXJlIG9mIHRva2Vu"
	handle = "cfh_0198c0de.iAmTheHandle"
)

var start = time.Date(2026, 11, 23, 13, 50, 0, 0, time.UTC)

// stage is a job around one phase: runner, Curfew server and GitHub's API on
// loopback, a clock that only sleeping moves, and the files of the runner.
type stage struct {
	t      *testing.T
	env    map[string]string
	dir    string
	out    bytes.Buffer
	roots  *x509.CertPool
	slept  []time.Duration
	now    time.Time
	stdout io.Writer // the buffer above, unless a test has its own

	mu      sync.Mutex
	tokens  int // OIDC tokens handed out
	asked   []url.Values
	keys    []string
	revoked []string
	ended   []string // OIDC tokens that ended the job's leases
	deleted []string // tokens revoked at GitHub

	// What the servers do; a test replaces what it is about.
	onIDToken, onToken, onRevoke, onJobsEnd, onDelete http.HandlerFunc
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), roots: x509.NewCertPool(), now: start}
	s.stdout = &s.out
	curfew, github := s.serve(s.curfew()), s.serve(s.github())
	s.env = map[string]string{
		"INPUT_SERVER": curfew.URL, "INPUT_GRANT": "release",
		"GITHUB_REPOSITORY": "acme/web", "GITHUB_REPOSITORY_OWNER": "acme", "GITHUB_SERVER_URL": "https://github.com",
		"GITHUB_WORKFLOW": "Release", "GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "push", "GITHUB_ACTOR": "octocat",
		"GITHUB_API_URL":                 github.URL + "/api/v3",
		"ACTIONS_ID_TOKEN_REQUEST_URL":   github.URL + "/id-token?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
	}
	for _, name := range []string{outputFile, stateFile, envFile, summaryFile} {
		s.env[name] = filepath.Join(s.dir, name)
	}
	s.onIDToken = func(w http.ResponseWriter, _ *http.Request) {
		s.tokens++
		reply(w, 200, `{"value":"`+oidc(s.tokens)+`"}`)
	}
	s.onToken = func(w http.ResponseWriter, _ *http.Request) { s.grant(w, answer()) }
	s.onRevoke = func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{}`) }
	s.onJobsEnd = func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"ended":1}`) }
	s.onDelete = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	return s
}

// oidc is the nth OIDC token that the runner hands out.
func oidc(n int) string { return "aGVhZGVy.cGF5bG9hZA.b2lkYy" + strings.Repeat("x", n) }

func (s *stage) serve(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	s.t.Cleanup(server.Close)
	return server
}

// curfew is the Curfew server.
func (s *stage) curfew() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+api.PathToken, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.mu.Lock()
		s.asked, s.keys = append(s.asked, r.PostForm), append(s.keys, r.Header.Get("Idempotency-Key"))
		s.mu.Unlock()
		s.onToken(w, r)
	})
	mux.HandleFunc("POST "+api.PathRevoke, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.revoked = append(s.revoked, r.PostFormValue("token"))
		s.mu.Unlock()
		s.onRevoke(w, r)
	})
	mux.HandleFunc("POST "+api.PathJobsEnd, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.ended = append(s.ended, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		s.mu.Unlock()
		s.onJobsEnd(w, r)
	})
	return mux
}

// github is the id-token address and GitHub's API.
func (s *stage) github() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /id-token", func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("audience") != s.env["INPUT_SERVER"] || q.Get("api-version") != "2.0" || len(q["audience"]) != 1 {
			s.t.Errorf("the id-token address is asked for %s", r.URL.RawQuery)
		}
		if !strings.EqualFold(r.Header.Get("Authorization"), "Bearer request-token") {
			s.t.Errorf("the id-token address is asked with %q", r.Header.Get("Authorization"))
		}
		s.onIDToken(w, r)
	})
	mux.HandleFunc("DELETE /api/v3/installation/token", func(w http.ResponseWriter, r *http.Request) {
		s.deleted = append(s.deleted, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		s.onDelete(w, r)
	})
	return mux
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// refuse answers with an error body.
func refuse(w http.ResponseWriter, status int, body api.ErrorBody) {
	text, _ := json.Marshal(body)
	reply(w, status, string(text))
}

func (s *stage) grant(w http.ResponseWriter, r api.TokenResponse) {
	body, err := r.Body()
	if err != nil {
		s.t.Error(err)
	}
	reply(w, 200, string(body))
}

// answer grants contents:write on acme/web for 15 minutes.
func answer() api.TokenResponse {
	t := secret.New(token)
	return api.TokenResponse{
		AccessToken: t, IssuedTokenType: api.TokenTypeAccessToken, TokenType: "Bearer",
		ExpiresIn: 900, ExpiresAt: start.Add(15 * time.Minute), Scope: "contents:write",
		LeaseID: "0198c0de-lease", Grant: "release", Owner: "acme",
		Repositories: []api.Repository{{ID: 3001, Name: "web"}},
		Permissions:  api.Permissions{"contents": "write", "metadata": "read"},
		AppSlug:      "curfew", GitUserName: "curfew[bot]", GitUserEmail: "7+curfew[bot]@users.noreply.github.com",
		RevocationHandle: secret.New(handle), TokenSHA256: t.DigestBase64(),
	}
}

func (s *stage) outside() Env {
	return Env{
		Getenv: func(name string) string { return s.env[name] },
		Stdout: s.stdout,
		Roots:  s.roots,
		Now:    func() time.Time { return s.now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			if ctx.Err() == nil {
				s.now, s.slept = s.now.Add(d), append(s.slept, d)
			}
			return ctx.Err()
		},
	}
}

func (s *stage) main() int { return Main(s.t.Context(), s.outside()) }

// post runs the post phase, in a container of its own, with the state that main saved.
func (s *stage) post() {
	s.t.Helper()
	for name, value := range s.file(stateFile) {
		s.env["STATE_"+name] = value
	}
	s.out.Reset()
	if code := Post(s.t.Context(), s.outside()); code != 0 {
		s.t.Errorf("post exits with %d", code)
	}
}

// file reads a file command as the runner does: strictly.
func (s *stage) file(variable string) map[string]string {
	s.t.Helper()
	text, err := os.ReadFile(s.env[variable])
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	pairs := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := 0; i < len(lines) && lines[0] != ""; i++ {
		name, delimiter, found := strings.Cut(lines[i], "<<")
		if !found {
			s.t.Fatalf("%s: %q starts no value", variable, lines[i])
		}
		var value []string
		for i++; i < len(lines) && lines[i] != delimiter; i++ {
			value = append(value, lines[i])
		}
		if i == len(lines) {
			s.t.Fatalf("%s: the value of %s does not end", variable, name)
		}
		pairs[name] = strings.Join(value, "\n")
	}
	return pairs
}

func (s *stage) summary() string {
	text, _ := os.ReadFile(s.env[summaryFile])
	return string(text)
}

// golden compares a text with testdata/name; the server's address is told as SERVER.
func (s *stage) golden(name, got string) {
	s.t.Helper()
	got = strings.ReplaceAll(got, s.env["INPUT_SERVER"], "SERVER")
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// errorsShown counts error annotations.
func (s *stage) errorsShown() int { return strings.Count("\n"+s.out.String(), "\n::error") }

// wants checks that the log holds each text.
func (s *stage) wants(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.out.String(), text) {
			s.t.Errorf("the log lacks %q:\n%s", text, s.out.String())
		}
	}
}

// hidesSecrets checks that after it is masked, and but for masking, no secret shows.
func (s *stage) hidesSecrets() {
	s.t.Helper()
	shown := s.summary()
	for line := range strings.SplitSeq(s.out.String(), "\n") {
		if !strings.HasPrefix(line, "::add-mask::") {
			shown += line + "\n"
		}
	}
	for _, canary := range append(strings.Split(token, "."), token, handle, oidc(1), "request-token", "iAmTheHandle") {
		if strings.Contains(shown, canary) {
			s.t.Errorf("%q shows in\n%s", canary, shown)
		}
	}
}
