package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/server"
)

// routes are all there are, with the one method each takes.
var routes = map[string]string{
	api.PathToken: "POST", api.PathRevoke: "POST", api.PathJobsEnd: "POST",
	api.PathLeases: "GET", api.PathMetadata: "GET", "/healthz": "GET", "/readyz": "GET",
}

func TestEachRouteTakesOneMethod(t *testing.T) {
	s := newStage(t)
	for path, method := range routes {
		for _, tried := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
			o := s.send(httptest.NewRequest(tried, path, http.NoBody))
			taken := tried == method || tried == "HEAD" && method == "GET"
			if taken == (o.status == http.StatusMethodNotAllowed) {
				t.Errorf("%s %s: %d", tried, path, o.status)
			}
			allow := map[string]string{"GET": "GET, HEAD", "POST": "POST"}[method]
			if !taken && (o.header.Get("Allow") != allow || o.refused.Code != problem.MethodNotAllowed) {
				t.Errorf("%s %s: Allow is %q, want %q", tried, path, o.header.Get("Allow"), allow)
			}
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := newStage(t)
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1/tokens", "/v1/token/", "/v1/token/x", "//v1/token", "/v1//token", "/x/../v1/token", "/v1/./token", "/V1/token",
		"/v1/locks", "/webhooks/github", "/metrics", "/debug/pprof/", "/v1/leases/", "/.well-known/", "/v1/%2e%2e/healthz",
	} {
		for _, r := range []*http.Request{httptest.NewRequest("GET", path, http.NoBody), post(path, form().Encode())} {
			if o := s.send(r); o.status != http.StatusNotFound || o.refused.Code != problem.NotFound || o.header.Get("Location") != "" {
				t.Errorf("%s %s: %d %s", r.Method, path, o.status, o.body)
			}
		}
	}
	if len(s.asked) != 0 {
		t.Error("the hall was asked")
	}
}

// Every answer says what it is, is kept by nobody, and is no page's to read.
func TestHeadersOfEveryAnswer(t *testing.T) {
	s := newStage(t, operators)
	requests := []*http.Request{post("/v1/token", form().Encode()), post("/v1/token", "x"), post("/v1/revoke", "token=x"), httptest.NewRequest("GET", "/nothing", http.NoBody)}
	for path := range routes {
		requests = append(requests, httptest.NewRequest("GET", path, http.NoBody), httptest.NewRequest("OPTIONS", path, http.NoBody))
	}
	for _, r := range requests {
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Cookie", "a=b")
		o := s.send(r)
		for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			if got := o.header.Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", r.Method, r.URL, name, got, want)
			}
		}
		for name := range o.header {
			if strings.HasPrefix(name, "Access-Control-") || name == "Set-Cookie" || name == "Location" {
				t.Errorf("%s %s: there is a header %s", r.Method, r.URL, name)
			}
		}
	}
}

func TestMetadata(t *testing.T) {
	const want = `{"issuer":"https://curfew.example.com","token_endpoint":"https://curfew.example.com/v1/token",` +
		`"token_endpoint_auth_methods_supported":["none"],"revocation_endpoint":"https://curfew.example.com/v1/revoke",` +
		`"revocation_endpoint_auth_methods_supported":["none"],"grant_types_supported":["urn:ietf:params:oauth:grant-type:token-exchange"],` +
		`"response_types_supported":[],"subject_token_types_supported":["urn:ietf:params:oauth:token-type:jwt","urn:ietf:params:oauth:token-type:id_token"]}`
	o := newStage(t).send(httptest.NewRequest("GET", api.PathMetadata, http.NoBody))
	if o.status != http.StatusOK || strings.TrimSpace(o.body) != want {
		t.Errorf("got  %s\nwant %s", o.body, want)
	}
}

func TestHealth(t *testing.T) {
	var down error
	s := newStage(t, func(o *server.Options) { o.Ready = func(context.Context) error { return down } })
	check := func(when string, healthz, readyz, token int) {
		t.Helper()
		got := [3]int{s.send(httptest.NewRequest("GET", "/healthz", http.NoBody)).status,
			s.send(httptest.NewRequest("GET", "/readyz", http.NoBody)).status, s.token(form()).status}
		if got != [3]int{healthz, readyz, token} {
			t.Errorf("%s: healthz, readyz and token answer %v", when, got)
		}
	}
	check("running", 200, 200, 200)
	down = problem.New(problem.StoreUnavailable, "the ledger can't be written")
	check("with the ledger down", 200, 503, 200) // the hall decides about tokens
	down = nil
	s.server.Drain()
	check("draining", 200, 503, 503)
	if o := s.token(form()); o.refused.Code != problem.Draining || o.header.Get("Retry-After") == "" {
		t.Errorf("draining: %s", o.body)
	}
	if o := s.send(post("/v1/revoke", "token="+handle)); o.status != 200 {
		t.Errorf("a token can't be ended while draining: %s", o.body)
	}
	if o := s.send(post("/v1/jobs/end", "", "Authorization", "Bearer "+oidc)); o.status != 200 {
		t.Errorf("a job can't be ended while draining: %s", o.body)
	}
}

func TestRevocation(t *testing.T) {
	for name, row := range map[string]struct {
		body    string
		refusal error
		status  int
		code    problem.Code
	}{
		"a token or handle, known or not":   {"token=" + handle, nil, 200, ""},
		"with a hint at its type":           {"token=" + canary + "&token_type_hint=access_token", nil, 200, ""},
		"with a hint nobody knows":          {"token=" + canary + "&token_type_hint=whatever", nil, 200, ""},
		"its end can't be recorded":         {"token=" + handle, problem.New(problem.StoreUnavailable, "no"), 503, problem.StoreUnavailable},
		"its end fails for another reason":  {"token=" + handle, errors.New("boom"), 503, problem.StoreUnavailable},
		"no token":                          {"", nil, 400, problem.BadForm},
		"an empty token":                    {"token=", nil, 400, problem.BadForm},
		"two tokens":                        {"token=a&token=b", nil, 400, problem.BadForm},
		"a parameter that is not for here":  {"token=a&grant=release", nil, 400, problem.BadForm},
		"a token of more than 64 KiB":       {"token=" + strings.Repeat("a", 64<<10), nil, 413, problem.TooLarge},
		"a long token is as good as others": {"token=" + strings.Repeat("a", 8<<10), nil, 200, ""},
	} {
		s := newStage(t)
		s.refusal = row.refusal
		o := s.send(post("/v1/revoke", row.body))
		if o.status != row.status || o.refused.Code != row.code {
			t.Errorf("%s: %d %s", name, o.status, o.body)
		}
		if (o.header.Get("Retry-After") != "") != (o.status == 503) {
			t.Errorf("%s: Retry-After is %q", name, o.header.Get("Retry-After"))
		}
		if row.status == 400 && len(s.ended) != 0 {
			t.Errorf("%s: the hall was asked", name)
		}
		s.silent()
	}
	s := newStage(t)
	if o := s.send(with(post("/v1/revoke", `{"token":"x"}`), "Content-Type", "application/json")); o.status != 415 {
		t.Errorf("as JSON: %d", o.status)
	}
	if o := s.send(post("/v1/revoke?token="+canary, "")); o.status != 400 {
		t.Errorf("in the address: %d", o.status)
	}
	s.silent()
}

func TestJobsEnd(t *testing.T) {
	for name, row := range map[string]struct {
		headers []string
		status  int
	}{
		"a Bearer token":                  {[]string{"Authorization", "Bearer " + oidc}, 200},
		"the scheme in small letters":     {[]string{"Authorization", "bearer " + oidc}, 200},
		"no header":                       {nil, 400},
		"an empty header":                 {[]string{"Authorization", ""}, 400},
		"a scheme alone":                  {[]string{"Authorization", "Bearer"}, 400},
		"a scheme and a space":            {[]string{"Authorization", "Bearer "}, 400},
		"another scheme":                  {[]string{"Authorization", "token " + oidc}, 400},
		"no scheme":                       {[]string{"Authorization", oidc}, 400},
		"two spaces":                      {[]string{"Authorization", "Bearer  " + oidc}, 400},
		"something after the token":       {[]string{"Authorization", "Bearer " + oidc + " x"}, 400},
		"a comma and a second credential": {[]string{"Authorization", "Bearer " + oidc + ", Bearer x"}, 400},
		"two headers":                     {[]string{"Authorization", "Bearer " + oidc, "Authorization", "Bearer " + oidc}, 400},
	} {
		s := newStage(t)
		o := s.send(post("/v1/jobs/end", "", row.headers...))
		if o.status != row.status {
			t.Errorf("%s: %d %s", name, o.status, o.body)
		}
		if row.status == 200 && (o.body != "{\"ended\":2}\n" || s.ended[0] != oidc) {
			t.Errorf("%s: %s", name, o.body)
		}
		if row.status != 200 && len(s.ended) != 0 {
			t.Errorf("%s: the hall was asked", name)
		}
		s.silent()
	}
	s := newStage(t)
	s.refusal = problem.New(problem.BadClaims, "no check_run_id")
	if o := s.send(post("/v1/jobs/end", "", "Authorization", "Bearer "+oidc)); o.status != 400 || o.refused.Code != problem.BadClaims {
		t.Errorf("a refusal stays what it is: %d %s", o.status, o.body)
	}
	s.refusal = errors.New("boom")
	if o := s.send(post("/v1/jobs/end", "", "Authorization", "Bearer "+oidc)); o.status != 503 {
		t.Errorf("an end that is not recorded: %d %s", o.status, o.body)
	}
}

// A storm of exchanges, however slow, never keeps a token from being ended.
func TestExchangesAndEndingsHaveSharesOfTheirOwn(t *testing.T) {
	s := newStage(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	s.exchange = func(context.Context) { arrived <- struct{}{}; <-release }
	done := make(chan int)
	storm := 0
	for full := false; !full; {
		storm++
		go func() { done <- s.token(form()).status }()
		select {
		case <-arrived:
		case status := <-done: // this one found no place
			storm--
			full = true
			if status != http.StatusTooManyRequests {
				t.Errorf("one too many: %d", status)
			}
		}
		if storm > 10_000 {
			t.Fatal("exchanges in flight are not bounded")
		}
	}
	if o := s.token(form()); o.refused.Code != problem.RateLimited || o.header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %s", o.status, o.body)
	}
	if o := s.send(post("/v1/revoke", "token="+handle)); o.status != 200 {
		t.Errorf("a revocation meanwhile: %d %s", o.status, o.body)
	}
	if o := s.send(post("/v1/jobs/end", "", "Authorization", "Bearer "+oidc)); o.status != 200 {
		t.Errorf("a job's end meanwhile: %d %s", o.status, o.body)
	}
	close(release)
	for range storm {
		if status := <-done; status != 200 {
			t.Errorf("one that found a place: %d", status)
		}
	}
	s.exchange = nil
	if o := s.token(form()); o.status != 200 {
		t.Errorf("afterwards: %d %s", o.status, o.body)
	}
}

// Senders that do not send hold no place.
func TestSlowSendersKeepNobodyOut(t *testing.T) {
	s := newStage(t)
	web := s.listen()
	const slow = 300 // more than are answered at once
	for i := range slow {
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		path := []string{"/v1/token", "/v1/revoke"}[i%2]
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant", path); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/v1/token", "/v1/revoke"} {
		body := map[string]string{"/v1/token": form().Encode(), "/v1/revoke": "token=x"}[path]
		response, err := http.Post(web.URL+path, "application/x-www-form-urlencoded", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
}

func TestThePublicFaceHasLimits(t *testing.T) {
	h := server.HTTPServer(http.NotFoundHandler(), newStage(t).options.Log)
	for name, got := range map[string]time.Duration{
		"header": h.ReadHeaderTimeout, "read": h.ReadTimeout, "write": h.WriteTimeout, "idle": h.IdleTimeout,
	} {
		if got <= 0 || got > 5*time.Minute {
			t.Errorf("the %s time-out is %s", name, got)
		}
	}
	if h.MaxHeaderBytes <= 0 || h.MaxHeaderBytes > 64<<10 {
		t.Errorf("headers may have %d bytes", h.MaxHeaderBytes)
	}
	s := newStage(t)
	web := s.listen()
	r, err := http.NewRequestWithContext(t.Context(), "GET", web.URL+"/healthz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("a", 64<<10))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 64 KiB: %s", response.Status)
	}
}

func TestAGrantOverTheWire(t *testing.T) {
	s := newStage(t)
	// printf %s $canary | openssl dgst -sha256 -binary | base64
	const want = `{"access_token":"` + canary + `","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer",` +
		`"expires_in":600,"scope":"contents:write metadata:read","lease_id":"lease-1","expires_at":"2026-03-01T12:10:00Z","grant":"release",` +
		`"owner":"acme","repositories":[{"id":3002,"name":"web"}],"permissions":{"contents":"write","metadata":"read"},` +
		`"app_slug":"curfew","git_user_name":"curfew[bot]","git_user_email":"7+curfew[bot]@users.noreply.github.com",` +
		`"token_sha256":"w9eG5aM6VU99pLiUWtqUJYiQPccXAT7qmqBE3PurI0c=","revocation_handle":"` + handle + `"}`
	o := s.token(form())
	if strings.TrimSpace(o.body) != want {
		t.Errorf("got  %s\nwant %s", o.body, want)
	}
	if len(s.withdrawn) != 0 {
		t.Error("a delivered token was withdrawn")
	}
	s.silent()
	dry := s.token(form("dry_run", "true"))
	for _, absent := range []string{"access_token\":", "lease_id", "revocation_handle", "token_sha256"} {
		if strings.Contains(dry.body, absent) {
			t.Errorf("a dry run tells %s: %s", absent, dry.body)
		}
	}
	if !strings.Contains(dry.body, `"scope":"contents:write"`) || !strings.Contains(dry.body, `"expires_in":600`) {
		t.Errorf("a dry run tells %s", dry.body)
	}
}

// A token that nobody took is withdrawn.
func TestATokenIsTakenOrWithdrawn(t *testing.T) {
	t.Run("the connection fails", func(t *testing.T) {
		s := newStage(t)
		s.handler.ServeHTTP(&brokenWriter{header: http.Header{}}, post("/v1/token", form().Encode()))
		if len(s.withdrawn) != 1 || s.withdrawn[0] != "lease-1" {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
		s.silent()
	})
	t.Run("the connection fails at the flush", func(t *testing.T) {
		s := newStage(t)
		s.handler.ServeHTTP(&brokenWriter{header: http.Header{}, room: 1 << 20}, post("/v1/token", form().Encode()))
		if len(s.withdrawn) != 1 {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
	})
	t.Run("the client is gone when the answer is written", func(t *testing.T) {
		s := newStage(t)
		ctx, leave := context.WithCancel(t.Context())
		leave()
		s.handler.ServeHTTP(httptest.NewRecorder(), post("/v1/token", form().Encode()).WithContext(ctx))
		if len(s.withdrawn) != 1 {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
	})
	t.Run("a refusal or a dry run has nothing to withdraw", func(t *testing.T) {
		s := newStage(t)
		s.handler.ServeHTTP(&brokenWriter{header: http.Header{}}, post("/v1/token", form("dry_run", "true").Encode()))
		s.refusal = problem.New(problem.Denied, "no")
		s.handler.ServeHTTP(&brokenWriter{header: http.Header{}}, post("/v1/token", form().Encode()))
		if len(s.withdrawn) != 0 {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
	})
	t.Run("the client hangs up while GitHub mints", func(t *testing.T) {
		s := newStage(t)
		under, finished := make(chan struct{}), make(chan struct{})
		s.exchange = func(ctx context.Context) { close(under); <-ctx.Done() }
		inner := s.handler
		s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(w, r); close(finished) })
		web := s.listen()
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		body := form().Encode()
		_, err = fmt.Fprintf(conn, "POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if err != nil {
			t.Fatal(err)
		}
		<-under
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		<-finished
		if len(s.withdrawn) != 1 {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
	})
}

// A brokenWriter takes so many bytes and can't be flushed.
type brokenWriter struct {
	header http.Header
	room   int
}

func (b *brokenWriter) Header() http.Header { return b.header }
func (b *brokenWriter) WriteHeader(int)     {}
func (b *brokenWriter) FlushError() error   { return net.ErrClosed }
func (b *brokenWriter) Write(p []byte) (int, error) {
	if len(p) > b.room {
		return 0, net.ErrClosed
	}
	return len(p), nil
}

// The server speaks HTTP as strictly as net/http does: one request is never read as two.
func TestAmbiguousFramingIsRefused(t *testing.T) {
	s := newStage(t)
	web := s.listen()
	for name, head := range map[string]string{
		"two lengths":         "Content-Length: 3\r\nContent-Length: 4\r\n",
		"a length with chunk": "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
		"a signed length":     "Content-Length: +3\r\n",
	} {
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"+head+"\r\na=b")
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode < 400 {
			t.Errorf("%s: %s", name, response.Status)
		}
		_ = conn.Close()
	}
}
