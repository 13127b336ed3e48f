package githubapp_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/secret"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

func tokenOf(value string) secret.Text { return secret.New(value) }

func logTo(b *safeBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func TestRevokeAndProbe(t *testing.T) {
	s := newStage(t)
	token, _, err := s.client.Mint(t.Context(), web())
	must(t, err)
	for _, step := range []struct {
		what string
		do   func() (int, error)
		want int
	}{
		{"a live token is alive", func() (int, error) { return s.client.Probe(t.Context(), token) }, 200},
		{"it can be ended", func() (int, error) { return s.client.Revoke(t.Context(), token) }, 204},
		{"then it is dead", func() (int, error) { return s.client.Probe(t.Context(), token) }, 401},
		{"ending it again finds it dead", func() (int, error) { return s.client.Revoke(t.Context(), token) }, 401},
	} {
		if status, err := step.do(); status != step.want || err != nil {
			t.Errorf("%s: got %d, %v", step.what, status, err)
		}
	}
	if len(s.github.Deletes()) != 1 {
		t.Errorf("%d deletions", len(s.github.Deletes()))
	}
}

func TestWhatProvesNothingIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		fault  simulator.Fault
		status int
		code   problem.Code
		wait   time.Duration
	}{
		"unavailable":       {simulator.Fault{Status: 503}, 503, problem.GitHubError, 0},
		"not found":         {simulator.Fault{Status: 404}, 404, problem.GitHubError, 0},
		"another success":   {simulator.Fault{Status: 202}, 202, problem.GitHubError, 0},
		"too many requests": {simulator.Fault{Status: 429, Header: map[string]string{"Retry-After": "9"}}, 429, problem.RateLimited, 9 * time.Second},
		"secondary limit":   {simulator.Fault{Rate: "secondary"}, 403, problem.RateLimited, time.Minute},
		"no answer at all":  {simulator.Fault{Cut: "before"}, 0, problem.GitHubError, 0},
	} {
		s := newStage(t)
		token, _, err := s.client.Mint(t.Context(), web())
		must(t, err)
		c.fault.Route = "*"
		s.github.Inject(c.fault)
		for what, do := range map[string]func() (int, error){
			"revoke": func() (int, error) { return s.client.Revoke(t.Context(), token) },
			"probe":  func() (int, error) { return s.client.Probe(t.Context(), token) },
		} {
			status, err := do()
			if p := problem.From(err); status != c.status || p == nil || p.Code != c.code || p.RetryAfter != c.wait {
				t.Errorf("%s, %s: got %d, %v; want %d, %s", what, name, status, err, c.status, c.code)
			}
		}
	}
}

func TestAnEmptyTokenIsNotSentAsTheApp(t *testing.T) {
	s := newStage(t)
	if _, err := s.client.Revoke(t.Context(), secret.Text{}); err == nil {
		t.Error("nothing was revoked")
	}
	if _, err := s.client.ReadFile(t.Context(), secret.Text{}, "acme", "web", "a", ""); err == nil {
		t.Error("a file was read without a token")
	}
	if len(s.github.Calls()) != 0 {
		t.Errorf("calls: %v", s.github.Calls())
	}
}

func TestRetryAfter(t *testing.T) {
	reset := "1795435320" // two minutes after start
	for name, c := range map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"seconds":                 {map[string]string{"Retry-After": "30"}, 30 * time.Second},
		"a date":                  {map[string]string{"Retry-After": "Mon, 23 Nov 2026 12:00:40 GMT"}, 40 * time.Second},
		"a date that has passed":  {map[string]string{"Retry-After": "Mon, 23 Nov 2026 11:00:40 GMT"}, time.Second},
		"zero":                    {map[string]string{"Retry-After": "0"}, time.Second},
		"negative":                {map[string]string{"Retry-After": "-5"}, time.Second},
		"a year":                  {map[string]string{"Retry-After": "31536000"}, time.Hour},
		"beyond all numbers":      {map[string]string{"Retry-After": "99999999999999999999"}, time.Minute},
		"nonsense":                {map[string]string{"Retry-After": "soon"}, time.Minute},
		"the reset of a spent":    {map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, 2 * time.Minute},
		"the reset of an unspent": {map[string]string{"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": reset}, time.Minute},
		"nothing":                 {nil, time.Minute},
	} {
		s := newStage(t)
		s.github.Inject(simulator.Fault{Route: "probe", Status: 429, Header: c.header})
		_, err := s.client.Probe(t.Context(), tokenOf("ghs_x"))
		if p := problem.From(err); p.Code != problem.RateLimited || p.RetryAfter != c.want {
			t.Errorf("%s: got %v after %v, want %v", name, p.Code, p.RetryAfter, c.want)
		}
	}
}

func TestTheWaitIsMeasuredByGitHubsClock(t *testing.T) {
	s := newStage(t)
	c := newClient(t, s.github.URL, func(o *githubapp.Options) {
		o.Now = func() time.Time { return start.Add(10 * time.Minute) }
	})
	s.github.Inject(simulator.Fault{Route: "probe", Rate: "primary"})
	_, err := c.Probe(t.Context(), tokenOf("ghs_x"))
	if p := problem.From(err); p.RetryAfter != time.Minute {
		t.Errorf("got %v", p.RetryAfter)
	}
}

func TestTheSkewIsMeasuredAndToldOnce(t *testing.T) {
	s := newStage(t)
	ours := &clock{}
	c := newClient(t, s.github.URL, func(o *githubapp.Options) { o.Now, o.Log = ours.now, logTo(s.log) })
	ask := func(want time.Duration, warnings int) {
		t.Helper()
		_, _ = c.Probe(t.Context(), tokenOf("ghs_x")) // only the Date of the answer counts
		if got := c.Skew(); got != want {
			t.Errorf("skew %v, want %v", got, want)
		}
		if got := strings.Count(s.log.String(), "clock"); got != warnings {
			t.Errorf("%d warnings, want %d", got, warnings)
		}
	}
	ask(0, 0)
	ours.advance(30 * time.Second)
	ask(-30*time.Second, 0)
	ours.advance(time.Second)
	ask(-31*time.Second, 1)
	ask(-31*time.Second, 1)
	ours.advance(-31 * time.Second)
	ask(0, 1)
	ours.advance(-10 * time.Minute)
	ask(10*time.Minute, 2)
}

func TestWhatGitHubSees(t *testing.T) {
	var seen http.Header
	var proto string
	api := answering(t, func(w http.ResponseWriter, r *http.Request) {
		seen, proto = r.Header, r.Proto
		w.WriteHeader(http.StatusNoContent)
	})
	c := newClient(t, api, func(o *githubapp.Options) { o.UserAgent = "curfew/1.2.3" })
	_, err := c.Revoke(t.Context(), tokenOf("ghs_x"))
	must(t, err)
	if seen.Get("User-Agent") != "curfew/1.2.3" || seen.Get("Authorization") != "Bearer ghs_x" || seen.Get("X-Github-Api-Version") == "" || proto != "HTTP/1.1" {
		t.Errorf("%s %v", proto, seen)
	}
}
