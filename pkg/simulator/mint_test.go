package simulator_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

const (
	notGranted = "The permissions requested are not granted to this installation."
	notCovered = "There is at least one repository that does not exist or is not accessible to the parent installation."
)

func many(name string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = name
	}
	return names
}

func TestWhatAMintGives(t *testing.T) {
	s := newStage(t)
	all := map[string]string{"contents": "write", "issues": "read", "actions": "read", "workflows": "write", "deployments": "write", "metadata": "read"}

	for _, row := range []struct {
		about        string
		body         object
		permissions  map[string]string
		repositories []int64
		selection    string
	}{
		{"one repository, one permission", object{"repositories": []string{"web"}, "permissions": object{"contents": "read"}},
			map[string]string{"contents": "read", "metadata": "read"}, []int64{2001}, "selected"},
		{"names have no case", object{"repositories": []string{"WEB"}, "permissions": object{"contents": "read"}},
			map[string]string{"contents": "read", "metadata": "read"}, []int64{2001}, "selected"},
		{"ids, and one twice", object{"repository_ids": []int{2002, 2001, 2002}, "permissions": object{"contents": "write"}},
			map[string]string{"contents": "write", "metadata": "read"}, []int64{2001, 2002}, "selected"},
		{"500 repositories are allowed", object{"repositories": many("web", 500), "permissions": object{"contents": "read"}},
			map[string]string{"contents": "read", "metadata": "read"}, []int64{2001}, "selected"},
		{"no repositories mean all", object{"permissions": object{"contents": "read"}},
			map[string]string{"contents": "read", "metadata": "read"}, nil, "all"},
		{"an empty list means all", object{"repositories": []string{}, "permissions": object{"contents": "read"}},
			map[string]string{"contents": "read", "metadata": "read"}, nil, "all"},
		{"no permissions mean all", object{"repositories": []string{"web"}}, all, []int64{2001}, "selected"},
		{"empty permissions mean all", object{"repositories": []string{"web"}, "permissions": object{}}, all, []int64{2001}, "selected"},
		{"nothing means everything", nil, all, nil, "all"},
		{"members in another case are nothing", object{"Repositories": []string{"web"}, "PERMISSIONS": object{"contents": "read"}}, all, nil, "all"},
	} {
		t.Run(row.about, func(t *testing.T) {
			var body any
			if row.body != nil {
				body = row.body
			}
			r := s.ask("POST", s.mintPath(), s.assertion(nil), body)
			if r.StatusCode != http.StatusCreated {
				t.Fatalf("got %d %s", r.StatusCode, r.body)
			}
			mints := s.Mints()
			got := mints[len(mints)-1]
			want := simulator.Mint{
				Seq: len(mints), Time: s.clock.Now(), AppID: s.app.ID, InstallationID: s.installation.ID, Token: got.Token,
				Permissions: row.permissions, Repositories: row.repositories, Selection: row.selection,
				ExpiresAt: s.clock.Now().Add(time.Hour), Delivered: true,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the ground truth (-want +got):\n%s", diff)
			}
			checkMintAnswer(t, r, got)
		})
	}
}

// checkMintAnswer holds what the client was told against the ground truth.
func checkMintAnswer(t *testing.T, r response, m simulator.Mint) {
	t.Helper()
	var told struct {
		Token        string
		ExpiresAt    time.Time `json:"expires_at"`
		Permissions  map[string]string
		Selection    string `json:"repository_selection"`
		Repositories []struct{ ID int64 }
	}
	if err := json.Unmarshal(r.body, &told); err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, repo := range told.Repositories {
		ids = append(ids, repo.ID)
	}
	got := simulator.Mint{Token: told.Token, ExpiresAt: told.ExpiresAt, Permissions: told.Permissions, Selection: told.Selection, Repositories: ids}
	want := simulator.Mint{Token: m.Token, ExpiresAt: m.ExpiresAt, Permissions: m.Permissions, Selection: m.Selection, Repositories: m.Repositories}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer (-truth +told):\n%s", diff)
	}
}

func TestWhatAMintRefuses(t *testing.T) {
	s := newStage(t)
	for _, row := range []struct {
		about  string
		body   any
		status int
		want   string
	}{
		{"a level above the installation's", object{"permissions": object{"issues": "write"}}, 422, notGranted},
		{"a permission it lacks", object{"permissions": object{"secrets": "read"}}, 422, notGranted},
		{"a name that GitHub doesn't know", object{"permissions": object{"content": "read"}}, 422, "Invalid request.\n\nno permission \"content\"."},
		{"a level that it doesn't know", object{"permissions": object{"contents": "all"}}, 422, "Invalid request.\n\npermission contents has no level \"all\"."},
		{"reading workflows, which can only be written", object{"permissions": object{"workflows": "read"}}, 422, "Invalid request.\n\npermission workflows has no level \"read\"."},
		{"another owner's repository", object{"repositories": []string{"vault"}}, 422, notCovered},
		{"another owner's id", object{"repository_ids": []int{2003}}, 422, notCovered},
		{"an id of nothing", object{"repository_ids": []int{9}}, 422, notCovered},
		{"a full name, for names stand alone", object{"repositories": []string{"acme/web"}}, 422, notCovered},
		{"one bad among good", object{"repositories": []string{"web", "nope"}}, 422, notCovered},
		{"501 repositories", object{"repositories": many("web", 501)}, 422, "Invalid request.\n\nNo more than 500 repositories are allowed."},
		{"a text for a list", object{"repositories": "web"}, 422, "Invalid request.\n\nFor 'properties/repositories', \"web\" is not an array."},
		{"a list for the body", []int{1}, 400, "Problems parsing JSON"},
	} {
		t.Run(row.about, func(t *testing.T) {
			r := s.ask("POST", s.mintPath(), s.assertion(nil), row.body)
			if r.StatusCode != row.status || r.message() != row.want {
				t.Errorf("got %d %q, want %d %q", r.StatusCode, r.message(), row.status, row.want)
			}
		})
	}
	if mints := s.Mints(); len(mints) != 0 {
		t.Errorf("%d tokens were made for refused requests", len(mints))
	}
}

func TestAnInstallationOfSelectedRepositories(t *testing.T) {
	s := newStage(t)
	in, err := s.Install(simulator.Installation{
		AppID: s.app.ID, Owner: "rival", Repositories: []string{"vault"}, Permissions: map[string]string{"contents": "read"},
	})
	s.must(err)
	_, err = s.AddRepository(simulator.Repository{Owner: "rival", Name: "later"})
	s.must(err)
	s.installation = in
	token := s.mint(nil)
	m := s.Mints()[0]
	if m.Selection != "selected" || !cmp.Equal(m.Repositories, []int64{2003}) || m.Permissions["contents"] != "read" {
		t.Errorf("a mint of everything gave %+v, want just vault, contents: read", m)
	}
	if r := s.ask("GET", "/repos/rival/later", token, nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("a repository that wasn't selected: got %d, want 404", r.StatusCode)
	}
	r := s.ask("POST", s.mintPath(), s.assertion(nil), object{"repositories": []string{"later"}})
	if r.StatusCode != http.StatusUnprocessableEntity || r.message() != notCovered {
		t.Errorf("minting for it: got %d %q, want 422", r.StatusCode, r.message())
	}
}

func TestFindingAnInstallation(t *testing.T) {
	s := newStage(t)
	_, err := s.AddOwner(simulator.Owner{Login: "ida", Type: "User"})
	s.must(err)
	for _, name := range []string{"notes", "diary"} {
		_, err = s.AddRepository(simulator.Repository{Owner: "ida", Name: name})
		s.must(err)
	}
	in, err := s.Install(simulator.Installation{AppID: s.app.ID, Owner: "ida", Repositories: []string{"notes"}})
	s.must(err)
	for _, row := range []struct {
		path string
		want int64 // 0 when there is none
	}{
		{"/repos/acme/web/installation", s.installation.ID},
		{"/repos/ACME/Web/installation", s.installation.ID},
		{"/orgs/acme/installation", s.installation.ID},
		{"/users/acme/installation", 0},
		{"/users/ida/installation", in.ID},
		{"/orgs/ida/installation", 0},
		{"/repos/ida/notes/installation", in.ID},
		{"/repos/ida/diary/installation", 0},
		{"/repos/ida/none/installation", 0},
		{"/orgs/rival/installation", 0},
		{"/repos/rival/vault/installation", 0},
		{"/orgs/nobody/installation", 0},
	} {
		r := s.ask("GET", row.path, s.assertion(nil), nil)
		var found struct{ ID int64 }
		s.must(json.Unmarshal(r.body, &found))
		if found.ID != row.want || (row.want == 0) != (r.StatusCode == http.StatusNotFound) {
			t.Errorf("%s: got %d, installation %d, want %d", row.path, r.StatusCode, found.ID, row.want)
		}
	}
}

func TestAnotherAppsInstallationIsNotThere(t *testing.T) {
	s := newStage(t)
	other, err := s.AddApp(simulator.App{Slug: "other", KeyPEM: keyPEM(s.key)})
	s.must(err)
	token := s.assertion(func(_, c object) { c["iss"] = other.ClientID })
	for _, path := range []string{"/repos/acme/web/installation", "/orgs/acme/installation", fmt.Sprint("/app/installations/", s.installation.ID)} {
		if r := s.ask("GET", path, token, nil); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, r.StatusCode)
		}
	}
	if r := s.ask("POST", s.mintPath(), token, nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("mint: got %d, want 404", r.StatusCode)
	}
}

func TestSuspendedAndUninstalled(t *testing.T) {
	s := newStage(t)
	token := s.mint(object{"contents": "read"}, "web")
	probe := func() int { return s.ask("GET", "/installation/repositories", token, nil).StatusCode }
	mint := func() int { return s.ask("POST", s.mintPath(), s.assertion(nil), nil).StatusCode }
	find := func() int { return s.ask("GET", "/repos/acme/web/installation", s.assertion(nil), nil).StatusCode }
	expect := func(when string, probed, minted, found int) {
		t.Helper()
		if p, m, f := probe(), mint(), find(); p != probed || m != minted || f != found {
			t.Errorf("%s: probe %d, mint %d, installation %d; want %d, %d, %d", when, p, m, f, probed, minted, found)
		}
	}
	expect("installed", 200, 201, 200)
	s.must(s.Suspend(s.installation.ID, true))
	expect("suspended", 403, 403, 200)
	s.must(s.Suspend(s.installation.ID, false))
	expect("restored", 200, 201, 200)
	s.must(s.Uninstall(s.installation.ID))
	expect("uninstalled", 401, 404, 404)
	if s.Uninstall(s.installation.ID) == nil {
		t.Error("it can be uninstalled twice")
	}
}

func TestTheShapesOfATokenDiffer(t *testing.T) {
	s := newStage(t)
	long := s.mint(nil)
	if len(long) < 480 || len(long) > 560 || strings.Count(long, ".") != 2 || !strings.HasPrefix(long, fmt.Sprintf("ghs_%d_", s.app.ID)) {
		t.Errorf("the long form is %d characters: %s", len(long), long)
	}
	s.SetTokenFormat("short")
	short := s.mint(nil)
	if len(short) != 40 || !strings.HasPrefix(short, "ghs_") {
		t.Errorf("the short form is %q", short)
	}
	for _, token := range []string{long, short} {
		if r := s.ask("GET", "/installation/repositories", token, nil); r.StatusCode != http.StatusOK {
			t.Errorf("%.8s…: got %d, want 200", token, r.StatusCode)
		}
	}
	s.SetTokenLifetime(5 * time.Second)
	brief := s.mint(nil)
	s.clock.Add(5 * time.Second)
	if s.Alive(brief) || !s.Alive(short) {
		t.Error("the lifetime must hold for tokens to come, and for no others")
	}
}

func BenchmarkMint(b *testing.B) {
	s, err := simulator.Start(simulator.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	st := &stage{Server: s, clock: &clock{now: time.Now()}, key: testKey()}
	if _, err = s.AddOwner(simulator.Owner{Login: "acme"}); err != nil {
		b.Fatal(err)
	}
	if _, err = s.AddRepository(simulator.Repository{Owner: "acme", Name: "web"}); err != nil {
		b.Fatal(err)
	}
	if st.app, err = s.AddApp(simulator.App{KeyPEM: keyPEM(st.key), Permissions: map[string]string{"contents": "write"}}); err != nil {
		b.Fatal(err)
	}
	if st.installation, err = s.Install(simulator.Installation{AppID: st.app.ID, Owner: "acme"}); err != nil {
		b.Fatal(err)
	}
	assertion := st.assertion(nil)
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequest(http.MethodPost, s.URL+st.mintPath(), strings.NewReader(`{"repositories":["web"],"permissions":{"contents":"write"}}`))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+assertion)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusCreated {
			b.Fatal(answer.Status)
		}
	}
}
