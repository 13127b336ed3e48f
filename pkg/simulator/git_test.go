package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// needs skips the test on a machine without a program that CI has.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI has no %s", program)
	}
	t.Skipf("%s is not installed", program)
}

// A desk is a folder of somebody who works with git.
type desk struct {
	*stage
	dir string
	env []string
}

func newDesk(s *stage) *desk {
	s.t.Helper()
	needs(s.t, "git")
	dir := s.t.TempDir()
	return &desk{stage: s, dir: dir, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}}
}

// try runs git in the desk's clone, or beside it when there is none yet.
func (d *desk) try(arguments ...string) (string, error) {
	command := exec.CommandContext(d.t.Context(), "git", arguments...)
	command.Env, command.Dir = d.env, d.dir
	if _, err := os.Stat(filepath.Join(d.dir, "web")); err == nil {
		command.Dir = filepath.Join(d.dir, "web")
	}
	out, err := command.CombinedOutput()
	return string(bytes.TrimSpace(out)), err
}

func (d *desk) git(arguments ...string) string {
	d.t.Helper()
	out, err := d.try(arguments...)
	if err != nil {
		d.t.Fatalf("git %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return out
}

// remote is the clone URL of a repository with a token in it.
func (s *stage) remote(repository, token string) string {
	scheme, host, _ := strings.Cut(s.URL, "://")
	return scheme + "://x-access-token:" + token + "@" + host + "/" + repository + ".git"
}

func TestGitClonesWhatTheAPIShows(t *testing.T) {
	s := newStage(t)
	for path, content := range map[string]string{"README.md": "# web\n", "a/b/c.txt": "deep\n", "a.txt": "beside a\n"} {
		_, err := s.PutFile("acme", "web", path, []byte(content))
		s.must(err)
	}
	d := newDesk(s)
	d.git("clone", s.remote("acme/web", s.mint(object{"contents": "read"}, "web")), "web")
	if got, want := d.git("ls-files"), "README.md\na.txt\na/b/c.txt"; got != want {
		t.Errorf("the clone has %q, want %q", got, want)
	}
	if got := d.git("show", "HEAD:a/b/c.txt"); got != "deep" {
		t.Errorf("a file came as %q", got)
	}
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	if head := d.git("rev-parse", "HEAD"); head != job.SHA {
		t.Errorf("git's head is %s, a job's commit %s", head, job.SHA)
	}
	if out := d.git("fsck", "--strict"); strings.Contains(out, "error") {
		t.Error(out)
	}
}

func TestAPushShowsInTheAPI(t *testing.T) {
	s := newStage(t)
	_, err := s.PutFile("acme", "web", "old.txt", []byte("old\n"))
	s.must(err)
	s.listen()
	d := newDesk(s)
	token := s.mint(object{"contents": "write"}, "web")
	d.git("clone", s.remote("acme/web", token), "web")
	s.must(os.WriteFile(filepath.Join(d.dir, "web", "new.txt"), bytes.Repeat([]byte("new\n"), 1<<19), 0o644))
	d.git("rm", "old.txt")
	d.git("add", "new.txt")
	d.git("commit", "-m", "Change")
	d.git("tag", "light")
	d.git("tag", "-a", "-m", "heavy", "heavy")
	d.git("push", "origin", "main", "light", "heavy")

	head := d.git("rev-parse", "HEAD")
	for ref, want := range map[string]string{"heads/main": "commit", "tags/light": "commit", "tags/heavy": "tag"} {
		r := s.ask("GET", "/repos/acme/web/git/ref/"+ref, token, nil).json(t)["object"].(object)
		if r["type"] != want || (want == "commit" && r["sha"] != head) {
			t.Errorf("%s is %v, want a %s", ref, r, want)
		}
	}
	if r := s.ask("GET", "/repos/acme/web/contents/old.txt", token, nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("the removed file: got %d", r.StatusCode)
	}
	if r := s.ask("GET", "/repos/acme/web/contents/new.txt", token, nil, "Accept", "application/vnd.github.raw+json"); len(r.body) != 4<<19 {
		t.Errorf("the new file has %d bytes", len(r.body))
	}
	if r := s.ask("POST", "/repos/acme/web/git/refs", token, object{"ref": "refs/tags/by-api", "sha": head}); r.StatusCode != http.StatusCreated {
		t.Errorf("a ref at the pushed commit: got %d %s", r.StatusCode, r.body)
	}
	if out := d.git("ls-remote", "origin", "refs/tags/by-api"); !strings.HasPrefix(out, head) {
		t.Errorf("git sees the API's tag as %q", out)
	}
	d.git("push", "origin", ":light")
	if r := s.ask("GET", "/repos/acme/web/git/ref/tags/light", token, nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("the deleted tag: got %d", r.StatusCode)
	}
	var told []string
	for _, delivery := range s.Deliveries() {
		var push struct {
			Ref              string
			Created, Deleted bool
		}
		s.must(json.Unmarshal(delivery.Payload, &push))
		told = append(told, fmt.Sprintf("%s %s created=%t deleted=%t", delivery.Event, push.Ref, push.Created, push.Deleted))
	}
	if diff := cmp.Diff([]string{
		"push refs/heads/main created=false deleted=false", "push refs/tags/heavy created=true deleted=false",
		"push refs/tags/light created=true deleted=false", "push refs/tags/light created=false deleted=true",
	}, told); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestWhatGitMayDo(t *testing.T) {
	s := newStage(t)
	d := newDesk(s)
	write := s.mint(object{"contents": "write"}, "web")
	d.git("clone", s.remote("acme/web", write), "web")
	d.git("tag", "v1")
	revoked := s.mint(object{"contents": "write"}, "web")
	s.ask("DELETE", "/installation/token", revoked, nil)
	tokens := map[string]string{
		"write": write, "read": s.mint(object{"contents": "read"}, "web"), "issues": s.mint(object{"issues": "read"}, "web"),
		"elsewhere": s.mint(object{"contents": "write"}, "api"), "revoked": revoked, "invented": "ghs_invented",
	}
	const unable, failed = "The requested URL returned error: 403", "fatal: Authentication failed"
	for _, row := range []struct{ token, verb, says, fatal string }{
		{"write", "fetch", "", ""},
		{"write", "push", "", ""},
		{"read", "fetch", "", ""},
		{"read", "push", "remote: Permission to acme/web.git denied to curfew[bot].", unable},
		{"issues", "fetch", "remote: Write access to repository not granted.", unable},
		{"issues", "push", "remote: Write access to repository not granted.", unable},
		{"elsewhere", "fetch", "remote: Repository not found.", "not found"},
		{"elsewhere", "push", "remote: Repository not found.", "not found"},
		{"revoked", "fetch", "remote: Invalid username or token.", failed},
		{"revoked", "push", "remote: Invalid username or token.", failed},
		{"invented", "fetch", "remote: Invalid username or token.", failed},
	} {
		t.Run(row.token+" "+row.verb, func(t *testing.T) {
			arguments := []string{row.verb, s.remote("acme/web", tokens[row.token]), "refs/heads/main"}
			if row.verb == "push" {
				arguments[2] = "v1:refs/tags/of-" + row.token
			}
			out, err := d.try(arguments...)
			if (err == nil) != (row.says == "") || !strings.Contains(out, row.says) || !strings.Contains(out, row.fatal) {
				t.Errorf("%v: %s", err, out)
			}
			if r := s.ask("GET", "/repos/acme/web/git/ref/tags/of-"+row.token, write, nil); r.StatusCode == http.StatusOK && row.says != "" {
				t.Error("the tag was pushed nevertheless")
			}
		})
	}
}

func TestATokenDiesForGitToo(t *testing.T) {
	s := newStage(t)
	d := newDesk(s)
	token := s.mint(object{"contents": "write"}, "web")
	d.git("clone", s.remote("acme/web", token), "web")
	s.ask("DELETE", "/installation/token", token, nil)
	if out, err := d.try("fetch"); err == nil || !strings.Contains(out, "Authentication failed") {
		t.Errorf("a revoked token fetches: %s", out)
	}
}

func TestGitFollowsARenamedRepository(t *testing.T) {
	s := newStage(t)
	d := newDesk(s)
	token := s.mint(object{"contents": "read"}, "web")
	s.must(s.RenameRepository("acme", "web", "site"))
	d.git("clone", s.remote("acme/web", token), "web")
}

func TestGitWithoutATokenIsAskedForOne(t *testing.T) {
	s := newStage(t)
	for path, want := range map[string]int{
		"/acme/web.git/info/refs?service=git-upload-pack":  http.StatusUnauthorized,
		"/acme/none.git/info/refs?service=git-upload-pack": http.StatusUnauthorized,
		"/acme/web.git/info/refs":                          http.StatusForbidden,
		"/acme/web.git/HEAD":                               http.StatusNotFound,
	} {
		r := s.ask("GET", path, "", nil)
		if r.StatusCode != want || (want == 401) != (r.Header.Get("WWW-Authenticate") == `Basic realm="GitHub"`) {
			t.Errorf("%s: got %d, %v", path, r.StatusCode, r.Header)
		}
	}
}

func TestGitsCallsAreToldAndSpoiltLikeOthers(t *testing.T) {
	s := newStage(t)
	d := newDesk(s)
	token := s.mint(object{"contents": "write"}, "web")
	d.git("clone", s.remote("acme/web", token), "web")
	s.Inject(simulator.Fault{Route: "git_push", Times: 1, Cut: "after"})
	d.git("tag", "v1")
	if out, err := d.try("push", "origin", "v1"); err == nil {
		t.Errorf("the answer wasn't lost: %s", out)
	}
	if r := s.ask("GET", "/repos/acme/web/git/ref/tags/v1", token, nil); r.StatusCode != http.StatusOK {
		t.Errorf("the push whose answer was lost: got %d", r.StatusCode)
	}
	seen := map[string]int{}
	for _, c := range s.Calls() {
		if strings.Contains(c.String(), token) {
			t.Errorf("%s tells the token", c)
		}
		if c.TokenSHA256 != "" {
			seen[c.Route]++
		}
	}
	if seen["git_refs"] < 2 || seen["git_fetch"] == 0 || seen["git_push"] == 0 {
		t.Errorf("calls with a token: %v", seen)
	}
}

func TestWithoutGitItsRoutesSaySo(t *testing.T) {
	s := newStage(t)
	token := s.mint(object{"contents": "read"}, "web")
	t.Setenv("PATH", t.TempDir())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.remote("acme/web", token)+"/info/refs?service=git-upload-pack", nil)
	s.must(err)
	answer, err := http.DefaultClient.Do(r)
	s.must(err)
	s.must(answer.Body.Close())
	if answer.StatusCode != http.StatusNotImplemented {
		t.Errorf("got %d, want 501", answer.StatusCode)
	}
}
