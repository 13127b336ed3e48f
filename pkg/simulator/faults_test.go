package simulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// tryMint asks for contents: read on web, and lets it fail.
func (s *stage) tryMint() (response, error) {
	return s.do("POST", s.mintPath(), s.assertion(nil), object{
		"repositories": []string{"web"}, "permissions": object{"contents": "read"},
	})
}

func TestFaultsOfAMint(t *testing.T) {
	for _, row := range []struct {
		about     string
		fault     simulator.Fault
		status    int  // 0 when the connection breaks
		mints     int  // what GitHub made
		delivered bool // and what the client got
		check     func(t *testing.T, r response)
	}{
		{"none", simulator.Fault{Route: "revoke", Status: 500}, 201, 1, true, nil},
		{"an error", simulator.Fault{Status: 502, Header: map[string]string{"Retry-After": "7"}}, 502, 0, false, func(t *testing.T, r response) {
			if r.Header.Get("Retry-After") != "7" {
				t.Error("the header is missing")
			}
		}},
		{"an error after the work", simulator.Fault{Status: 502, Cut: "after"}, 502, 1, false, nil},
		{"cut before the work", simulator.Fault{Cut: "before"}, 0, 0, false, nil},
		{"cut after the work", simulator.Fault{Cut: "after"}, 0, 1, false, nil},
		{"half an answer", simulator.Fault{Cut: "truncate"}, 0, 1, false, nil},
		{"no JSON", simulator.Fault{Malformed: true}, 201, 1, false, func(t *testing.T, r response) {
			if r.message() != "" || strings.Contains(string(r.body), "ghs_") {
				t.Errorf("got %s", r.body)
			}
		}},
		{"no token in it", simulator.Fault{EmptyToken: true}, 201, 1, false, func(t *testing.T, r response) {
			if r.json(t)["token"] != "" {
				t.Errorf("got %s", r.body)
			}
		}},
		{"the primary limit", simulator.Fault{Rate: "primary"}, 403, 0, false, func(t *testing.T, r response) {
			if r.Header.Get("X-RateLimit-Remaining") != "0" || r.Header.Get("X-RateLimit-Reset") == "" {
				t.Errorf("got %v", r.Header)
			}
		}},
		{"the secondary limit", simulator.Fault{Rate: "secondary", Status: 429}, 429, 0, false, func(t *testing.T, r response) {
			if r.Header.Get("Retry-After") != "60" {
				t.Errorf("got %v", r.Header)
			}
		}},
		{"another clock", simulator.Fault{Header: map[string]string{"Date": "Sun, 01 Nov 2026 13:00:00 GMT"}}, 201, 1, true, func(t *testing.T, r response) {
			if got := r.Header.Get("Date"); got != "Sun, 01 Nov 2026 13:00:00 GMT" {
				t.Errorf("got %s", got)
			}
		}},
		{"another body", simulator.Fault{Body: "<html>"}, 200, 0, false, nil},
		{"a moment later", simulator.Fault{Delay: time.Millisecond}, 201, 1, true, nil},
	} {
		t.Run(row.about, func(t *testing.T) {
			s := newStage(t)
			if row.fault.Route == "" {
				row.fault.Route = "mint"
			}
			s.Inject(row.fault)
			r, err := s.tryMint()
			switch {
			case row.status == 0 && err == nil:
				t.Fatalf("got %d %s, want a broken connection", r.StatusCode, r.body)
			case row.status != 0 && (err != nil || r.StatusCode != row.status):
				t.Fatalf("got %v, %v, want %d", r.Response, err, row.status)
			}
			mints := s.Mints()
			if len(mints) != row.mints || (row.mints == 1 && mints[0].Delivered != row.delivered) {
				t.Errorf("ground truth: %+v; want %d, delivered %v", mints, row.mints, row.delivered)
			}
			if row.mints == 1 && !s.Alive(mints[0].Token) {
				t.Error("a token that was made doesn't live")
			}
			if row.check != nil {
				row.check(t, r)
			}
			s.ClearFaults()
			if r, err := s.tryMint(); err != nil || r.StatusCode != http.StatusCreated {
				t.Errorf("when it is cleared: %v, %v", r.Response, err)
			}
		})
	}
}

func TestWiderAnswers(t *testing.T) {
	for wider, want := range map[string]simulator.Mint{
		"":             {Permissions: map[string]string{"contents": "read", "metadata": "read"}, Repositories: []int64{2001}, Selection: "selected"},
		"permissions":  {Permissions: map[string]string{"contents": "write", "issues": "read", "actions": "read", "workflows": "write", "deployments": "write", "metadata": "read"}, Repositories: []int64{2001}, Selection: "selected"},
		"repositories": {Permissions: map[string]string{"contents": "read", "metadata": "read"}, Repositories: []int64{2001, 2002}, Selection: "selected"},
		"all":          {Permissions: map[string]string{"contents": "write", "issues": "read", "actions": "read", "workflows": "write", "deployments": "write", "metadata": "read"}, Selection: "all"},
		"expires":      {Permissions: map[string]string{"contents": "read", "metadata": "read"}, Repositories: []int64{2001}, Selection: "selected"},
	} {
		t.Run("wider "+wider, func(t *testing.T) {
			s := newStage(t)
			s.Inject(simulator.Fault{Route: "mint", Wider: wider})
			r, err := s.tryMint()
			s.must(err)
			m := s.Mints()[0]
			checkMintAnswer(t, r, m)
			got := simulator.Mint{Permissions: m.Permissions, Repositories: m.Repositories, Selection: m.Selection}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if late := m.ExpiresAt.Sub(m.Time) > time.Hour; late != (wider == "expires") {
				t.Errorf("it lives until %v", m.ExpiresAt)
			}
			wide := wider == "repositories" || wider == "all"
			if r := s.ask("GET", "/repos/acme/api", m.Token, nil); (r.StatusCode == http.StatusOK) != wide {
				t.Errorf("a repository that wasn't asked for: got %d", r.StatusCode)
			}
		})
	}
}

// An answer must be wider even where the request took all there is.
func TestWiderThanAll(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{"web", "api"} {
		s.Inject(simulator.Fault{Route: "mint", Wider: "repositories", Times: 1})
		s.mint(nil, name)
	}
	s.ClearFaults()
	s.Inject(simulator.Fault{Route: "mint", Wider: "repositories", Times: 1})
	s.mint(nil, "web", "api")
	if got := s.Mints()[2].Repositories; !cmp.Equal(got, []int64{2001, 2002, 2003}) {
		t.Errorf("beyond the owner's repositories: got %v", got)
	}
	s.Inject(simulator.Fault{Route: "mint", Wider: "permissions", Times: 1})
	s.mint(nil, "web")
	if got := s.Mints()[3].Permissions["administration"]; got != "write" {
		t.Errorf("beyond the installation's permissions: administration is %q", got)
	}
}

func TestATokenThatDiesLate(t *testing.T) {
	s := newStage(t)
	token := s.mint(nil, "web")
	s.Inject(simulator.Fault{Route: "revoke", LateDeath: 3 * time.Second})
	if r := s.ask("DELETE", "/installation/token", token, nil); r.StatusCode != http.StatusNoContent {
		t.Fatalf("got %d, want 204", r.StatusCode)
	}
	probe := func() int { return s.ask("GET", "/installation/repositories", token, nil).StatusCode }
	if got := probe(); got != 200 || !s.Alive(token) {
		t.Errorf("right after the 204: got %d, want 200", got)
	}
	s.clock.Add(3 * time.Second)
	if got := probe(); got != 401 || s.Alive(token) {
		t.Errorf("three seconds later: got %d, want 401", got)
	}
	if m := s.Mints()[0]; !m.RevokedAt.Equal(s.clock.Now()) || len(s.Deletes()) != 1 {
		t.Errorf("ground truth: revoked at %v, %d deletes", m.RevokedAt, len(s.Deletes()))
	}
}

func TestARevocationThatFails(t *testing.T) {
	for about, row := range map[string]struct {
		fault simulator.Fault
		alive bool
	}{
		"before the work":    {simulator.Fault{Route: "revoke", Cut: "before"}, true},
		"after the work":     {simulator.Fault{Route: "revoke", Cut: "after"}, false},
		"with an error":      {simulator.Fault{Route: "revoke", Status: 503}, true},
		"with an error, but": {simulator.Fault{Route: "revoke", Status: 503, Cut: "after"}, false},
	} {
		s := newStage(t)
		token := s.mint(nil, "web")
		s.Inject(row.fault)
		_, _ = s.do("DELETE", "/installation/token", token, nil) // fails in one way or another
		if got := s.Alive(token); got != row.alive {
			t.Errorf("%s: alive is %v, want %v", about, got, row.alive)
		}
	}
}

func TestWhenAFaultStrikes(t *testing.T) {
	s := newStage(t)
	s.Inject(simulator.Fault{Route: "app", Skip: 1, Times: 2, Status: 500})
	s.Inject(simulator.Fault{Route: "*", Times: 1, Status: 503})
	var got []int
	for range 5 {
		got = append(got, s.ask("GET", "/app", s.assertion(nil), nil).StatusCode)
	}
	// The second rule strikes what the first lets pass.
	if want := []int{503, 500, 500, 200, 200}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(s.Calls()); n != 5 {
		t.Errorf("%d calls are logged, want 5", n)
	}
}

func TestAHangingRouteAnswersNobody(t *testing.T) {
	for cut, mints := range map[string]int{"": 0, "after": 1} {
		s := newStage(t)
		s.Inject(simulator.Fault{Route: "mint", Hang: true, Cut: cut})
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+s.mintPath(), strings.NewReader(`{"repositories":["web"]}`))
		s.must(err)
		r.Header.Set("Authorization", "Bearer "+s.assertion(nil))
		failed := make(chan error)
		go func() {
			answer, err := http.DefaultTransport.RoundTrip(r)
			if err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			failed <- err
		}()
		tick, late := time.NewTicker(time.Millisecond), time.After(10*time.Second)
		for len(s.Calls()) == 0 {
			select {
			case <-tick.C:
			case <-late:
				t.Fatal("the request never arrived")
			}
		}
		tick.Stop()
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("hang with cut %q: got %v, want to give up", cut, err)
		}
		if m := s.Mints(); len(m) != mints || (mints == 1 && m[0].Delivered) {
			t.Errorf("hang with cut %q: ground truth %+v, want %d, not delivered", cut, m, mints)
		}
		if c := s.Calls()[0]; c.Status != 0 {
			t.Errorf("logged as %v", c)
		}
	}
}

// GitHub goes on when a client gives up waiting, and the token lives unseen.
func TestAClientThatLeavesDoesNotStopTheMint(t *testing.T) {
	s := newStage(t)
	s.Inject(simulator.Fault{Route: "mint", Delay: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, s.mintPath(), strings.NewReader(`{"repositories":["web"]}`))
	r.Header.Set("Authorization", "Bearer "+s.assertion(nil))
	leave()
	s.Handler().ServeHTTP(httptest.NewRecorder(), r)
	if m := s.Mints(); len(m) != 1 || m[0].Delivered || !s.Alive(m[0].Token) {
		t.Errorf("ground truth: %+v, want one living token, not delivered", m)
	}
}

func TestRulesThatCannotBeMeant(t *testing.T) {
	g := simulator.New(simulator.Options{})
	for about, f := range map[string]simulator.Fault{
		"no route":        {Status: 500},
		"unknown route":   {Route: "mnit"},
		"unknown cut":     {Route: "mint", Cut: "later"},
		"unknown rate":    {Route: "mint", Rate: "tertiary"},
		"unknown width":   {Route: "mint", Wider: "much"},
		"negative number": {Route: "mint", Times: -1},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it was taken", about)
				}
			}()
			g.Inject(f)
		}()
	}
}
