package action

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// Each row asks for contents:write on acme/web for 15 minutes, or what inputs
// say, and is granted what change makes of that.
func TestAnswersWiderThanAskedAreRefusedAndEnded(t *testing.T) {
	none := map[string]string{"INPUT_REPOSITORIES": "none", "INPUT_PERMISSIONS": ""}
	for name, row := range map[string]struct {
		inputs map[string]string
		change func(*api.TokenResponse)
	}{
		"another owner": {nil, func(r *api.TokenResponse) { r.Owner = "evil" }},
		"one repository more": {nil, func(r *api.TokenResponse) {
			r.Repositories = append(r.Repositories, api.Repository{ID: 3002, Name: "api"})
		}},
		"another repository":     {nil, func(r *api.TokenResponse) { r.Repositories[0].Name = "webs" }},
		"no repository":          {nil, func(r *api.TokenResponse) { r.Repositories = nil }},
		"one permission more":    {nil, func(r *api.TokenResponse) { r.Permissions["issues"] = "read" }},
		"a higher level":         {map[string]string{"INPUT_PERMISSIONS": "contents: read"}, func(*api.TokenResponse) {}},
		"metadata above read":    {nil, func(r *api.TokenResponse) { r.Permissions["metadata"] = "write" }},
		"a permission not known": {nil, func(r *api.TokenResponse) { r.Permissions["quantum_keys"] = "read" }},
		"a second more":          {nil, func(r *api.TokenResponse) { r.ExpiresIn = 901 }},
		"a later end":            {nil, func(r *api.TokenResponse) { r.ExpiresAt = start.Add(20*time.Minute + time.Second) }},
		"more than an hour":      {map[string]string{"INPUT_DURATION": ""}, func(r *api.TokenResponse) { r.ExpiresIn = 3601 }},
		"a repository for none":  {none, func(*api.TokenResponse) {}},
		"two repositories for none": {none, func(r *api.TokenResponse) {
			r.Permissions = api.Permissions{"members": "read"}
			r.Repositories = append(r.Repositories, api.Repository{ID: 3002, Name: "api"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.env["INPUT_PERMISSIONS"], s.env["INPUT_DURATION"] = "contents: write", "15m"
			for input, value := range row.inputs {
				s.env[input] = value
			}
			s.onToken = func(w http.ResponseWriter, _ *http.Request) {
				r := answer()
				row.change(&r)
				s.grant(w, r)
			}
			if code := s.main(); code != 1 || s.errorsShown() != 1 {
				t.Errorf("exit %d\n%s", code, s.out.String())
			}
			s.wants("goes beyond what was asked")
			s.hidesSecrets()
			if diff := cmp.Diff([]string{handle}, s.revoked); diff != "" {
				t.Error(diff)
			}
			if len(s.file(outputFile)) > 0 {
				t.Error("the token is handed out")
			}
		})
	}
}

func TestAnswersWithinWhatWasAskedAreTaken(t *testing.T) {
	for name, row := range map[string]struct {
		inputs map[string]string
		change func(*api.TokenResponse)
	}{
		"just what was asked":        {nil, func(*api.TokenResponse) {}},
		"names in other case":        {nil, func(r *api.TokenResponse) { r.Owner, r.Repositories[0].Name = "ACME", "Web" }},
		"a lower level":              {nil, func(r *api.TokenResponse) { r.Permissions["contents"] = "read" }},
		"a clock five minutes ahead": {nil, func(r *api.TokenResponse) { r.ExpiresAt = start.Add(20 * time.Minute) }},
		"whatever the grant gives":   {map[string]string{"INPUT_PERMISSIONS": ""}, func(r *api.TokenResponse) { r.Permissions["quantum_keys"] = "read" }},
		"an hour by default":         {map[string]string{"INPUT_DURATION": ""}, func(r *api.TokenResponse) { r.ExpiresIn = 3600 }},
	} {
		s := newStage(t)
		s.env["INPUT_PERMISSIONS"], s.env["INPUT_DURATION"] = "contents: write", "15m"
		for input, value := range row.inputs {
			s.env[input] = value
		}
		s.onToken = func(w http.ResponseWriter, _ *http.Request) {
			r := answer()
			row.change(&r)
			s.grant(w, r)
		}
		if code := s.main(); code != 0 {
			t.Errorf("%s: exit %d\n%s", name, code, s.out.String())
		}
	}
}

func TestAnswersThatAreNoneAreRefusedAndEnded(t *testing.T) {
	body, err := answer().Body()
	if err != nil {
		t.Fatal(err)
	}
	good := string(body)
	for name, row := range map[string]struct {
		h       http.HandlerFunc
		revoked []string // by what stood in the answer
		ended   int      // else all leases of the job
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/v1/elsewhere", http.StatusTemporaryRedirect)
		}, nil, 1},
		"nothing":        {func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, "") }, nil, 1},
		"over 64 KiB":    {func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, strings.Repeat(" ", 64<<10)+good) }, nil, 1},
		"HTML":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, nil, 1},
		"JSON cut short": {func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, good[:len(good)-1]) }, []string{token}, 0},
		"another grant": {func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, strings.Replace(good, "release", "deploy", 1))
		}, []string{token}, 0},
		"a text of lines": {func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, strings.Replace(good, "acme", `a\n::error::b`, 1))
		}, []string{token}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.onToken = row.h
			if code := s.main(); code != 1 || s.errorsShown() != 1 || len(s.asked) != 1 {
				t.Errorf("exit %d after %d tries\n%s", code, len(s.asked), s.out.String())
			}
			s.hidesSecrets()
			if diff := cmp.Diff(row.revoked, s.revoked); diff != "" || len(s.ended) != row.ended {
				t.Errorf("revoked %v, ended %v", s.revoked, s.ended)
			}
			if len(s.file(outputFile)) > 0 {
				t.Error("something is handed out")
			}
		})
	}
}

func TestDenialTellsWhatToChange(t *testing.T) {
	s := newStage(t)
	s.onToken = func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, 403, api.ErrorBody{
			Error: "access_denied", ErrorDescription: "no entry of grant release admits this workload", Code: "no_grant_matches",
			CorrelationID: "c-42", Hint: "run the workflow on refs/heads/main, or add the ref to .github/curfew.yaml",
			Details: []api.Detail{
				{Rule: "release.allow[0]", Claim: "ref", Expected: "refs/heads/main", Got: "refs/heads/dev"},
				{Rule: "release.allow[0]", Claim: "environment", Expected: "production", Got: ""},
			},
		})
	}
	if code := s.main(); code != 1 || len(s.asked) != 1 {
		t.Errorf("exit %d after %d tries", code, len(s.asked))
	}
	s.golden("denied.log", s.out.String())
	s.golden("denied.html", s.summary())
	s.post()
	if len(s.revoked)+len(s.ended) > 0 {
		t.Error("post asks to end what was never opened")
	}
}

func TestHostileDenialIsInert(t *testing.T) {
	evil := "\r\n::add-mask::a\n ::stop-commands::x\n##[error]x %0A%25 </table>\n\n# Owned <script>alert(1)</script> [x](javascript:y) | \u202e #\u00ad#[group]x \x1b[31m"
	s := newStage(t)
	s.onToken = func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, 403, api.ErrorBody{
			Error: "access_denied", ErrorDescription: evil, Code: "denied", CorrelationID: evil, Hint: evil,
			Details: []api.Detail{{Rule: evil, Claim: evil, Expected: evil, Got: evil}},
		})
	}
	s.main()
	s.golden("hostile.log", s.out.String())
	s.golden("hostile.html", s.summary())
	for line := range strings.SplitSeq(s.out.String(), "\n") {
		if strings.Contains(line, "##[") || (strings.HasPrefix(strings.TrimSpace(line), "::") && !strings.HasPrefix(line, "::error title=Curfew::") && !strings.HasPrefix(line, "::add-mask::"+oidc(1))) {
			t.Errorf("the runner would read a command in %q", line)
		}
	}
	if summary := s.summary(); strings.Contains(summary, "<script") || strings.Count(summary, "</table>") != 1 || strings.Count(summary, "\n\n") != 2 {
		t.Errorf("the summary is not inert:\n%s", summary)
	}
}

func TestEndlessDenialIsCutShort(t *testing.T) {
	s := newStage(t)
	s.onToken = func(w http.ResponseWriter, _ *http.Request) {
		details := slices.Repeat([]api.Detail{{Rule: "r", Claim: "c"}}, mostDetails+1)
		refuse(w, 403, api.ErrorBody{Error: "access_denied", Code: "denied", ErrorDescription: strings.Repeat("long ", 2000), Details: details})
	}
	s.main()
	if rows := strings.Count(s.summary(), "<code>r</code>"); rows != mostDetails || len(s.summary()) > 16<<10 || s.out.Len() > 8<<10 {
		t.Errorf("%d rows, a summary of %d bytes, a log of %d", rows, len(s.summary()), s.out.Len())
	}
}

func TestOnlyWhatIsMarkedRetryableIsTriedAgain(t *testing.T) {
	for name, row := range map[string]struct {
		status    int
		code      string
		retryable bool
		tries     int
	}{
		"a denial":                   {403, "denied", false, 1},
		"an internal error":          {500, "internal", true, 3},
		"a lost mint":                {502, "mint_indeterminate", false, 1},
		"a broken policy":            {503, "policy_invalid", false, 1},
		"a request still pending":    {503, "pending", true, 3},
		"a crowd":                    {429, "rate_limited", true, 3},
		"a job that had its share":   {429, "job_quota", false, 1},
		"a code from another decade": {418, "teapot", true, 3},
	} {
		s := newStage(t)
		s.onToken = firstTwo(s, row.status, row.code, row.retryable)
		code := s.main()
		if len(s.asked) != row.tries || (code == 0) != row.retryable {
			t.Errorf("%s: exit %d after %d tries", name, code, len(s.asked))
		}
	}
}

// firstTwo refuses two requests and grants the third.
func firstTwo(s *stage, status int, code string, retryable bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if len(s.asked) > 2 {
			s.grant(w, answer())
			return
		}
		text := `{"error":"e","code":"` + code + `","retryable":false}`
		if retryable {
			text = strings.Replace(text, "false", "true", 1)
		}
		reply(w, status, text)
	}
}

func TestEachTryHasAFreshTokenAndTheSameKey(t *testing.T) {
	s := newStage(t)
	s.onToken = firstTwo(s, 503, "pending", true)
	s.main()
	var subjects []string
	for _, form := range s.asked {
		subjects = append(subjects, form.Get("subject_token"))
		form.Del("subject_token")
	}
	if diff := cmp.Diff([]string{oidc(1), oidc(2), oidc(3)}, subjects); diff != "" {
		t.Error(diff)
	}
	if keys := slices.Compact(slices.Clone(s.keys)); len(keys) != 1 || len(keys[0]) < 20 {
		t.Errorf("the keys are %q", s.keys)
	}
	if diff := cmp.Diff(s.asked[0], s.asked[2]); diff != "" {
		t.Errorf("the body changes between tries: %s", diff)
	}
	for i, pause := range s.slept {
		if base := firstPause << i; pause < base/2 || pause > base {
			t.Errorf("pause %d is %s", i+1, pause)
		}
	}
	other := newStage(t)
	other.main()
	if other.keys[0] == s.keys[0] {
		t.Error("two runs have the same key")
	}
}

func TestRetryAfterIsHonouredWithinTheBudget(t *testing.T) {
	s := newStage(t)
	s.onToken = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "25")
		refuse(w, 429, api.ErrorBody{Error: "temporarily_unavailable", Code: "rate_limited", Retryable: true})
	}
	if code := s.main(); code != 1 {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff([]time.Duration{25 * time.Second, 25 * time.Second}, s.slept); diff != "" {
		t.Errorf("a third pause would end after 75 s: %s", diff)
	}
}

func TestTriesEndWithTheBudget(t *testing.T) {
	s := newStage(t)
	s.onToken = func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, 503, api.ErrorBody{Error: "temporarily_unavailable", Code: "draining", Retryable: true})
	}
	s.main()
	if waited := s.now.Sub(start); waited >= askBudget || waited < askBudget/2 || len(s.asked) > 12 {
		t.Errorf("gave up after %s and %d tries", waited, len(s.asked))
	}
}

func TestLostConnectionIsTriedAgain(t *testing.T) {
	s := newStage(t)
	s.onToken = func(w http.ResponseWriter, _ *http.Request) {
		if len(s.asked) == 1 {
			panic(http.ErrAbortHandler)
		}
		s.grant(w, answer())
	}
	if code := s.main(); code != 0 || len(s.asked) != 2 {
		t.Errorf("exit %d after %d tries\n%s", code, len(s.asked), s.out.String())
	}
}

func TestFailingIDTokenAddressIsTriedAgain(t *testing.T) {
	s := newStage(t)
	working, calls := s.onIDToken, 0
	s.onIDToken = func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			reply(w, 503, "later")
			return
		}
		working(w, r)
	}
	if code := s.main(); code != 0 || len(s.asked) != 1 {
		t.Errorf("exit %d\n%s", code, s.out.String())
	}
}

func TestWiderNeverForgetsAPermission(t *testing.T) {
	w := wish{owner: "acme", repositories: []string{"web"}, permissions: scope.Permissions{"contents": scope.Write}}
	r := answer()
	r.AccessToken = secret.Text{}
	r.Permissions = api.Permissions{"contents": "write", "Contents": "write"}
	if w.wider(r, start) == nil {
		t.Error("a name in another case is taken for the same permission")
	}
}
