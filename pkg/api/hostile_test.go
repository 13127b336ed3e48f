package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/secret"
)

func TestHostileAnswersAreRefused(t *testing.T) {
	good := wire(t, granted())
	swap := func(old, new string) http.HandlerFunc {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the answer", old)
		}
		return reply(200, strings.Replace(good, old, new, 1))
	}
	sha := secret.New(canary).DigestBase64()
	long := granted()
	long.AccessToken = secret.New(strings.Repeat("a", api.MaxToken+1))
	long.TokenSHA256 = long.AccessToken.DigestBase64()
	elsewhere := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				t.Errorf("a redirect with status %d is followed", status)
			}
			http.Redirect(w, r, "/elsewhere", status)
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"no JSON":                     reply(200, `hello`),
		"an empty body":               reply(200, ``),
		"JSON cut short":              reply(200, good[:len(good)-1]),
		"two documents":               reply(200, good+`{}`),
		"a list":                      reply(200, `[]`),
		"a member twice":              swap(`"owner":"acme"`, `"owner":"acme","owner":"evil"`),
		"a member in two cases":       swap(`"owner":"acme"`, `"owner":"acme","Owner":"evil"`),
		"a member twice inside":       swap(`"id":3001`, `"id":3001,"id":3002`),
		"broken UTF-8":                swap(`"owner"`, "\"x\":\"\xff\",\"owner\""),
		"nested without end":          swap(`"owner"`, `"x":`+strings.Repeat("[", 9)+strings.Repeat("]", 9)+`,"owner"`),
		"an id as text":               swap(`"id":3001`, `"id":"3001"`),
		"no token":                    swap(`"access_token":"`+canary+`",`, ``),
		"a newline in the token":      swap(canary, `ghs_\n::add-mask::x`),
		"a token over 8 KiB":          reply(200, wire(t, long)),
		"no handle":                   swap(`,"revocation_handle":"cfh_0198.handle"`, ``),
		"a space in the handle":       swap(`cfh_0198.handle`, `cfh 0198`),
		"another token's digest":      swap(sha, secret.New("other").DigestBase64()),
		"a MAC token":                 swap(`Bearer`, `mac`),
		"a refresh token":             swap(`access_token","token_type`, `refresh_token","token_type`),
		"another grant":               swap(`"grant":"release"`, `"grant":"deploy"`),
		"no end":                      swap(`"expires_in":600`, `"expires_in":0`),
		"an end that is no time":      swap(`2026-11-23T14:05:00Z`, `tomorrow`),
		"no permissions":              swap(`{"contents":"write"}`, `{}`),
		"a level nobody knows":        swap(`{"contents":"write"}`, `{"contents":"own"}`),
		"a permission with a newline": swap(`{"contents":"write"}`, `{"con\ntents":"write"}`),
		"a repository with a quote":   swap(`"name":"web"`, `"name":"web\""`),
		"a repository without an id":  swap(`"id":3001`, `"id":0`),
		"an owner with a command":     swap(`"owner":"acme"`, `"owner":"$(id)"`),
		"a bot with a line":           swap(`"git_user_name":"curfew[bot]"`, `"git_user_name":"a\nb"`),
		"a lease with a line":         swap(`0198-lease`, `a\nb`),
		"a status nobody knows":       reply(204, ``),
		"created instead of ok":       reply(201, good),
		"over 64 KiB":                 reply(200, good+strings.Repeat(" ", 64<<10)), // cut off, it would be whole
		"another type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, good)
		},
		"no type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, good)
		},
		"a redirect with the body":    elsewhere(http.StatusTemporaryRedirect),
		"a redirect without the body": elsewhere(http.StatusSeeOther),
		"a refusal without a code":    reply(403, `{"error":"access_denied"}`),
		"a refusal in HTML": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<h1>Bad Gateway</h1>", http.StatusBadGateway)
		},
		"a refusal with two codes":  reply(503, `{"error":"a","code":"a","retryable":false,"retryable":true}`),
		"a refusal over 64 KiB":     reply(503, `{"error":"a","code":"a","retryable":true,"hint":"`+strings.Repeat("a", 64<<10)+`"}`),
		"retryable that is no bool": reply(503, `{"error":"a","code":"a","retryable":"yes"}`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client(t, h).Exchange(t.Context(), ask)
			var refused *api.RefusedAnswer
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refused answer", err)
			}
			if api.Retryable(err) {
				t.Errorf("%v is retryable", err)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error repeats the token: %v", err)
			}
		})
	}
}

func TestRefusedAnswerKeepsWhatEndsItsLease(t *testing.T) {
	good := wire(t, granted())
	before, _, _ := strings.Cut(good, `"issued_token_type"`)
	for name, body := range map[string]string{
		"cut after the token": before,
		"a member twice":      strings.Replace(good, `"owner":"acme"`, `"owner":"acme","owner":"acme"`, 1),
		"too long":            strings.TrimSuffix(good, "}") + `,"x":"` + strings.Repeat("a", 64<<10) + `"}`,
	} {
		_, err := client(t, reply(200, body)).Exchange(t.Context(), ask)
		var refused *api.RefusedAnswer
		if !errors.As(err, &refused) || refused.Found.Reveal() != canary {
			t.Errorf("%s: found %q in %v", name, refused.Found.Reveal(), err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	body, _ := granted().Body()
	f.Add(200, string(body))
	f.Add(403, `{"error":"access_denied","code":"denied","retryable":false}`)
	f.Add(200, `{"access_token":"x","ACCESS_TOKEN":"y"}`)
	f.Add(302, ``)
	f.Fuzz(func(t *testing.T, status int, body string) {
		c, err := api.NewClient("https://curfew.example.com", &http.Client{Transport: canned{status, body}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Exchange(context.Background(), ask)
		if err != nil {
			return
		}
		if status != 200 || r.Grant != "release" || r.AccessToken.Empty() || strings.ContainsAny(r.AccessToken.Reveal()+r.Owner+r.GitUserName, "\r\n%") {
			t.Errorf("status %d, %q is taken", status, body)
		}
	})
}

// canned is a transport that always answers the same.
type canned struct {
	status int
	body   string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.status, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(c.body)),
	}, nil
}
