package server_test

import (
	"bufio"
	"context"
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
		for _, r := range []*http.Request{httptest.NewRequest(http.MethodGet, path, http.NoBody), post(path, form().Encode())} {
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
	requests := []*http.Request{post("/v1/token", form().Encode()), post("/v1/token", "x"), post("/v1/revoke", "token=x"), httptest.NewRequest(http.MethodGet, "/nothing", http.NoBody)}
	for path := range routes {
		requests = append(requests, httptest.NewRequest(http.MethodGet, path, http.NoBody), httptest.NewRequest(http.MethodOptions, path, http.NoBody))
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
	o := newStage(t).send(httptest.NewRequest(http.MethodGet, api.PathMetadata, http.NoBody))
	if o.status != http.StatusOK || strings.TrimSpace(o.body) != want {
		t.Errorf("got  %s\nwant %s", o.body, want)
	}
}

func TestHealth(t *testing.T) {
	var down error
	s := newStage(t, func(o *server.Options) { o.Ready = func(context.Context) error { return down } })
	check := func(when string, healthz, readyz, token int) {
		t.Helper()
		got := [3]int{s.send(httptest.NewRequest(http.MethodGet, "/healthz", http.NoBody)).status,
			s.send(httptest.NewRequest(http.MethodGet, "/readyz", http.NoBody)).status, s.token(form()).status}
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
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/healthz", http.NoBody)
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

// A token that nobody took is withdrawn.
// A brokenWriter takes so many bytes and can't be flushed.
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
