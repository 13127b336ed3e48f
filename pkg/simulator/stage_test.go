package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

func TestNonsenseIsRefused(t *testing.T) {
	s := newStage(t)
	key := keyPEM(s.key)
	last := func(_ any, err error) error { return err }
	put := func(path string) error { return last(s.PutFile("acme", "web", path, nil)) }
	for about, err := range map[string]error{
		"a login twice":             last(s.AddOwner(simulator.Owner{Login: "Acme"})),
		"an id twice":               last(s.AddOwner(simulator.Owner{Login: "new", ID: 1001})),
		"a login with a slash":      last(s.AddOwner(simulator.Owner{Login: "a/b"})),
		"an owner of no type":       last(s.AddOwner(simulator.Owner{Login: "new", Type: "Bot"})),
		"a repository of nobody":    last(s.AddRepository(simulator.Repository{Owner: "nobody", Name: "web"})),
		"a repository of a bot":     last(s.AddRepository(simulator.Repository{Owner: "curfew[bot]", Name: "web"})),
		"a repository twice":        last(s.AddRepository(simulator.Repository{Owner: "acme", Name: "WEB"})),
		"a repository's id twice":   last(s.AddRepository(simulator.Repository{Owner: "acme", Name: "new", ID: 2001})),
		"a name with a space":       last(s.AddRepository(simulator.Repository{Owner: "acme", Name: "a b"})),
		"a name that is taken":      s.RenameRepository("acme", "web", "api"),
		"renaming nothing":          s.RenameRepository("acme", "none", "new"),
		"a path that leads out":     put("../a"),
		"a path from the root":      put("/a"),
		"removing nothing":          s.RemoveFile("acme", "web", "a"),
		"an App's slug twice":       last(s.AddApp(simulator.App{Slug: "curfew", KeyPEM: key})),
		"an App's client id twice":  last(s.AddApp(simulator.App{Slug: "new", ClientID: s.app.ClientID, KeyPEM: key})),
		"an App with a misspelling": last(s.AddApp(simulator.App{Slug: "new", KeyPEM: key, Permissions: map[string]string{"content": "read"}})),
		"installing no App":         last(s.Install(simulator.Installation{AppID: 9, Owner: "acme"})),
		"installing it twice":       last(s.Install(simulator.Installation{AppID: s.app.ID, Owner: "acme"})),
		"installing for nobody":     last(s.Install(simulator.Installation{AppID: s.app.ID, Owner: "nobody"})),
		"granting more than asked":  last(s.Install(simulator.Installation{AppID: s.app.ID, Owner: "rival", Permissions: map[string]string{"issues": "write"}})),
		"selecting another's":       last(s.Install(simulator.Installation{AppID: s.app.ID, Owner: "rival", Repositories: []string{"web"}})),
		"a job nowhere":             last(s.StartJob(simulator.Job{Owner: "acme", Repo: "none"})),
		"a token of no job":         last(s.IDToken(9, "", nil)),
		"finishing no job":          s.FinishJob(9, "success"),
		"suspending nothing":        s.Suspend(9, true),
	} {
		if err == nil {
			t.Errorf("%s: it was taken", about)
		}
	}
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	for about, err := range map[string]error{
		"a job's id twice":           last(s.StartJob(simulator.Job{Owner: "acme", Repo: "web", ID: job.ID})),
		"a run in two repositories":  last(s.StartJob(simulator.Job{Owner: "acme", Repo: "api", RunID: job.RunID})),
		"a conclusion GitHub lacks":  s.FinishJob(job.ID, "done"),
		"a stranger's run and a job": last(s.StartJob(simulator.Job{Owner: "rival", Repo: "vault", RunID: job.RunID})),
	} {
		if err == nil {
			t.Errorf("%s: it was taken", about)
		}
	}
}

func TestIdsAreAssignedInOrderAndMayBeGiven(t *testing.T) {
	g := simulator.New(simulator.Options{})
	for i, id := range []int64{0, 1002, 0} {
		o, err := g.AddOwner(simulator.Owner{Login: fmt.Sprint("owner-", i), ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(1001 + i); o.ID != want {
			t.Errorf("owner %d has the id %d, want %d", i, o.ID, want)
		}
	}
}

func TestAllTokensOfAnInstallationShareItsRateLimit(t *testing.T) {
	s := newStage(t)
	first, second := s.mint(nil, "web"), s.mint(nil, "api")
	for i, token := range []string{first, second, first} {
		r := s.ask("GET", "/installation/repositories", token, nil)
		if got, want := r.Header.Get("X-RateLimit-Remaining"), fmt.Sprint(5000-i-1); got != want {
			t.Errorf("call %d leaves %s, want %s", i+1, got, want)
		}
		if r.Header.Get("X-GitHub-Request-Id") == "" || r.Header.Get("Date") != s.clock.Now().Format(http.TimeFormat) {
			t.Errorf("headers: %v", r.Header)
		}
	}
}

func TestCallsHideTokensAndTellThemApart(t *testing.T) {
	s := newStage(t)
	token := s.mint(nil, "web")
	s.ask("GET", "/repos/acme/web?token="+token, token, nil)
	calls := s.Calls()
	if len(calls) != 2 || calls[0].Route != "mint" || calls[1].Route != "repository" || calls[1].Status != 200 {
		t.Fatalf("got %v", calls)
	}
	if strings.Contains(fmt.Sprintf("%+v", calls), token) {
		t.Error("a call tells the token")
	}
	if len(calls[1].TokenSHA256) != 44 || calls[0].TokenSHA256 == calls[1].TokenSHA256 {
		t.Errorf("digests: %q and %q", calls[0].TokenSHA256, calls[1].TokenSHA256)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	s := newStage(t)
	const clients = 32
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			token := s.mint(object{"contents": "read"}, "web")
			if r := s.ask("GET", "/installation/repositories", token, nil); r.StatusCode != http.StatusOK {
				t.Errorf("got %d", r.StatusCode)
			}
			if r := s.ask("DELETE", "/installation/token", token, nil); r.StatusCode != http.StatusNoContent {
				t.Errorf("got %d", r.StatusCode)
			}
		})
	}
	wg.Wait()
	if m, d, c := len(s.Mints()), len(s.Deletes()), len(s.Calls()); m != clients || d != clients || c != 3*clients {
		t.Errorf("%d mints, %d deletes, %d calls; want %d, %d, %d", m, d, c, clients, clients, 3*clients)
	}
	if n := len(s.AliveTokens()); n != 0 {
		t.Errorf("%d tokens are alive", n)
	}
}

func TestListsComeInPages(t *testing.T) {
	s := newStage(t)
	for i := range 33 {
		_, err := s.AddRepository(simulator.Repository{Owner: "acme", Name: fmt.Sprint("svc-", i)})
		s.must(err)
	}
	token := s.mint(nil)
	for query, want := range map[string]int{
		"": 30, "?page=2": 5, "?per_page=100": 35, "?per_page=101": 35, "?per_page=2&page=3": 2, "?page=9": 0,
		"?page=9223372036854775807": 0, "?page=-1": 30, "?per_page=x": 30,
	} {
		r := s.ask("GET", "/installation/repositories"+query, token, nil)
		list := r.json(t)
		if got := len(list["repositories"].([]any)); got != want || list["total_count"] != 35.0 {
			t.Errorf("%q lists %d of %v, want %d of 35", query, got, list["total_count"], want)
		}
		more := want > 0 && want < 35 && query != "?page=2"
		if next := r.Header.Get("Link"); strings.Contains(next, `rel="next"`) != more {
			t.Errorf("%q links to %q", query, next)
		}
	}
}
