package githubapp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

var contentsRead = scope.Permissions{"contents": scope.Read}

func (s *stage) reader(t *testing.T, names ...string) secret.Text {
	t.Helper()
	token, _, err := s.client.Reader(t.Context(), "acme", names, contentsRead)
	must(t, err)
	return token
}

func TestReaderTellsTheIDsBehindNames(t *testing.T) {
	s := newStage(t)
	_, got, err := s.client.Reader(t.Context(), "ACME", []string{"Web", ".github", "web"}, contentsRead)
	must(t, err)
	want := scope.Scope{Owner: "acme", OwnerID: 1001, Permissions: scope.Permissions{"contents": scope.Read, "metadata": scope.Read},
		Repositories: []scope.Repository{{ID: 2001, Name: ".github"}, {ID: 3001, Name: "web"}}}
	if diff := cmp.Diff(want, got.Scope); diff != "" {
		t.Error(diff)
	}
	if at := s.github.Mints()[0]; at.Selection != "selected" || len(at.Repositories) != 2 || at.Permissions["contents"] != "read" {
		t.Errorf("at GitHub: %+v", at)
	}
}

func TestReaderEndsATokenThatCanDoMore(t *testing.T) {
	for _, wider := range []string{"permissions", "repositories", "all", "expires"} {
		s := newStage(t)
		s.github.Inject(simulator.Fault{Route: "mint", Wider: wider})
		token, _, err := s.client.Reader(t.Context(), "acme", []string{"web"}, contentsRead)
		if !problem.Is(err, problem.AnswerTooWide) || !token.Empty() {
			t.Errorf("%s: got %v", wider, err)
		}
		if alive := s.github.AliveTokens(); len(alive) != 0 {
			t.Errorf("%s: the token is still alive", wider)
		}
	}
}

func TestReaderRefusesWhatDiffersOtherwise(t *testing.T) {
	const good = `{"token":"ghs_x","expires_at":"2026-11-23T13:00:00Z","permissions":{"contents":"read","metadata":"read"},
		"repository_selection":"selected","repositories":[{"id":3001,"name":"web","owner":{"id":1001,"login":"acme"}}]}`
	for name, change := range map[string][2]string{
		"as asked":              {"", ""},
		"another repository":    {`"name":"web"`, `"name":"api"`},
		"another owner":         {`"login":"acme"`, `"login":"rival"`},
		"no repositories":       {`"repositories":[`, `"x":[`},
		"all repositories":      {`"selected"`, `"all"`},
		"no selection":          {`"repository_selection"`, `"x"`},
		"fewer permissions":     {`"contents":"read",`, ``},
		"metadata to write":     {`"metadata":"read"`, `"metadata":"write"`},
		"a level nobody knows":  {`"contents":"read"`, `"contents":"wonderful"`},
		"a name nobody knows":   {`"metadata":"read"`, `"metadata":"read","wonders":"read"`},
		"dead on arrival":       {`T13:00:00Z`, `T12:00:00Z`},
		"no end":                {`"expires_at"`, `"x"`},
		"an end that is none":   {`"2026-11-23T13:00:00Z"`, `"soon"`},
		"permissions of a kind": {`{"contents":"read","metadata":"read"}`, `[]`},
	} {
		var ended bool
		api := answering(t, func(w http.ResponseWriter, r *http.Request) {
			if ended = ended || r.Method == http.MethodDelete; r.Method == http.MethodDelete {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, strings.Replace(good, change[0], change[1], 1))
		})
		c := newClient(t, api, func(o *githubapp.Options) { o.Now = (&clock{}).now })
		_, _, err := c.Reader(t.Context(), "acme", []string{"web"}, contentsRead)
		if name == "as asked" {
			must(t, err)
			continue
		}
		if !problem.Is(err, problem.AnswerTooWide) || !ended {
			t.Errorf("%s: got %v, ended %v", name, err, ended)
		}
	}
}

func TestReaderRefusesNamesThatAreNone(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{"", ".", "..", "a/b", `a","b`, "a b", "ä", strings.Repeat("x", 101)} {
		if _, _, err := s.client.Reader(t.Context(), "acme", []string{name}, contentsRead); !problem.Is(err, problem.NotInstalled) {
			t.Errorf("%q: got %v", name, err)
		}
		if _, err := s.client.Installation(t.Context(), "acme", name); !problem.Is(err, problem.NotInstalled) {
			t.Errorf("%q: got %v", name, err)
		}
	}
	if len(s.github.Calls()) != 0 {
		t.Errorf("calls: %v", s.github.Calls())
	}
}

func TestReadFile(t *testing.T) {
	s := newStage(t)
	content := bytes.Repeat([]byte("policy\n"), 100)
	blob, err := s.github.PutFile("acme", "web", ".github/curfew.yaml", content)
	must(t, err)
	token := s.reader(t, "web")
	read := func(etag string) githubapp.File {
		t.Helper()
		f, err := s.client.ReadFile(t.Context(), token, "acme", "web", ".github/curfew.yaml", etag)
		must(t, err)
		return f
	}
	first := read("")
	if diff := cmp.Diff(githubapp.File{Content: content, Blob: blob, ETag: first.ETag}, first); diff != "" || first.ETag == "" {
		t.Errorf("%s (etag %q)", diff, first.ETag)
	}
	if again := read(first.ETag); !again.NotModified || again.Content != nil {
		t.Errorf("with its etag: %+v", again)
	}
	_, err = s.github.PutFile("acme", "web", ".github/curfew.yaml", []byte("other"))
	must(t, err)
	if changed := read(first.ETag); changed.NotModified || string(changed.Content) != "other" {
		t.Errorf("after a change: %+v", changed)
	}
}

func TestOnlyAFileThatIsNotThereIsNotFound(t *testing.T) {
	s := newStage(t)
	token := s.reader(t, "web")
	must(t, s.github.RenameRepository("acme", "api", "api-two"))
	moved := s.reader(t, "api-two")
	for name, c := range map[string]struct {
		token            secret.Text
		repository, path string
		code             problem.Code
		kind             error
	}{
		"a file that is not there":           {token, "web", "curfew.yaml", problem.NotFound, nil},
		"a repository out of reach":          {token, "secret", "curfew.yaml", problem.GitHubError, githubapp.ErrHidden},
		"a repository that does not exist":   {token, "nothing", "curfew.yaml", problem.GitHubError, githubapp.ErrHidden},
		"a repository under its former name": {moved, "api", "curfew.yaml", problem.GitHubError, githubapp.ErrHidden},
		"a dead token":                       {tokenOf("ghs_x"), "web", "curfew.yaml", problem.GitHubError, githubapp.ErrTokenDead},
		"a path that leads elsewhere":        {token, "web", "../secret/curfew.yaml", problem.GitHubError, githubapp.ErrNotAFile},
		"a name that leads elsewhere":        {token, "..", "curfew.yaml", problem.GitHubError, githubapp.ErrNotAFile},
	} {
		_, err := s.client.ReadFile(t.Context(), c.token, "acme", c.repository, c.path, "")
		if !problem.Is(err, c.code) || !errors.Is(err, c.kind) && c.kind != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	s.github.Inject(simulator.Fault{Route: "repository", Status: 503})
	if _, err := s.client.ReadFile(t.Context(), token, "acme", "web", "curfew.yaml", ""); !problem.Is(err, problem.GitHubError) {
		t.Errorf("a 404 that could not be confirmed: got %v", err)
	}
}

func TestReadFileTakesFilesOnly(t *testing.T) {
	encoded := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	file := func(kind, encoding, content string, size int) string {
		return fmt.Sprintf(`{"type":%q,"encoding":%q,"content":%q,"sha":"abc","size":%d}`, kind, encoding, content, size)
	}
	for name, c := range map[string]struct {
		body string
		ok   bool
		kind error
	}{
		"an empty file":             {file("file", "base64", "", 0), true, nil},
		"64 KiB":                    {file("file", "base64", encoded(64<<10), 64<<10), true, nil},
		"a byte more":               {file("file", "base64", encoded(64<<10+1), 64<<10+1), false, githubapp.ErrNotAFile},
		"over a megabyte":           {file("file", "none", "", 2<<20), false, githubapp.ErrNotAFile},
		"a directory":               {`[{"type":"file"}]`, false, githubapp.ErrNotAFile},
		"a symbolic link":           {file("symlink", "base64", "", 0), false, githubapp.ErrNotAFile},
		"a submodule":               {file("submodule", "base64", "", 0), false, githubapp.ErrNotAFile},
		"an answer beyond measure":  {`"` + strings.Repeat("x", 300<<10) + `"`, false, githubapp.ErrNotAFile},
		"content cut short":         {file("file", "base64", encoded(9), 12), false, nil},
		"content that is no base64": {file("file", "base64", "!!!!", 3), false, nil},
		"another encoding":          {file("file", "utf-8", "abc", 3), false, nil},
		"no object id":              {strings.Replace(file("file", "base64", "", 0), "abc", "", 1), false, nil},
		"no JSON":                   {`<html>`, false, nil},
		"unchanged, though unasked": {"304", false, nil},
	} {
		api := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.body == "304" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = io.WriteString(w, c.body)
		})
		got, err := newClient(t, api, nil).ReadFile(t.Context(), tokenOf("ghs_x"), "acme", "web", "a", "")
		if (err == nil) != c.ok || c.kind != nil && !errors.Is(err, c.kind) || c.kind == nil && errors.Is(err, githubapp.ErrNotAFile) {
			t.Errorf("%s: got %d bytes, %v", name, len(got.Content), err)
		}
		if problem.Is(err, problem.NotFound) {
			t.Errorf("%s: counts as not there", name)
		}
	}
}

func TestInstallationIsRememberedForTenMinutes(t *testing.T) {
	s := newStage(t)
	find := func(owner, repository string, calls int) {
		t.Helper()
		got, err := s.client.Installation(t.Context(), owner, repository)
		must(t, err)
		if diff := cmp.Diff(githubapp.Installation{ID: s.installation.ID, Owner: "acme", OwnerID: 1001}, got); diff != "" {
			t.Error(diff)
		}
		if n := s.routes()["installation"]; n != calls {
			t.Errorf("%d calls, want %d", n, calls)
		}
	}
	find("acme", "web", 1)
	find("ACME", "api", 1)
	s.clock.advance(10*time.Minute - time.Second)
	find("acme", "web", 1)
	s.clock.advance(time.Second)
	find("acme", "web", 2)
}

func TestInstallationRefusals(t *testing.T) {
	s := newStage(t)
	for name, repository := range map[string]string{"of another owner's App": "web", "unknown": "nothing"} {
		_, err := s.client.Installation(t.Context(), "rival", repository)
		if p := problem.From(err); p.Code != problem.NotInstalled || !strings.Contains(p.Hint, "rival/"+repository) {
			t.Errorf("%s: got %v (%s)", name, err, p.Hint)
		}
	}
	must(t, s.github.RenameRepository("acme", "api", "api-two"))
	if _, err := s.client.Installation(t.Context(), "acme", "api"); !problem.Is(err, problem.NotInstalled) {
		t.Errorf("under a former name: got %v", err)
	}
	other := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":5,"account":{"login":"rival","id":1002}}`)
	}))
	if _, err := newClient(t, other, nil).Installation(t.Context(), "acme", "web"); !problem.Is(err, problem.GitHubError) {
		t.Errorf("another owner's: got %v", err)
	}
	must(t, s.github.Suspend(s.installation.ID, true))
	if _, err := s.client.Installation(t.Context(), "acme", "web"); !problem.Is(err, problem.InstallationSuspended) {
		t.Errorf("suspended: got %v", err)
	}
	must(t, s.github.Suspend(s.installation.ID, false))
	if _, err := s.client.Installation(t.Context(), "acme", "web"); err != nil {
		t.Errorf("a refusal was remembered: %v", err)
	}
}

func TestManyCallersShareOneLookUpThatOutlivesTheFirst(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	var calls int
	var mu sync.Mutex
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/acme/web/installation", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		calls++
		mu.Unlock()
		close(asked)
		<-goOn
		_, _ = io.WriteString(w, `{"id":5,"account":{"login":"acme","id":1001}}`)
	})
	c := newClient(t, serve(t, mux), nil)
	first, giveUp := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := c.Installation(first, "acme", "web")
		gone <- err
	}()
	<-asked
	giveUp()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the first caller got %v", err)
	}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if got, err := c.Installation(t.Context(), "acme", "web"); err != nil || got.ID != 5 {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	close(goOn)
	callers.Wait()
	if calls != 1 {
		t.Errorf("%d look-ups", calls)
	}
}
