package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
	"github.com/curfew-dev/curfew/pkg/server"
	"github.com/curfew-dev/curfew/pkg/store"
)

const (
	canary   = "ghs_canary0123456789abcdefghijklmnopqrstuv"
	handle   = "curfew_revoke_canary0123456789"
	oidc     = "oidccanaryheader.oidccanarypayload.oidccanarysignature"
	operator = "operator-canary-token"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A stage is a server with a scripted hall behind it.
type stage struct {
	*testing.T
	options server.Options
	server  *server.Server
	handler http.Handler
	log     *lockedBuffer

	mu        sync.Mutex
	asked     []exchange.Request
	ended     []string // tokens presented to end
	withdrawn []string // leases
	listed    []store.Filter

	expires  time.Time                     // of leases; ten minutes unless set
	refusal  error                         // of whatever the hall is asked
	exchange func(context.Context)         // while an exchange is under way
	list     func() ([]lease.Lease, error) // what the ledger lists
}

func newStage(t *testing.T, edits ...func(*server.Options)) *stage {
	s := &stage{T: t, log: &lockedBuffer{}}
	s.options = server.Options{
		Origin: "https://curfew.example.com", Web: "https://github.com", Hall: s, Leases: s,
		App: func() githubapp.App {
			return githubapp.App{Slug: "curfew", BotName: "curfew[bot]", BotEmail: "7+curfew[bot]@users.noreply.github.com"}
		},
		Ready: func(context.Context) error { return nil },
		Now:   func() time.Time { return noon },
		Log:   slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, edit := range edits {
		edit(&s.options)
	}
	s.server = server.New(s.options)
	s.handler = s.server.Handler()
	return s
}

func operators(o *server.Options) {
	o.OperatorTokens = [][32]byte{secret.New("another").Digest(), secret.New(operator).Digest()}
}

func (s *stage) Exchange(ctx context.Context, r exchange.Request) (*exchange.Issued, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r)
	s.mu.Unlock()
	if s.exchange != nil {
		s.exchange(ctx)
	}
	if s.refusal != nil {
		return nil, s.refusal
	}
	decided := scope.Scope{
		Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: 3002, Name: "web"}},
		Permissions: scope.Permissions{"contents": scope.Write},
	}
	d := policy.Decision{Grant: r.Ask.Grant, Scope: decided, Curfew: 10 * time.Minute}
	if r.DryRun {
		return &exchange.Issued{Decision: d}, nil
	}
	granted := decided
	granted.Permissions = scope.Permissions{"contents": scope.Write, "metadata": scope.Read}
	l := lease.Lease{ID: "lease-1", State: lease.Active, Scope: granted, ExpiresAt: noon.Add(10 * time.Minute)}
	if !s.expires.IsZero() {
		l.ExpiresAt = s.expires
	}
	return &exchange.Issued{Decision: d, Lease: l, Token: secret.New(canary), Handle: secret.New(handle)}, nil
}

func (s *stage) EndByToken(_ context.Context, token secret.Text, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, token.Reveal())
	return s.refusal
}

func (s *stage) EndJob(_ context.Context, token secret.Text, _ string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, token.Reveal())
	if s.refusal != nil {
		return 0, s.refusal
	}
	return 2, nil
}

func (s *stage) Withdraw(ctx context.Context, l lease.Lease, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withdrawn = append(s.withdrawn, l.ID)
	return s.refusal
}

func (s *stage) List(_ context.Context, f store.Filter) ([]lease.Lease, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed = append(s.listed, f)
	if s.list == nil {
		return nil, "", s.refusal
	}
	leases, err := s.list()
	return leases, "next", err
}

// An outcome is one answer.
type outcome struct {
	status  int
	header  http.Header
	body    string
	refused api.ErrorBody
}

// send gives one request to the handler, without a network.
func (s *stage) send(r *http.Request) outcome {
	s.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	o := outcome{status: w.Code, header: w.Result().Header, body: w.Body.String()}
	if o.status >= 400 {
		if err := strictly(o.body, &o.refused); err != nil {
			s.Errorf("%s %s answers %d with %q: %v", r.Method, r.URL, o.status, o.body, err)
		}
	}
	return o
}

// strictly reads a body that has no fields but the known ones.
func strictly(body string, into any) error {
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// form is a good token request, changed by name, value pairs: a value replaces,
// "-" takes the parameter away.
func form(changes ...string) url.Values {
	v := url.Values{
		"grant_type": {api.GrantTypeTokenExchange}, "subject_token": {oidc}, "subject_token_type": {api.TokenTypeJWT}, "grant": {"release"},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "-" {
			v.Del(changes[i])
		} else {
			v.Set(changes[i], changes[i+1])
		}
	}
	return v
}

// post makes a form post. Headers come as name, value, name, value.
func post(path string, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func (s *stage) token(v url.Values, headers ...string) outcome {
	s.Helper()
	return s.send(post("/v1/token", v.Encode(), headers...))
}

func (s *stage) last() exchange.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[len(s.asked)-1]
}

// listen serves over a real socket, as `curfew serve` does.
func (s *stage) listen() *httptest.Server {
	s.Helper()
	h := httptest.NewUnstartedServer(nil)
	h.Config = server.HTTPServer(s.handler, s.options.Log)
	h.Start()
	s.Cleanup(h.Close)
	return h
}

// silent checks that the log holds no secret.
func (s *stage) silent() {
	s.Helper()
	for _, secret := range []string{canary, handle, oidc, operator, "canary"} {
		if strings.Contains(s.log.String(), secret) {
			s.Errorf("%q shows in the log:\n%s", secret, s.log)
		}
	}
}

func proxies(networks ...string) func(*server.Options) {
	return func(o *server.Options) {
		for _, n := range networks {
			o.TrustedProxies = append(o.TrustedProxies, netip.MustParsePrefix(n))
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
