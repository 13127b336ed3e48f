package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
	"github.com/curfew-dev/curfew/pkg/server"
)

func TestAWholeTokenRequest(t *testing.T) {
	s := newStage(t)
	v := form("requested_token_type", api.TokenTypeAccessToken, "scope", "contents:write issues:read",
		"requested_expires_in", "900", "reason", "OPS-1 tägg", "context", "workflow release", "subject_token_type", api.TokenTypeIDToken)
	v["resource"] = []string{"https://github.com/acme/web", "https://github.com/Acme/api.v2"}
	o := s.token(v, "Idempotency-Key", "k-1")
	if o.status != http.StatusOK {
		t.Fatalf("%d %s", o.status, o.body)
	}
	got := s.last()
	want := exchange.Request{
		Token:   secret.New(oidc),
		Target:  policy.Target{Owner: "Acme", Repositories: []string{"web", "api.v2"}},
		Ask:     policy.Request{Grant: "release", Permissions: scope.Permissions{"contents": scope.Write, "issues": scope.Read}, Duration: 15 * time.Minute, Reason: "OPS-1 tägg"},
		Context: "workflow release", IdempotencyKey: "k-1", Digest: got.Digest, Correlation: o.header.Get("X-Correlation-Id"), SourceIP: "192.0.2.1",
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(secret.Text.Equal)); diff != "" || len(got.Digest) != 64 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.silent()
}

// A request is either as the contract says or refused before the hall is asked; beside each refusal stands what is next to it and fine.
func TestOneParameterAtATime(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	const bad = problem.BadForm
	for _, row := range []struct {
		name, value string
		want        problem.Code // "" is fine
	}{
		{"grant_type", "-", bad},
		{"grant_type", "", bad},
		{"grant_type", "client_credentials", problem.UnsupportedGrant},
		{"grant_type", "urn:ietf:params:oauth:grant-type:Token-Exchange", problem.UnsupportedGrant},
		{"grant_type", api.GrantTypeTokenExchange, ""},

		{"subject_token", "-", bad},
		{"subject_token", "", bad},
		{"subject_token", "not.a.jwt", ""}, // the verifier's to say

		{"subject_token_type", "-", bad},
		{"subject_token_type", "urn:ietf:params:oauth:token-type:saml2", bad},
		{"subject_token_type", api.TokenTypeAccessToken, bad},
		{"subject_token_type", api.TokenTypeJWT, ""},
		{"subject_token_type", api.TokenTypeIDToken, ""},

		{"requested_token_type", "", bad},
		{"requested_token_type", api.TokenTypeJWT, bad},
		{"requested_token_type", api.TokenTypeAccessToken, ""},
		{"requested_token_type", "-", ""},

		{"actor_token", "a.b.c", bad},
		{"actor_token", "", bad},
		{"actor_token_type", api.TokenTypeJWT, bad},
		{"audience", "https://api.github.com", bad},
		{"Grant", "release", bad},
		{"grants", "release", bad},
		{"permissions", "contents:write", bad},

		{"grant", "-", bad},
		{"grant", "", bad},
		{"grant", "Release", bad},
		{"grant", "1release", bad},
		{"grant", "re_lease", bad},
		{"grant", "release\n", bad},
		{"grant", long(64), bad},
		{"grant", long(63), ""},
		{"grant", "hot-fix-2", ""},

		{"scope", "", problem.UnknownPermission},
		{"scope", "content:write", problem.UnknownPermission},
		{"scope", "contents:own", problem.UnknownPermission},
		{"scope", "contents:write contents:read", problem.UnknownPermission},
		{"scope", "contents:write  issues:read", problem.UnknownPermission},
		{"scope", "contents:write,issues:read", problem.UnknownPermission},
		{"scope", "contents:write issues:read", ""},
		{"scope", "pull-requests:write", ""},

		{"requested_expires_in", "", bad},
		{"requested_expires_in", "0", bad},
		{"requested_expires_in", "-60", bad},
		{"requested_expires_in", "+60", bad},
		{"requested_expires_in", "4", bad},
		{"requested_expires_in", "60s", bad},
		{"requested_expires_in", "1e3", bad},
		{"requested_expires_in", "60.0", bad},
		{"requested_expires_in", " 60", bad},
		{"requested_expires_in", "0x40", bad},
		{"requested_expires_in", "99999999999999999999", bad},
		{"requested_expires_in", "5", ""},
		{"requested_expires_in", "3600", ""},
		{"requested_expires_in", "3601", ""}, // above any bound is policy's to deny

		{"dry_run", "", bad},
		{"dry_run", "1", bad},
		{"dry_run", "True", bad},
		{"dry_run", "yes", bad},
		{"dry_run", "true", ""},
		{"dry_run", "false", ""},

		{"reason", long(1025), bad},
		{"reason", long(1024), ""},
		{"reason", "OPS-1 \xff", bad},
		{"reason", "OPS-1 ::error::\r\n<script>", ""}, // hostile text is data
		{"context", long(4097), bad},
		{"context", long(4096), ""},
		{"context", "\xc3", bad},

		{"resource", "", bad},
		{"resource", "https://github.com/acme/web", ""},
		{"resource", "https://github.com/acme/.github", ""},
		{"resource", "https://github.com/acme/" + long(100), ""},
		{"resource", "https://github.com/acme/" + long(101), bad},
		{"resource", "https://github.com/" + long(39) + "/web", ""},
		{"resource", "https://github.com/" + long(40) + "/web", bad},
		{"resource", "https://github.com/acme", bad},  // organisation permissions are not granted
		{"resource", "https://github.com/acme/", bad}, // yet
		{"resource", "https://github.com/acme/web/", bad},
		{"resource", "https://github.com/acme/web/tree/main", bad},
		{"resource", "https://github.com/acme/web?x=1", bad},
		{"resource", "https://github.com/acme/web#x", bad},
		{"resource", "https://github.com/acme/.", bad},
		{"resource", "https://github.com/acme/..", bad},
		{"resource", "https://github.com/acme/...", ""},
		{"resource", "https://github.com/../web", bad},
		{"resource", "https://github.com/acme/w%65b", bad},
		{"resource", "https://github.com//acme/web", bad},
		{"resource", "http://github.com/acme/web", bad},
		{"resource", "https://github.com:443/acme/web", bad},
		{"resource", "https://user@github.com/acme/web", bad},
		{"resource", "https://github.com.evil.example/acme/web", bad},
		{"resource", "https://api.github.com/repos/acme/web", bad},
		{"resource", "acme/web", bad},
	} {
		s := newStage(t)
		o := s.token(form(row.name, row.value))
		switch {
		case row.want == "" && o.status != http.StatusOK:
			t.Errorf("%s=%q is refused: %s", row.name, row.value, o.body)
		case row.want != "" && o.refused.Code != row.want:
			t.Errorf("%s=%q: got %d %s, want %s", row.name, row.value, o.status, o.refused.Code, row.want)
		case row.want != "" && len(s.asked) != 0:
			t.Errorf("%s=%q: the hall was asked", row.name, row.value)
		case row.want != "" && !strings.Contains(o.refused.ErrorDescription, strings.TrimPrefix(row.name, "requested_")[:4]) && row.name != "scope":
			t.Errorf("%s=%q: the error does not name the parameter: %s", row.name, row.value, o.refused.ErrorDescription)
		}
	}
}

func TestResources(t *testing.T) {
	many := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("https://github.com/acme/r%d", i))
		}
		return all
	}
	for name, row := range map[string]struct {
		resources []string
		want      problem.Code
	}{
		"none":                        {nil, ""},
		"two of one owner":            {[]string{"https://github.com/acme/web", "https://github.com/ACME/api"}, ""},
		"two of two owners":           {[]string{"https://github.com/acme/web", "https://github.com/other/api"}, problem.BadForm},
		"a good one and a bad one":    {[]string{"https://github.com/acme/web", "https://github.com/acme"}, problem.BadForm},
		"as many as GitHub takes":     {many(scope.MaxRepositories), ""},
		"one more than GitHub takes":  {many(scope.MaxRepositories + 1), problem.TooManyRepositories},
		"one repository, given twice": {[]string{"https://github.com/acme/web", "https://github.com/acme/web"}, ""},
	} {
		s := newStage(t)
		v := form()
		v["resource"] = row.resources
		if o := s.token(v); o.refused.Code != row.want {
			t.Errorf("%s: got %d %s, want %q", name, o.status, o.refused.Code, row.want)
		}
	}
	s := newStage(t, func(o *server.Options) { o.Web = "http://127.0.0.1:8081" })
	if o := s.token(form("resource", "https://github.com/acme/web")); o.refused.Code != problem.BadForm || !strings.Contains(o.refused.Hint, "http://127.0.0.1:8081/OWNER/REPOSITORY") {
		t.Errorf("another GitHub's host: %d %s", o.status, o.body)
	}
	if o := s.token(form("resource", "http://127.0.0.1:8081/acme/web")); o.status != http.StatusOK {
		t.Errorf("the configured GitHub's host: %d %s", o.status, o.body)
	}
}

func TestHowAFormMustBeSent(t *testing.T) {
	good := form().Encode()
	fill := func(size int) string {
		return good + "&context=" + strings.Repeat("a", 4096) + pad(size-len(good)-9-4096)
	}
	for name, row := range map[string]struct {
		request *http.Request
		want    problem.Code
	}{
		"as it should be":             {post("/v1/token", good), ""},
		"with a charset":              {with(post("/v1/token", good), "Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"), ""},
		"as JSON":                     {with(post("/v1/token", "{}"), "Content-Type", "application/json"), problem.WrongContentType},
		"as a multipart form":         {with(post("/v1/token", good), "Content-Type", "multipart/form-data; boundary=x"), problem.WrongContentType},
		"without a type":              {with(post("/v1/token", good), "Content-Type", ""), problem.WrongContentType},
		"compressed":                  {with(post("/v1/token", good), "Content-Encoding", "gzip"), problem.WrongContentType},
		"as identity, which is still": {with(post("/v1/token", good), "Content-Encoding", "identity"), problem.WrongContentType},
		"with a query":                {post("/v1/token?grant=deploy", good), problem.BadForm},
		"with the token in the query": {post("/v1/token?subject_token="+oidc, form("subject_token", "-").Encode()), problem.BadForm},
		"a parameter twice":           {post("/v1/token", good+"&grant=deploy"), problem.BadForm},
		"the same one twice, alike":   {post("/v1/token", good+"&grant=release"), problem.BadForm},
		"two subject tokens":          {post("/v1/token", good+"&subject_token="+oidc), problem.BadForm},
		"two resources":               {post("/v1/token", good+"&resource=https://github.com/acme/web&resource=https://github.com/acme/api"), ""},
		"with a semicolon":            {post("/v1/token", good+";grant=deploy"), problem.BadForm},
		"with a broken escape":        {post("/v1/token", good+"&reason=%zz"), problem.BadForm},
		"empty":                       {post("/v1/token", ""), problem.BadForm},
		"64 KiB":                      {post("/v1/token", fill(64<<10)), problem.BadForm}, // read whole, its padding is refused
		"64 KiB and a byte":           {post("/v1/token", fill(64<<10+1)), problem.TooLarge},
		"for ever":                    {httptestPost(endless{}), problem.TooLarge},
	} {
		s := newStage(t)
		if o := s.send(row.request); o.refused.Code != row.want {
			t.Errorf("%s: got %d %s, want %q", name, o.status, o.body, row.want)
		}
		s.silent()
	}
}

// pad is n bytes of further parameters.
func pad(n int) string { return "&" + strings.Repeat("b", n-1) }

func with(r *http.Request, name, value string) *http.Request {
	if r.Header.Del(name); value != "" {
		r.Header.Set(name, value)
	}
	return r
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func httptestPost(body endless) *http.Request {
	return with(httptest.NewRequest(http.MethodPost, "/v1/token", body), "Content-Type", "application/x-www-form-urlencoded")
}

// A repetition comes with a fresh OIDC token; everything else must be the same.
// FuzzTokenRequest sends arbitrary bodies. Whatever gets through to the hall is
// within the contract, and every answer is JSON with a status of the table.
func FuzzTokenRequest(f *testing.F) {
	for _, v := range []url.Values{
		form(), form("resource", "https://github.com/acme/web"), form("scope", "contents:write"), form("requested_expires_in", "60"),
		form("dry_run", "true"), form("reason", "\xff"), form("audience", "x"), form("grant", "-"),
	} {
		f.Add(v.Encode(), "k-1")
	}
	f.Add("a;b=%zz", "\x00")
	f.Add(form().Encode()+"&grant=a", "")
	f.Fuzz(func(t *testing.T, body, key string) {
		s := newStage(t)
		o := s.send(post("/v1/token", body, "Idempotency-Key", key))
		if o.status != http.StatusOK {
			if len(s.asked) != 0 || o.status < 400 || o.status >= 500 || o.refused.Code == "" {
				t.Errorf("%d %s", o.status, o.body)
			}
			return
		}
		r := s.last()
		if r.Token.Empty() || r.Ask.Grant == "" || len(r.Ask.Reason) > 1024 || r.IdempotencyKey != key || r.Digest == "" ||
			r.Ask.Duration != 0 && r.Ask.Duration < 5*time.Second || len(r.Target.Repositories) > scope.MaxRepositories {
			t.Errorf("the hall was asked for %+v", r)
		}
		for _, name := range r.Target.Repositories {
			if strings.ContainsAny(name, "/%?#\\ ") || name == "." || name == ".." {
				t.Errorf("a repository named %q", name)
			}
		}
		if r.Ask.Permissions != nil && len(r.Ask.Permissions) == 0 {
			t.Error("an empty scope got through")
		}
	})
}
