package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

const canary = "ghs_canary0123456789"

var ask = api.TokenRequest{SubjectToken: secret.New("a.b.c"), Grant: "release", IdempotencyKey: "key-1"}

func granted() api.TokenResponse {
	token := secret.New(canary)
	return api.TokenResponse{
		AccessToken: token, IssuedTokenType: api.TokenTypeAccessToken, TokenType: "Bearer",
		ExpiresIn: 600, ExpiresAt: time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC), Scope: "contents:write",
		LeaseID: "0198-lease", Grant: "release", Owner: "acme",
		Repositories: []api.Repository{{ID: 3001, Name: "web"}},
		Permissions:  api.PermissionsOf(scope.Permissions{"contents": scope.Write}),
		AppSlug:      "curfew", GitUserName: "curfew[bot]", GitUserEmail: "7+curfew[bot]@users.noreply.github.com",
		RevocationHandle: secret.New("cfh_0198.handle"), TokenSHA256: token.DigestBase64(),
	}
}

// client speaks to a server that gives every request to h.
func client(t *testing.T, h http.HandlerFunc) *api.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := api.NewClient(server.URL+"/", server.Client())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func wire(t *testing.T, r api.TokenResponse) string {
	t.Helper()
	body, err := r.Body()
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestExchangeOverTheWire(t *testing.T) {
	var form url.Values
	var key string
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != api.PathToken || r.Method != http.MethodPost {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		_ = r.ParseForm()
		form, key = r.PostForm, r.Header.Get("Idempotency-Key")
		reply(200, wire(t, granted()))(w, r)
	})
	full := ask
	full.Resources = []string{"https://github.com/acme/web", "https://github.com/acme/api"}
	full.Scope, full.Seconds, full.Reason, full.Context = "contents:write", 600, "OPS-1 tag", "workflow=release"
	got, err := c.Exchange(t.Context(), full)
	if err != nil {
		t.Fatal(err)
	}
	reveal := cmp.Transformer("reveal", func(s secret.Text) string { return s.Reveal() })
	if diff := cmp.Diff(granted(), got, reveal); diff != "" {
		t.Error(diff)
	}
	want := url.Values{
		"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":        {"a.b.c"},
		"subject_token_type":   {"urn:ietf:params:oauth:token-type:jwt"},
		"resource":             full.Resources,
		"scope":                {"contents:write"},
		"grant":                {"release"},
		"requested_expires_in": {"600"},
		"reason":               {"OPS-1 tag"},
		"context":              {"workflow=release"},
	}
	if diff := cmp.Diff(want, form); diff != "" {
		t.Error(diff)
	}
	if key != "key-1" {
		t.Errorf("the Idempotency-Key is %q", key)
	}
}

func TestWhatIsNotAskedIsNotSent(t *testing.T) {
	form := api.TokenRequest{SubjectToken: secret.New("a.b.c"), Grant: "release", DryRun: true}.Form()
	want := "dry_run=true&grant=release&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange" +
		"&subject_token=a.b.c&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
	if got := form.Encode(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestBodyIsTheWholeContract(t *testing.T) {
	want := `{"access_token":"ghs_canary0123456789","issued_token_type":"urn:ietf:params:oauth:token-type:access_token",` +
		`"token_type":"Bearer","expires_in":600,"scope":"contents:write","lease_id":"0198-lease","expires_at":"2026-11-23T14:05:00Z",` +
		`"grant":"release","owner":"acme","repositories":[{"id":3001,"name":"web"}],"permissions":{"contents":"write"},` +
		`"app_slug":"curfew","git_user_name":"curfew[bot]","git_user_email":"7+curfew[bot]@users.noreply.github.com",` +
		`"token_sha256":"` + secret.New(canary).DigestBase64() + `","revocation_handle":"cfh_0198.handle"}`
	if got := wire(t, granted()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestResponseShowsNoTokenUnlessAsked(t *testing.T) {
	r := granted()
	encoded, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{string(encoded), fmt.Sprintf("%v %+v %#v", r, r, r)} {
		if strings.Contains(shown, canary) || strings.Contains(shown, "cfh_") {
			t.Errorf("a secret shows in %s", shown)
		}
	}
}

func TestRefusalIsReadWhole(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		reply(429, `{"error":"temporarily_unavailable","error_description":"slow down","code":"rate_limited","retryable":true,
			"correlation_id":"c-1","hint":"wait","details":[{"rule":"r","claim":"c","expected":"e","got":"g"}]}`)(w, r)
	})
	_, err := c.Exchange(t.Context(), ask)
	var refusal *api.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v", err)
	}
	want := api.ErrorBody{
		Error: "temporarily_unavailable", ErrorDescription: "slow down", Code: problem.RateLimited, Retryable: true,
		CorrelationID: "c-1", Hint: "wait", Details: []api.Detail{{Rule: "r", Claim: "c", Expected: "e", Got: "g"}},
	}
	if diff := cmp.Diff(want, refusal.Body); diff != "" {
		t.Error(diff)
	}
	if !api.Retryable(err) || api.RetryAfter(err) != 7*time.Second || refusal.Status != 429 {
		t.Errorf("retryable %v after %v, status %d", api.Retryable(err), api.RetryAfter(err), refusal.Status)
	}
}

func TestUnknownMembersArePassedOver(t *testing.T) {
	body := strings.Replace(wire(t, granted()), `{`, `{"new":{"in":["a","later","version"]},`, 1)
	if _, err := client(t, reply(200, body)).Exchange(t.Context(), ask); err != nil {
		t.Error(err)
	}
}

func TestLostAnswersAreRetryable(t *testing.T) {
	cut := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"access_token":`)
	})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	absent, err := api.NewClient(gone.URL, gone.Client())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*api.Client{"cut in the body": cut, "nobody there": absent} {
		if _, err := c.Exchange(t.Context(), ask); !api.Retryable(err) {
			t.Errorf("%s: %v is not retryable", name, err)
		}
	}
}

func TestUntrustedCertificateIsNotRetried(t *testing.T) {
	server := httptest.NewUnstartedServer(reply(200, `{}`))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	c, err := api.NewClient(server.URL, &http.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exchange(t.Context(), ask); err == nil || api.Retryable(err) {
		t.Errorf("got %v", err)
	}
}

// The standard library repeats a request with an Idempotency-Key by itself when
// a kept connection breaks; the OIDC token in it is good only once.
func TestEachExchangeIsSentOnce(t *testing.T) {
	var requests atomic.Int32
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			reply(200, wire(t, granted()))(w, r)
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	})
	if _, err := c.Exchange(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exchange(t.Context(), ask); !api.Retryable(err) {
		t.Errorf("got %v", err)
	}
	if requests.Load() != 2 {
		t.Errorf("two exchanges were sent as %d requests", requests.Load())
	}
}

func TestRevokeAndEndJob(t *testing.T) {
	var revoked, bearer string
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case api.PathRevoke:
			revoked = r.PostFormValue("token")
			w.WriteHeader(http.StatusOK)
		case api.PathJobsEnd:
			bearer = r.Header.Get("Authorization")
			reply(200, `{"ended":2}`)(w, r)
		}
	})
	if err := c.Revoke(t.Context(), secret.New("cfh_1")); err != nil || revoked != "cfh_1" {
		t.Errorf("revoked %q, %v", revoked, err)
	}
	if n, err := c.EndJob(t.Context(), secret.New("a.b.c")); err != nil || n != 2 || bearer != "Bearer a.b.c" {
		t.Errorf("ended %d with %q, %v", n, bearer, err)
	}
	busy := client(t, reply(503, `{"error":"temporarily_unavailable","code":"store_unavailable","retryable":true}`))
	if err := busy.Revoke(t.Context(), secret.New("cfh_1")); !api.Retryable(err) {
		t.Errorf("got %v", err)
	}
	if _, err := client(t, reply(200, `{"ended":"all"}`)).EndJob(t.Context(), secret.New("a.b.c")); err == nil {
		t.Error("a count that is no number is taken")
	}
}
