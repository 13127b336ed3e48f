package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/problem"
)

func TestIdempotencyKeys(t *testing.T) {
	for name, row := range map[string]struct {
		keys []string
		want problem.Code
	}{
		"none":                     {nil, ""},
		"one":                      {[]string{"8e03978e-40d5-43dd-bc93-6894a57f9324"}, ""},
		"a quoted one, by the RFC": {[]string{`"k"`}, ""},
		"128 characters":           {[]string{strings.Repeat("k", 128)}, ""},
		"129 characters":           {[]string{strings.Repeat("k", 129)}, problem.BadForm},
		"an empty one":             {[]string{""}, problem.BadForm},
		"with a space":             {[]string{"k 1"}, problem.BadForm},
		"not ASCII":                {[]string{"schlüssel"}, problem.BadForm},
		"two":                      {[]string{"k-1", "k-2"}, problem.BadForm},
	} {
		s := newStage(t)
		r := post("/v1/token", form().Encode())
		for _, k := range row.keys {
			r.Header.Add("Idempotency-Key", k)
		}
		if o := s.send(r); o.refused.Code != row.want {
			t.Errorf("%s: got %d %s, want %q", name, o.status, o.refused.Code, row.want)
		} else if row.want == "" && (s.last().IdempotencyKey == "") != (s.last().Digest == "") {
			t.Errorf("%s: key and digest come together", name)
		}
	}
}

func TestTheDigestIsOfAllButTheToken(t *testing.T) {
	digest := func(body string) string {
		s := newStage(t)
		if o := s.send(post("/v1/token", body, "Idempotency-Key", "k")); o.status != http.StatusOK {
			t.Fatalf("%d %s", o.status, o.body)
		}
		return s.last().Digest
	}
	base := digest(form().Encode())
	for name, body := range map[string]string{
		"a fresh token":       form("subject_token", "another").Encode(),
		"in another order":    "grant=release&" + form("grant", "-").Encode(),
		"otherwise escaped":   strings.Replace(form().Encode(), "release", "%72elease", 1),
		"a token with a plus": form("subject_token", "a+b c&reason=x").Encode(),
	} {
		if digest(body) != base {
			t.Errorf("%s: another digest", name)
		}
	}
	two := func(a, b string) string {
		v := form()
		v["resource"] = []string{"https://github.com/acme/" + a, "https://github.com/acme/" + b}
		return v.Encode()
	}
	seen := map[string]string{base: "the request"}
	for name, body := range map[string]string{
		"another grant":  form("grant", "deploy").Encode(),
		"a reason":       form("reason", "x").Encode(),
		"a context":      form("context", "x").Encode(),
		"a dry run":      form("dry_run", "true").Encode(),
		"less time":      form("requested_expires_in", "60").Encode(),
		"a scope":        form("scope", "contents:read").Encode(),
		"a resource":     form("resource", "https://github.com/acme/web").Encode(),
		"two resources":  two("web", "api"),
		"the id-token":   form("subject_token_type", api.TokenTypeIDToken).Encode(),
		"an empty value": form("context", "").Encode(),
	} {
		d := digest(body)
		if other, taken := seen[d]; taken {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
}
