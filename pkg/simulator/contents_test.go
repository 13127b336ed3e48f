package simulator_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

func TestReadingAFile(t *testing.T) {
	s := newStage(t)
	content := strings.Repeat("a line of a policy\n", 20)
	sha, err := s.PutFile("acme", "web", ".github/curfew.yaml", []byte(content))
	s.must(err)
	token := s.mint(object{"contents": "read"}, "web")
	const path = "/repos/acme/web/contents/.github/curfew.yaml"

	file := s.ask("GET", path, token, nil).json(t)
	encoded := strings.ReplaceAll(file["content"].(string), "\n", "")
	if decoded, err := base64.StdEncoding.DecodeString(encoded); err != nil || string(decoded) != content {
		t.Errorf("the content came back as %q, %v", decoded, err)
	}
	if file["sha"] != sha || file["type"] != "file" || file["encoding"] != "base64" {
		t.Errorf("got sha %v, type %v, encoding %v", file["sha"], file["type"], file["encoding"])
	}
	if raw := s.ask("GET", path, token, nil, "Accept", "application/vnd.github.raw+json"); string(raw.body) != content {
		t.Errorf("raw: got %q", raw.body)
	}
	for ref, want := range map[string]int{"main": 200, "refs/heads/main": 200, "HEAD": 200, "topic": 404} {
		if r := s.ask("GET", path+"?ref="+ref, token, nil); r.StatusCode != want {
			t.Errorf("ref %s: got %d, want %d", ref, r.StatusCode, want)
		}
	}
	s.must(s.RemoveFile("acme", "web", ".github/curfew.yaml"))
	if r := s.ask("GET", path, token, nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("after its removal: got %d, want 404", r.StatusCode)
	}
}

// git hash-object says so, too.
func TestABlobsIDIsGits(t *testing.T) {
	s := newStage(t)
	sha, err := s.PutFile("acme", "web", "f", []byte("hello\n"))
	s.must(err)
	if want := "ce013625030ba8dba906f756967f9e9ca394464a"; sha != want {
		t.Errorf("got %s, want %s", sha, want)
	}
}

func TestALargeFileHasNoInlineContent(t *testing.T) {
	s := newStage(t)
	_, err := s.PutFile("acme", "web", "large", make([]byte, 1<<20+1))
	s.must(err)
	file := s.ask("GET", "/repos/acme/web/contents/large", s.mint(nil, "web"), nil).json(t)
	if file["encoding"] != "none" || file["content"] != "" {
		t.Errorf("got encoding %v and %d characters", file["encoding"], len(file["content"].(string)))
	}
}

func TestAnUnchangedFileCostsNoRateLimit(t *testing.T) {
	s := newStage(t)
	_, err := s.PutFile("acme", "web", "f", []byte("one"))
	s.must(err)
	token := s.mint(object{"contents": "read"}, "web")
	const path = "/repos/acme/web/contents/f"

	first := s.ask("GET", path, token, nil)
	etag := first.Header.Get("ETag")
	used := first.Header.Get("X-RateLimit-Used")
	same := s.ask("GET", path, token, nil, "If-None-Match", `"other", `+etag)
	if same.StatusCode != http.StatusNotModified || len(same.body) != 0 || same.Header.Get("ETag") != etag {
		t.Errorf("unchanged: got %d, ETag %s, %q; want 304, %s and no body", same.StatusCode, same.Header.Get("ETag"), same.body, etag)
	}
	if got := same.Header.Get("X-RateLimit-Used"); got != used {
		t.Errorf("a 304 raised the calls used from %s to %s", used, got)
	}
	_, err = s.PutFile("acme", "web", "f", []byte("two"))
	s.must(err)
	changed := s.ask("GET", path, token, nil, "If-None-Match", etag)
	if changed.StatusCode != http.StatusOK || changed.Header.Get("X-RateLimit-Used") == used {
		t.Errorf("changed: got %d with %s used, want 200 and one more", changed.StatusCode, changed.Header.Get("X-RateLimit-Used"))
	}
}

func TestARateLimitThatIsSetHolds(t *testing.T) {
	s := newStage(t)
	token, sibling := s.mint(nil, "web"), s.mint(nil, "api")
	s.SetRateLimit(2)
	for i, row := range []struct {
		token string
		want  int
	}{{token, 200}, {sibling, 200}, {token, 403}, {sibling, 403}} {
		r := s.ask("GET", "/installation/repositories", row.token, nil)
		if r.StatusCode != row.want {
			t.Errorf("call %d of the installation: got %d %q, want %d", i+1, r.StatusCode, r.message(), row.want)
		}
	}
}

func TestWhatATokensPermissionsAllow(t *testing.T) {
	s := newStage(t)
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	tokens := map[string]string{
		"nothing": s.mint(object{"metadata": "read"}, "web"), "reader": s.mint(object{"contents": "read"}, "web"),
		"writer": s.mint(object{"contents": "write"}, "web"), "watcher": s.mint(object{"actions": "read"}, "web"),
		"clerk": s.mint(object{"issues": "read"}, "web"), "elsewhere": s.mint(object{"contents": "write"}, "api"),
		"deployer": s.mint(object{"deployments": "write"}, "web"),
	}
	ref := object{"ref": "refs/tags/v1", "sha": job.SHA}
	jobPath := fmt.Sprint("/repos/acme/web/actions/jobs/", job.ID)
	for _, row := range []struct {
		who, method, path string
		body              any
		want              int
		needs             string
	}{
		{"nothing", "GET", "/repos/acme/web", nil, 200, "metadata=read"},
		{"nothing", "GET", "/repos/acme/web/contents", nil, 403, "contents=read"},
		{"reader", "GET", "/repos/acme/web/contents/", nil, 200, "contents=read"},
		{"reader", "POST", "/repos/acme/web/git/refs", ref, 403, "contents=write"},
		{"elsewhere", "POST", "/repos/acme/web/git/refs", ref, 404, ""},
		{"writer", "POST", "/repos/acme/web/git/refs", ref, 201, "contents=write"},
		{"reader", "POST", "/repos/acme/web/releases", object{"tag_name": "v2"}, 403, "contents=write"},
		{"writer", "POST", "/repos/acme/web/releases", object{"tag_name": "v2"}, 201, "contents=write"},
		{"writer", "GET", "/repos/acme/web/issues", nil, 403, "issues=read"},
		{"clerk", "GET", "/repos/acme/web/issues", nil, 200, "issues=read"},
		{"clerk", "POST", "/repos/acme/web/issues", object{"title": "x"}, 403, "issues=write"},
		{"writer", "POST", "/repos/acme/web/deployments", object{"ref": "main"}, 403, "deployments=write"},
		{"deployer", "POST", "/repos/acme/web/deployments", object{"ref": "main"}, 201, "deployments=write"},
		{"deployer", "POST", "/repos/acme/web/deployments", object{"ref": "none"}, 422, "deployments=write"},
		{"writer", "GET", jobPath, nil, 403, "actions=read"},
		{"watcher", "GET", jobPath, nil, 200, "actions=read"},
	} {
		t.Run(fmt.Sprint(row.who, " ", row.method, " ", row.path), func(t *testing.T) {
			r := s.ask(row.method, row.path, tokens[row.who], row.body)
			if r.StatusCode != row.want {
				t.Errorf("got %d %s, want %d", r.StatusCode, r.body, row.want)
			}
			if row.want == 403 && r.message() != "Resource not accessible by integration" {
				t.Errorf("got the message %q", r.message())
			}
			if got := r.Header.Get("X-Accepted-GitHub-Permissions"); got != row.needs {
				t.Errorf("needs %q, want %q", got, row.needs)
			}
		})
	}
}

func TestCreatingRefs(t *testing.T) {
	s := newStage(t)
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	token := s.mint(object{"contents": "write"}, "web")
	for _, row := range []struct {
		ref, sha string
		want     int
	}{
		{"refs/tags/v1", job.SHA, 201},
		{"refs/tags/v1", job.SHA, 422},
		{"refs/tags/v2", strings.Repeat("0", 40), 422},
		{"v3", job.SHA, 422},
		{"refs/v3", job.SHA, 422},
		{"refs/heads/a..b", job.SHA, 422},
		{"refs/heads/a b", job.SHA, 422},
		{"refs/heads/a.lock", job.SHA, 422},
		{"refs/heads/topic/a", job.SHA, 201},
	} {
		r := s.ask("POST", "/repos/acme/web/git/refs", token, object{"ref": row.ref, "sha": row.sha})
		if r.StatusCode != row.want {
			t.Errorf("%s at %.7s: got %d %s, want %d", row.ref, row.sha, r.StatusCode, r.body, row.want)
		}
	}
}

func TestAJobIsFoundInItsOwnRepositoryOnly(t *testing.T) {
	s := newStage(t)
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	token := s.mint(object{"actions": "read"})
	for _, path := range []string{
		fmt.Sprint("/actions/jobs/", job.ID), fmt.Sprint("/actions/runs/", job.RunID), fmt.Sprintf("/actions/runs/%d/attempts/1/jobs", job.RunID),
	} {
		for repo, want := range map[string]int{"web": 200, "api": 404} {
			if r := s.ask("GET", "/repos/acme/"+repo+path, token, nil); r.StatusCode != want {
				t.Errorf("%s%s: got %d, want %d", repo, path, r.StatusCode, want)
			}
		}
	}
}

func TestARunIsOverWhenItsLastAttemptIs(t *testing.T) {
	s := newStage(t)
	start := func(j simulator.Job) simulator.StartedJob {
		j.Owner, j.Repo = "acme", "web"
		started, err := s.StartJob(j)
		s.must(err)
		return started
	}
	first := start(simulator.Job{})
	again := start(simulator.Job{RunID: first.RunID, RunAttempt: 2})
	leg := start(simulator.Job{RunID: first.RunID, RunAttempt: 2})
	token := s.mint(object{"actions": "read"}, "web")
	expect := func(when, status string, conclusion any) {
		t.Helper()
		run := s.ask("GET", fmt.Sprint("/repos/acme/web/actions/runs/", first.RunID), token, nil).json(t)
		if run["run_attempt"] != 2.0 || run["status"] != status || run["conclusion"] != conclusion {
			t.Errorf("%s: attempt %v is %v with %v", when, run["run_attempt"], run["status"], run["conclusion"])
		}
	}
	s.must(s.FinishJob(first.ID, "cancelled"))
	expect("the first attempt over", "in_progress", nil)
	s.must(s.FinishJob(again.ID, "success"))
	expect("one leg over", "in_progress", nil)
	s.must(s.FinishJob(leg.ID, "failure"))
	expect("both legs over", "completed", "failure")
}

func TestARenamedRepositoryAnswers301(t *testing.T) {
	s := newStage(t)
	_, err := s.PutFile("acme", "web", "f", []byte("text"))
	s.must(err)
	token := s.mint(object{"contents": "read"}, "web")
	s.must(s.RenameRepository("acme", "web", "site"))
	for _, prefix := range []string{"", "/api/v3"} {
		old := s.ask("GET", prefix+"/repos/acme/web/contents/f?ref=main", token, nil)
		location := old.Header.Get("Location")
		if old.StatusCode != http.StatusMovedPermanently || !strings.HasSuffix(location, "/repositories/2001/contents/f?ref=main") {
			t.Fatalf("the old name: got %d to %s", old.StatusCode, location)
		}
		if r := s.ask("GET", strings.TrimPrefix(location, s.URL), token, nil); r.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d, want 200", location, r.StatusCode)
		}
	}
	if r := s.ask("GET", "/repos/acme/site", token, nil); r.json(t)["full_name"] != "acme/site" {
		t.Errorf("the new name: got %s", r.body)
	}
	if r := s.ask("GET", "/repos/acme/web/installation", s.assertion(nil), nil); r.StatusCode != http.StatusMovedPermanently {
		t.Errorf("its installation by the old name: got %d, want 301", r.StatusCode)
	}
	_, err = s.AddRepository(simulator.Repository{Owner: "acme", Name: "web"})
	s.must(err)
	if r := s.ask("GET", "/repos/acme/web", token, nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("another repository of the old name: got %d, want 404", r.StatusCode)
	}
}

func TestTheBotOfAnApp(t *testing.T) {
	s := newStage(t)
	bot := s.ask("GET", "/users/curfew%5Bbot%5D", "", nil).json(t)
	if bot["login"] != "curfew[bot]" || bot["type"] != "Bot" || bot["id"].(float64) <= 0 {
		t.Errorf("got %v", bot)
	}
	if r := s.ask("GET", "/users/nobody", "", nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("nobody: got %d, want 404", r.StatusCode)
	}
}
