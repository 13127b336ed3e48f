package main

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

func TestOneExchangeFromEndToEnd(t *testing.T) {
	w := newWorld(t)
	o := w.exchange(w.oidc(w.job(nil), nil), url.Values{"requested_expires_in": {"60"}})
	if o.status != http.StatusOK {
		t.Fatalf("status %d: %+v", o.status, o.refused)
	}
	if got := o.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	if got, want := o.granted["scope"], "contents:write metadata:read"; got != want {
		t.Errorf("scope is %q, want %q", got, want)
	}
	if got := o.granted["expires_in"]; got != 60.0 {
		t.Errorf("expires_in is %v, want the curfew", got)
	}
	if !w.github.Alive(o.token()) {
		t.Error("GitHub does not know the token")
	}
	handle, _ := o.granted["revocation_handle"].(string)
	if r := w.post("/v1/revoke", url.Values{"token": {handle}}); r.status != http.StatusOK {
		t.Errorf("revocation answers %d", r.status)
	}
	if w.github.Alive(o.token()) {
		t.Error("the token is alive after its revocation")
	}
}

// A replayed OIDC token gives exactly one token, however many ask at once.
func TestOneOIDCTokenBuysOneExchange(t *testing.T) {
	const rounds, clients = 200, 64
	w := newWorld(t)
	granted, replayed, other := 0, 0, 0
	for range rounds {
		oidc := w.oidc(w.job(nil), nil)
		var ok, again, odd atomic.Int64
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				switch o := w.exchange(oidc, url.Values{"requested_expires_in": {"5"}}); {
				case o.status == http.StatusOK:
					ok.Add(1)
				case o.refused.Code == "replayed":
					again.Add(1)
				default:
					odd.Add(1)
					t.Errorf("%d %s: %s", o.status, o.refused.Code, o.refused.ErrorDescription)
				}
			})
		}
		all.Wait()
		if ok.Load() != 1 {
			t.Fatalf("one OIDC token bought %d exchanges", ok.Load())
		}
		granted, replayed, other = granted+int(ok.Load()), replayed+int(again.Load()), other+int(odd.Load())
	}
	w.restart()
	oidc := w.oidc(w.job(nil), nil)
	first := w.exchange(oidc, nil)
	w.restart()
	second := w.exchange(oidc, nil)
	if first.status != http.StatusOK || second.refused.Code != "replayed" {
		t.Errorf("over a restart: first %d, then %d %s", first.status, second.status, second.refused.Code)
	}
	t.Logf("%d rounds of %d: %d granted, %d replayed, %d other", rounds, clients, granted, replayed, other)
}

func TestGitHubCallsPerExchange(t *testing.T) {
	w := newWorld(t)
	calls := func() (n int, list string) {
		for _, c := range w.github.Calls() {
			if c.Route != "jwks" && c.Route != "discovery" {
				n, list = n+1, list+"\n\t"+c.String()
			}
		}
		return n, list
	}
	w.eventually("the server has met the App", func() bool { return w.server.app().Slug != "" })
	for _, step := range []struct {
		what string
		most int
		job  func(*simulator.Job)
		edit func(map[string]any)
		ask  url.Values
		want int
	}{
		{"a stranger's request", 0, func(j *simulator.Job) { j.Owner = "stranger" }, nil, nil, 400},
		{"a token for another audience", 0, nil, func(c map[string]any) { c["aud"] = "https://elsewhere.example" }, nil, 400},
		{"a target whose owner is not served", 0, nil, nil, url.Values{"resource": {w.github.URL + "/stranger/web"}}, 403},
		{"a misspelt permission", 0, nil, nil, url.Values{"scope": {"content:write"}}, 400},
		{"a cold exchange", 5, nil, nil, nil, 200},
		{"a warm exchange", 1, nil, nil, nil, 200},
		{"a warm exchange of another job", 1, nil, nil, nil, 200},
		{"a warm denial", 0, func(j *simulator.Job) { j.Ref = "refs/heads/other" }, nil, nil, 403},
	} {
		w.github.ResetCalls()
		o := w.exchange(w.oidc(w.job(step.job), step.edit), step.ask)
		if o.status != step.want {
			t.Errorf("%s: status %d %s, want %d", step.what, o.status, o.refused.Code, step.want)
		}
		if n, list := calls(); n > step.most {
			t.Errorf("%s: %d GitHub calls, want %d at most:%s", step.what, n, step.most, list)
		}
	}
}

func TestRepeatedRequests(t *testing.T) {
	w := newWorld(t)
	job := w.job(nil)
	key := []string{"Idempotency-Key", "k-1"}
	first := w.exchange(w.oidc(job, nil), nil, key...)
	again := w.exchange(w.oidc(job, nil), nil, key...)
	if first.status != 200 || again.status != 200 {
		t.Fatalf("status %d, then %d %s", first.status, again.status, again.refused.Code)
	}
	if w.github.Alive(first.token()) || !w.github.Alive(again.token()) {
		t.Error("of a repeated request the last token alone may be alive")
	}
	if o := w.exchange(w.oidc(job, nil), url.Values{"reason": {"another"}}, key...); o.status != http.StatusConflict || o.refused.Code != "idempotency_mismatch" {
		t.Errorf("another body under the same key: %d %s", o.status, o.refused.Code)
	}
	if o := w.exchange(w.oidc(w.job(nil), nil), url.Values{"reason": {"another"}}, key...); o.status != 200 {
		t.Errorf("another job's same key: %d %s", o.status, o.refused.Code)
	}
}

func TestAJobGetsAFewLeasesOnly(t *testing.T) {
	w := newWorld(t)
	job := w.job(nil)
	var got []string
	for range 4 {
		o := w.exchange(w.oidc(job, nil), nil)
		got = append(got, fmt.Sprint(o.status, o.refused.Code))
	}
	if want := "[200 200 200 429job_quota]"; fmt.Sprint(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestJobsEndEndsThatJobOnly(t *testing.T) {
	w := newWorld(t)
	one, other := w.job(nil), w.job(nil)
	a, b, c := w.exchange(w.oidc(one, nil), nil), w.exchange(w.oidc(one, nil), nil), w.exchange(w.oidc(other, nil), nil)
	o := w.post("/v1/jobs/end", nil, "Authorization", "Bearer "+w.oidc(one, nil))
	if o.status != 200 || o.granted["ended"] != 2.0 {
		t.Fatalf("%d %v %s", o.status, o.granted, o.refused.Code)
	}
	if w.github.Alive(a.token()) || w.github.Alive(b.token()) || !w.github.Alive(c.token()) {
		t.Error("exactly that job's tokens must be dead")
	}
	blind := w.oidc(other, func(claims map[string]any) { delete(claims, "check_run_id") })
	if o := w.post("/v1/jobs/end", nil, "Authorization", "Bearer "+blind); o.status != 400 || o.refused.Code != "bad_claims" {
		t.Errorf("without check_run_id: %d %s", o.status, o.refused.Code)
	}
}
