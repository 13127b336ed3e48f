package action

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/secret"
)

func TestMainHandsATokenToLaterSteps(t *testing.T) {
	s := newStage(t)
	s.env["INPUT_REASON"] = "OPS-7 <b>tag</b> | `1.2.3`"
	if code := s.main(); code != 0 {
		t.Fatalf("exit %d:\n%s", code, s.out.String())
	}
	s.golden("granted.log", s.out.String())
	s.golden("granted.html", s.summary())
	want := map[string]string{
		"token": token, "lease-id": "0198c0de-lease", "expires-at": "2026-11-23T14:05:00Z", "owner": "acme", "repositories": "web",
		"permissions": `{"contents":"write","metadata":"read"}`, "app-slug": "curfew", "git-user-name": "curfew[bot]",
		"git-user-email": "7+curfew[bot]@users.noreply.github.com", "token-sha256": secret.New(token).DigestBase64(),
	}
	if diff := cmp.Diff(want, s.file(outputFile)); diff != "" {
		t.Error(diff)
	}
	if got := s.file(envFile); len(got) > 0 {
		t.Errorf("exported without being asked: %v", got)
	}
	if len(s.revoked)+len(s.ended)+len(s.deleted) > 0 {
		t.Error("a lease is ended")
	}
}

func TestMainAsksForNoMoreThanTheInputsSay(t *testing.T) {
	s := newStage(t)
	s.main()
	want := url.Values{
		"grant_type": {api.GrantTypeTokenExchange}, "subject_token": {oidc(1)}, "subject_token_type": {api.TokenTypeJWT}, "grant": {"release"},
		"context": {`workflow="Release" ref="refs/heads/main" event="push" actor="octocat"`},
	}
	if diff := cmp.Diff(want, s.asked[0]); diff != "" {
		t.Error(diff)
	}
}

func TestMainAsksForAllThatTheInputsSay(t *testing.T) {
	s := newStage(t)
	s.env["INPUT_OWNER"] = "Acme"
	s.env["INPUT_REPOSITORIES"] = "web, acme/api\nWEB,,\n"
	s.env["INPUT_PERMISSIONS"] = "contents: write\npull-requests: read"
	s.env["INPUT_DURATION"] = "1h"
	s.env["INPUT_REASON"] = " OPS-7 tag\n"
	if code := s.main(); code != 0 {
		t.Fatalf("exit %d:\n%s", code, s.out.String())
	}
	want := url.Values{
		"resource": {"https://github.com/Acme/web", "https://github.com/Acme/api"}, "scope": {"contents:write pull_requests:read"},
		"requested_expires_in": {"3600"}, "reason": {"OPS-7 tag"},
	}
	for field, values := range want {
		if diff := cmp.Diff(values, s.asked[0][field]); diff != "" {
			t.Errorf("%s: %s", field, diff)
		}
	}
}

func TestNoneAsksForTheOwnerAlone(t *testing.T) {
	s := newStage(t)
	s.env["INPUT_REPOSITORIES"] = "none"
	s.onToken = func(w http.ResponseWriter, _ *http.Request) {
		r := answer()
		r.Permissions, r.Repositories = api.Permissions{"members": "read"}, []api.Repository{{ID: 2001, Name: ".github"}}
		s.grant(w, r)
	}
	if code := s.main(); code != 0 {
		t.Fatalf("exit %d:\n%s", code, s.out.String())
	}
	if diff := cmp.Diff([]string{"https://github.com/acme"}, s.asked[0]["resource"]); diff != "" {
		t.Error(diff)
	}
}

func TestMasksComeBeforeAnythingElse(t *testing.T) {
	s := newStage(t)
	s.main()
	s.hidesSecrets()
	parts := strings.Split(token, ".")
	for _, value := range []string{oidc(1), token, parts[0], parts[1], parts[2], handle, base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))} {
		s.wants("::add-mask::" + value + "\n")
	}
}

func TestTinyPartsOfATokenAreNotMasked(t *testing.T) {
	r := answer()
	r.AccessToken = secret.New("ghs_1234567890.a.b")
	for _, form := range secrets(r) {
		if len(form) < shortestMask {
			t.Errorf("%q would be masked wherever it stands", form)
		}
	}
}

func TestExportEnv(t *testing.T) {
	s := newStage(t)
	s.env["INPUT_EXPORT-ENV"] = "GH_TOKEN, MY_TOKEN"
	s.main()
	if diff := cmp.Diff(map[string]string{"GH_TOKEN": token, "MY_TOKEN": token}, s.file(envFile)); diff != "" {
		t.Error(diff)
	}
}

func TestMissingIDTokenTellsWhatToPaste(t *testing.T) {
	for _, missing := range []string{"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		s := newStage(t)
		delete(s.env, missing)
		if code := s.main(); code != 1 {
			t.Errorf("exit %d", code)
		}
		s.golden("no-id-token.log", s.out.String())
		if len(s.asked) > 0 {
			t.Error("the server is asked")
		}
		s.post()
		if len(s.ended) > 0 {
			t.Error("post asks to end what was never opened")
		}
	}
}

func TestIDTokenAddressMustBeSafe(t *testing.T) {
	for name, address := range map[string]string{
		"plain http":  "http://pipelines.example.com/id-token",
		"a password":  "https://a:hunter2@pipelines.example.com/",
		"no URL":      "::::",
		"a file":      "file:///etc/passwd",
		"a bare path": "/id-token",
	} {
		s := newStage(t)
		s.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = address
		if code := s.main(); code != 1 || s.errorsShown() != 1 || len(s.asked) > 0 || strings.Contains(s.out.String(), "hunter2") {
			t.Errorf("%s: exit %d\n%s", name, code, s.out.String())
		}
		s.wants("ACTIONS_ID_TOKEN_REQUEST_URL is not an https address")
	}
}

func TestHostileIDTokenAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no JWT":    func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"value":"hello"}`) },
		"a newline": func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"value":"a.b.c\n::error::x"}`) },
		"nothing":   func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{}`) },
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, `{"value":"a.b.`+strings.Repeat("c", 16<<10)+`"}`)
		},
		"a refusal":  func(w http.ResponseWriter, _ *http.Request) { reply(w, 403, "\n::error::owned ##[error]") },
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	} {
		s := newStage(t)
		s.onIDToken = h
		if code := s.main(); code != 1 || len(s.asked) > 0 || s.errorsShown() != 1 || strings.Contains(s.out.String(), "owned") {
			t.Errorf("%s: exit %d\n%s", name, code, s.out.String())
		}
	}
}

func TestIDTokenAddressIsNotFollowedElsewhere(t *testing.T) {
	s := newStage(t)
	hand, calls := s.onIDToken, 0
	s.onIDToken = func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			http.Redirect(w, r, r.URL.RequestURI(), http.StatusFound)
			return
		}
		hand(w, r)
	}
	if code := s.main(); code != 1 || calls != 1 {
		t.Errorf("exit %d after %d calls", code, calls)
	}
}

func TestFilesThatCannotBeOpenedStopMainEarly(t *testing.T) {
	for _, variable := range []string{outputFile, stateFile, envFile} {
		s := newStage(t)
		s.env["INPUT_EXPORT-ENV"] = "GH_TOKEN"
		s.env[variable] = filepath.Join(s.dir, "missing", "file")
		if code := s.main(); code != 1 || len(s.asked) > 0 || s.errorsShown() != 1 {
			t.Errorf("%s: exit %d\n%s", variable, code, s.out.String())
		}
		s.wants(variable)
	}
	s := newStage(t)
	delete(s.env, outputFile)
	if code := s.main(); code != 1 || len(s.asked) > 0 {
		t.Errorf("exit %d\n%s", code, s.out.String())
	}
}

func TestFilesThatCannotBeWrittenEndTheLease(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	for _, variable := range []string{outputFile, stateFile, envFile} {
		s := newStage(t)
		s.env["INPUT_EXPORT-ENV"] = "GH_TOKEN"
		s.env[variable] = "/dev/full"
		if code := s.main(); code != 1 || s.errorsShown() != 1 {
			t.Errorf("%s: exit %d\n%s", variable, code, s.out.String())
		}
		if diff := cmp.Diff([]string{handle}, s.revoked); diff != "" {
			t.Errorf("%s: %s", variable, diff)
		}
	}
}

func TestRunnersWithoutStateAreServed(t *testing.T) {
	s := newStage(t)
	delete(s.env, stateFile)
	delete(s.env, summaryFile)
	if code := s.main(); code != 0 {
		t.Errorf("exit %d\n%s", code, s.out.String())
	}
}

// deaf is a standard output that fails once the server has answered.
type deaf struct{ s *stage }

func (d deaf) Write(b []byte) (int, error) {
	if strings.Contains(string(b), token) {
		return 0, errors.New("broken pipe")
	}
	return d.s.out.Write(b)
}

func TestATokenThatCannotBeMaskedIsEnded(t *testing.T) {
	s := newStage(t)
	s.stdout = deaf{s}
	if code := s.main(); code != 1 {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff([]string{handle}, s.revoked); diff != "" {
		t.Error(diff)
	}
	if len(s.file(outputFile)) > 0 {
		t.Error("the token is handed out")
	}
}

func TestCancelledWhileTheServerThinks(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.onToken = func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		s.grant(w, answer())
	}
	env := s.outside()
	env.Sleep = untilDone
	if code := Main(ctx, env); code != 1 {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff([]string{handle}, s.revoked); diff != "" {
		t.Error(diff)
	}
	if len(s.file(outputFile)) > 0 {
		t.Error("the token is handed out")
	}
	s.wants("the job was cancelled or timed out")
}

func TestCancelledWithoutAnAnswerEndsTheJobsLeases(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.onToken = func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done() // the client gives up, for its sleep ends at once
	}
	if code := Main(ctx, s.outside()); code != 1 {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff([]string{oidc(2)}, s.ended); diff != "" {
		t.Error(diff)
	}
	s.wants("the job was cancelled or timed out", "leases of this job ended: 1")
}

func TestCancelledBetweenTries(t *testing.T) {
	s := newStage(t)
	s.onToken = func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, 503, api.ErrorBody{Error: "temporarily_unavailable", Code: "pending", Retryable: true})
	}
	ctx, cancel := context.WithCancel(t.Context())
	env := s.outside()
	env.Sleep = func(ctx context.Context, _ time.Duration) error {
		cancel()
		return context.Canceled
	}
	if code := Main(ctx, env); code != 1 || len(s.asked) != 1 {
		t.Errorf("exit %d after %d tries", code, len(s.asked))
	}
}

// untilDone sleeps until its context ends.
func untilDone(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}
