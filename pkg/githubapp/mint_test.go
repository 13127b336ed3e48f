package githubapp_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

func TestMintAsksForExactlyTheScope(t *testing.T) {
	s := newStage(t)
	want := web()
	want.Repositories = append(want.Repositories, scope.Repository{ID: 3002, Name: "api"})
	token, got, err := s.client.Mint(t.Context(), want)
	must(t, err)

	minted := s.github.Mints()[0]
	if token.Reveal() != minted.Token || minted.Selection != "selected" {
		t.Errorf("the token or its selection is another: %+v", minted)
	}
	if diff := cmp.Diff([]int64{3001, 3002}, minted.Repositories); diff != "" {
		t.Errorf("repositories at GitHub: %s", diff)
	}
	want.Permissions = scope.Permissions{"contents": scope.Write, "metadata": scope.Read}
	if diff := cmp.Diff(scope.Granted{Scope: want, ExpiresAt: start.Add(time.Hour)}, got); diff != "" {
		t.Errorf("granted: %s", diff)
	}
}

func TestMintCostsOneCallOnceTheInstallationIsKnown(t *testing.T) {
	s := newStage(t)
	for _, want := range []map[string]int{{"installation": 1, "mint": 1}, {"mint": 1}, {"mint": 1}} {
		s.github.ResetCalls()
		_, _, err := s.client.Mint(t.Context(), web())
		must(t, err)
		if diff := cmp.Diff(want, s.routes()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestMintRefusesBeforeAnyCall(t *testing.T) {
	s := newStage(t)
	many := make([]scope.Repository, scope.MaxRepositories+1)
	for i := range many {
		many[i].ID = int64(i + 1)
	}
	for name, c := range map[string]struct {
		change func(*scope.Scope)
		code   problem.Code
	}{
		"no repositories":          {func(w *scope.Scope) { w.Repositories = nil }, problem.Internal},
		"no permissions":           {func(w *scope.Scope) { w.Permissions = scope.Permissions{} }, problem.Internal},
		"a repository without id":  {func(w *scope.Scope) { w.Repositories[0].ID = 0 }, problem.Internal},
		"a repository twice":       {func(w *scope.Scope) { w.Repositories = append(w.Repositories, w.Repositories[0]) }, problem.Internal},
		"501 repositories":         {func(w *scope.Scope) { w.Repositories = many }, problem.TooManyRepositories},
		"an unknown permission":    {func(w *scope.Scope) { w.Permissions["everything"] = scope.Read }, problem.UnknownPermission},
		"a capital letter":         {func(w *scope.Scope) { w.Permissions["Contents"] = scope.Read }, problem.UnknownPermission},
		"a level it does not have": {func(w *scope.Scope) { w.Permissions["workflows"] = scope.Read }, problem.UnknownPermission},
		"no level":                 {func(w *scope.Scope) { w.Permissions["issues"] = scope.None }, problem.UnknownPermission},
		"a user's permission":      {func(w *scope.Scope) { w.Permissions["starring"] = scope.Read }, problem.UnknownPermission},
	} {
		want := web()
		c.change(&want)
		if _, _, err := s.client.Mint(t.Context(), want); !problem.Is(err, c.code) {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	if calls := s.github.Calls(); len(calls) != 0 {
		t.Errorf("GitHub was called: %v", calls)
	}
}

func TestMintTakes500Repositories(t *testing.T) {
	s := newStage(t)
	want := web()
	for i := range scope.MaxRepositories - 1 {
		name := fmt.Sprintf("svc-%03d", i)
		_, err := s.github.AddRepository(simulator.Repository{ID: int64(9000 + i), Owner: "acme", Name: name})
		must(t, err)
		want.Repositories = append(want.Repositories, scope.Repository{ID: int64(9000 + i), Name: name})
	}
	must(t, s.github.Uninstall(s.installation.ID))
	_, err := s.github.Install(simulator.Installation{AppID: 77, Owner: "acme"})
	must(t, err)
	_, got, err := s.client.Mint(t.Context(), want)
	must(t, err)
	if !want.Within(got.Scope) || !got.Within(scope.Scope{OwnerID: 1001, Repositories: want.Repositories,
		Permissions: scope.Permissions{"contents": scope.Write, "metadata": scope.Read}}) {
		t.Error("the answer for 500 repositories was not read whole")
	}
}

func TestMintSaysWhyGitHubDidNot(t *testing.T) {
	beyond := web()
	beyond.Permissions = scope.Permissions{"deployments": scope.Write}
	unreached := web()
	unreached.Repositories = []scope.Repository{{ID: 3001, Name: "web"}, {ID: 3003, Name: "secret"}}
	for name, c := range map[string]struct {
		want  scope.Scope
		fault simulator.Fault
		code  problem.Code
		wait  time.Duration
		hint  string
	}{
		"secondary limit":          {web(), simulator.Fault{Rate: "secondary"}, problem.RateLimited, time.Minute, ""},
		"primary limit":            {web(), simulator.Fault{Rate: "primary"}, problem.RateLimited, time.Minute, ""},
		"too many requests":        {web(), simulator.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}}, problem.RateLimited, 7 * time.Second, ""},
		"too many, without a word": {web(), simulator.Fault{Status: 429}, problem.RateLimited, time.Minute, ""},
		"forbidden otherwise":      {web(), simulator.Fault{Status: 403}, problem.GitHubError, 0, ""},
		"the App is not accepted":  {web(), simulator.Fault{Status: 401}, problem.GitHubError, 0, ""},
		"a redirect":               {web(), simulator.Fault{Status: 307, Header: map[string]string{"Location": "/"}}, problem.GitHubError, 0, ""},
		"permission not granted":   {beyond, simulator.Fault{}, problem.NotGrantedToApp, 0, "deployments:write"},
		"repository not installed": {unreached, simulator.Fault{}, problem.NotInstalled, 0, "acme/secret"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			if c.fault.Status != 0 || c.fault.Rate != "" {
				c.fault.Route = "mint"
				s.github.Inject(c.fault)
			}
			token, _, err := s.client.Mint(t.Context(), c.want)
			p := problem.From(err)
			if p == nil || p.Code != c.code || p.RetryAfter != c.wait || !strings.Contains(p.Hint, c.hint) || !token.Empty() {
				t.Errorf("got %v (hint %q, wait %v), want %s", err, p.Hint, p.RetryAfter, c.code)
			}
			if n := s.routes()["mint"]; n != 1 {
				t.Errorf("GitHub was asked to mint %d times", n)
			}
			s.github.ClearFaults()
			if _, _, err := s.client.Mint(t.Context(), web()); err != nil {
				t.Errorf("a good mint right after: %v", err)
			}
		})
	}
}

func TestMintIsIndeterminateWhenItsAnswerIsLost(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{
		"connection lost before the work": {Cut: "before"},
		"connection lost after the work":  {Cut: "after"},
		"answer cut short":                {Cut: "truncate"},
		"answer malformed":                {Malformed: true},
		"empty token":                     {EmptyToken: true},
		"nothing in the answer":           {Status: 201, Body: `{}`},
		"empty answer":                    {Status: 204},
		"answer over-long":                {Status: 201, Body: `{"token":"ghs_x","x":"` + strings.Repeat("x", 2<<20) + `"}`},
		"a second document":               {Status: 201, Body: `{"token":"ghs_x"}{"token":"ghs_y"}`},
		"a token that can't be sent":      {Status: 201, Body: `{"token":"ghs_\r\nX-Evil: 1"}`},
		"a token too long to keep":        {Status: 201, Body: `{"token":"` + strings.Repeat("x", 8<<10+1) + `"}`},
		"internal error":                  {Status: 500},
		"bad gateway":                     {Status: 502},
		"unavailable":                     {Status: 503, Header: map[string]string{"Retry-After": "1"}},
		"gateway time-out":                {Status: 504},
		"an error after the work":         {Status: 502, Cut: "after"},
		"no answer":                       {Hang: true},
		"no answer after the work":        {Hang: true, Cut: "after"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			_, err := s.client.Installation(t.Context(), "acme", "web")
			must(t, err)
			fault.Route = "mint"
			s.github.Inject(fault)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if fault.Hang {
				ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
				defer cancel()
			}
			token, _, err := s.client.Mint(ctx, web())
			if !problem.Is(err, problem.MintIndeterminate) || !token.Empty() {
				t.Errorf("got %v, want mint_indeterminate", err)
			}
			if n := s.routes()["mint"]; n != 1 && !fault.Hang || len(s.github.Mints()) > 1 {
				t.Errorf("GitHub was asked to mint %d times and minted %d", n, len(s.github.Mints()))
			}
		})
	}
}

func TestMintFindsAnInstallationThatWasMadeAnew(t *testing.T) {
	s := newStage(t)
	_, _, err := s.client.Mint(t.Context(), web())
	must(t, err)
	must(t, s.github.Uninstall(s.installation.ID))
	_, err = s.github.Install(simulator.Installation{AppID: 77, Owner: "acme"})
	must(t, err)
	s.github.ResetCalls()
	_, _, err = s.client.Mint(t.Context(), web())
	must(t, err)
	if diff := cmp.Diff(map[string]int{"mint": 2, "installation": 1}, s.routes()); diff != "" {
		t.Error(diff)
	}
}

func TestMintAfterTheAppWasRemoved(t *testing.T) {
	s := newStage(t)
	_, _, err := s.client.Mint(t.Context(), web())
	must(t, err)
	must(t, s.github.Uninstall(s.installation.ID))
	s.github.ResetCalls()
	if _, _, err = s.client.Mint(t.Context(), web()); !problem.Is(err, problem.NotInstalled) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(map[string]int{"mint": 1, "installation": 1}, s.routes()); diff != "" {
		t.Error(diff)
	}
}

func TestMintAsksAgainOnlyOnceWhenGitHubStaysAt404(t *testing.T) {
	s := newStage(t)
	s.github.Inject(simulator.Fault{Route: "mint", Status: 404})
	if _, _, err := s.client.Mint(t.Context(), web()); !problem.Is(err, problem.NotInstalled) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(map[string]int{"mint": 2, "installation": 2}, s.routes()); diff != "" {
		t.Error(diff)
	}
}

func TestMintFromASuspendedInstallation(t *testing.T) {
	s := newStage(t)
	_, _, err := s.client.Mint(t.Context(), web())
	must(t, err)
	must(t, s.github.Suspend(s.installation.ID, true))
	if _, _, err = s.client.Mint(t.Context(), web()); !problem.Is(err, problem.InstallationSuspended) {
		t.Errorf("got %v", err)
	}
	must(t, s.github.Suspend(s.installation.ID, false))
	if _, _, err = s.client.Mint(t.Context(), web()); err != nil {
		t.Errorf("once it is no longer suspended: %v", err)
	}
}

func TestMintForALoginThatChangedHands(t *testing.T) {
	s := newStage(t)
	want := web()
	want.OwnerID = 9999
	if _, _, err := s.client.Mint(t.Context(), want); !problem.Is(err, problem.NotInstalled) {
		t.Errorf("got %v", err)
	}
	if n := s.routes()["mint"]; n != 0 {
		t.Errorf("GitHub was asked to mint %d times", n)
	}
}

func TestMintReturnsAWiderAnswerAsItIs(t *testing.T) {
	for _, wider := range []string{"permissions", "repositories", "all"} {
		s := newStage(t)
		s.github.Inject(simulator.Fault{Route: "mint", Wider: wider})
		token, got, err := s.client.Mint(t.Context(), web())
		must(t, err)
		if token.Empty() {
			t.Errorf("%s: without a token nobody can end it", wider)
		}
		bound := web()
		bound.Permissions["metadata"] = scope.Read
		if got.Within(bound) {
			t.Errorf("%s: the answer %v compares as within the request", wider, got.Scope)
		}
	}
}

func TestMintNeverFollowsARedirect(t *testing.T) {
	var followed bool
	elsewhere := answering(t, func(http.ResponseWriter, *http.Request) { followed = true })
	for _, status := range []int{301, 302, 307, 308} {
		api := answering(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere+r.URL.Path)
			w.WriteHeader(status)
		})
		c := newClient(t, api, nil)
		if _, _, err := c.Mint(t.Context(), web()); err == nil {
			t.Errorf("%d counts as a mint", status)
		}
		if status, err := c.Revoke(t.Context(), tokenOf("ghs_x")); err == nil {
			t.Errorf("%d counts as a revocation", status)
		}
	}
	if followed {
		t.Error("a credential was carried to where a redirect pointed")
	}
}

func TestNoBodyOfGitHubShows(t *testing.T) {
	const canary = "CANARY"
	for _, status := range []int{200, 201, 302, 400, 401, 403, 404, 422, 429, 500} {
		s := newStage(t)
		api := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"message":"CANARY","type":"CANARY","id":"CANARY","permissions":7,"repositories":"CANARY"}`)
		})
		c := newClient(t, api, func(o *githubapp.Options) { o.Log = logTo(s.log) })
		var errs []error
		note := func(err error) { errs = append(errs, err) }
		_, _, err := c.Mint(t.Context(), web())
		note(err)
		_, _, err = c.Reader(t.Context(), "acme", []string{"web"}, scope.Permissions{"contents": scope.Read})
		note(err)
		_, err = c.ReadFile(t.Context(), tokenOf("ghs_x"), "acme", "web", "a", "")
		note(err)
		_, err = c.Revoke(t.Context(), tokenOf("ghs_x"))
		note(err)
		_, err = c.Probe(t.Context(), tokenOf("ghs_x"))
		note(err)
		_, err = c.App(t.Context())
		note(err)
		shown := s.log.String()
		for _, err := range errs {
			if err != nil {
				p := problem.From(err)
				shown += fmt.Sprintf("%+v %s %s %v", err, p.Detail, p.Hint, p.Mismatches)
			}
		}
		if strings.Contains(shown, canary) {
			t.Errorf("%d: GitHub's words show in %s", status, shown)
		}
	}
}

func TestWhatIsNotHTTPIsNotQuoted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1<<10))
			_, _ = io.WriteString(conn, "CANARY CANARY CANARY\r\n\r\n")
			_ = conn.Close()
		}
	}()
	c := newClient(t, "http://"+l.Addr().String(), nil)
	if _, err := c.Revoke(t.Context(), tokenOf("ghs_x")); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("got %v", err)
	}
}
