package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// actRuns is every example as nektos/act runs it: another runner than ours, with
// real containers. What act leaves out is the hard part: it sets no OIDC variables,
// and hands post no state.
var actRuns = []struct {
	file       string // the example
	repository string // of acme's, and the file there that the example stands for
	as         string
	options    []string
	job        func(*simulator.Job)
	leaves     []string
	fails      string // the route of GitHub that is down
}{
	{"release.yml", "web", "release.yml", nil, nil, []string{"web refs/tags/v1.2.3"}, ""},
	{"release.yml", "web", "release.yml", nil, nil, nil, "create_ref"},
	{"release-with-gh.yml", "web", "release.yml", nil, nil, []string{"web refs/tags/v1.2.3", "web release v1.2.3"}, ""},
	{"private-ca.yml", "web", "release.yml", nil, nil, []string{"web refs/tags/v1.2.3", "web release v1.2.3"}, ""},
	{"reusable-caller.yml", "web", "release.yml", nil, func(j *simulator.Job) {
		j.JobWorkflowRef = "acme/ops/.github/workflows/publish.yml@refs/heads/main"
	}, []string{"web refs/tags/v1.2.3", "web release v1.2.3"}, ""},
	{"deploy.yml", "ops", "deploy.yml", nil, func(j *simulator.Job) { j.Environment = "production" }, []string{"web deployed"}, ""},
	{"several-repositories.yml", "ops", "sync.yml", nil, nil, []string{"web SECURITY.md", "api SECURITY.md"}, ""},
	{"matrix.yml", "ops", "sync.yml", []string{"--matrix", "repository:web"}, nil, []string{"web refs/tags/synced"}, ""},
	{"matrix.yml", "ops", "sync.yml", []string{"--matrix", "repository:api"}, nil, []string{"api refs/tags/synced"}, ""},
}

func TestActRunsTheExamples(t *testing.T) {
	if os.Getenv("CURFEW_ACT") == "" {
		t.Skip("it takes minutes: .ci/act runs it")
	}
	needs(t, "docker", "act", "git")
	for _, row := range actRuns {
		t.Run(strings.Join(append([]string{row.file, row.fails}, row.options...), " "), func(t *testing.T) {
			p := newPublicWorld(t)
			if row.fails != "" {
				p.github.Inject(simulator.Fault{Route: row.fails, Status: http.StatusBadGateway})
			}
			a := p.newAct(row.file, row.repository, row.as)
			job := p.job(func(j *simulator.Job) {
				j.Repo, j.WorkflowPath = row.repository, ".github/workflows/"+row.as
				if row.job != nil {
					row.job(j)
				}
			})
			log, err := a.run(job, row.options)
			if (err == nil) != (row.fails == "") {
				t.Errorf("act ends with %v:\n%s", err, log)
			}
			p.checkLeft(row.leaves)
			p.checkDead(log, 1)
			if strings.Contains(log, job.IDTokenRequestToken) {
				t.Error("the log shows the request token")
			}
		})
	}
}

// An actStage is what act needs to run one example: a clone with the workflow in it,
// the shared workflow's repository, and the action.
type actStage struct {
	*publicWorld
	clone, ops, action string
}

func (p *publicWorld) newAct(example, repository, as string) *actStage {
	p.t.Helper()
	a := &actStage{publicWorld: p, clone: filepath.Join(p.dir, "clone"), ops: filepath.Join(p.dir, "ops")}
	p.putPolicy(repository, ".github/workflows/"+as, p.workflow(example))
	called := filepath.Join(a.ops, ".github", "workflows", "publish.yml")
	p.must(os.MkdirAll(filepath.Dir(called), 0o700))
	p.must(os.WriteFile(called, []byte(p.workflow("reusable-called.yml")), 0o600))
	a.cloneOf(repository)
	if example == "private-ca.yml" {
		a.action, _ = filepath.Abs(filepath.Join("..", "..")) // act builds the image itself
	} else {
		a.action = a.release()
	}
	return a
}

func (p *publicWorld) workflow(example string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(exampleWorkflows, example))
	p.must(err)
	return string(text)
}

// cloneOf clones a repository with a token that can read it, and no more.
func (a *actStage) cloneOf(name string) {
	a.t.Helper()
	id := map[string]int64{"web": 3002, "ops": 3001}[name]
	token, _, err := a.server.github.Mint(a.t.Context(), scope.Scope{
		Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: id, Name: name}},
		Permissions: scope.Permissions{"contents": scope.Read},
	})
	a.must(err)
	git := func(arguments ...string) {
		command := exec.CommandContext(a.t.Context(), "git", arguments...)
		command.Env = append(os.Environ(), "HTTPS_PROXY="+a.proxy, "GIT_SSL_CAINFO="+a.authority)
		if out, err := command.CombinedOutput(); err != nil {
			a.t.Fatalf("git %s: %v\n%s", arguments[0], err, out)
		}
	}
	git("clone", "--quiet", "https://x-access-token:"+token.Reveal()+"@github.com/acme/"+name+".git", a.clone)
	git("-C", a.clone, "remote", "set-url", "origin", "https://github.com/acme/"+name)
	_, err = a.server.github.Revoke(a.t.Context(), token)
	a.must(err)
}

// release makes the action as a release publishes it: action.yml names an image,
// here one that trusts the test's authority besides the public ones.
func (a *actStage) release() string {
	a.t.Helper()
	dir := filepath.Join(a.dir, "action")
	a.must(os.MkdirAll(dir, 0o700))
	image := fmt.Sprintf("curfew-action-trusting:%d", time.Now().UnixNano())
	a.must(os.WriteFile(filepath.Join(dir, "ca.pem"), a.github.CA, 0o600))
	a.must(os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM curfew-action:test\nCOPY ca.pem /etc/ssl/certs/ca-certificates.crt\n"), 0o600))
	build := exec.CommandContext(a.t.Context(), "docker", "build", "--quiet", "--tag", image, dir)
	build.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	if out, err := build.CombinedOutput(); err != nil {
		a.t.Fatalf("%v\n%s", err, out)
	}
	a.t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "--force", image).Run() }) // a left image costs little
	metadata, err := os.ReadFile("../../action.yml")
	a.must(err)
	pinned := strings.Replace(string(metadata), "image: Dockerfile", "image: docker://"+image, 1)
	a.must(os.WriteFile(filepath.Join(dir, "action.yml"), []byte(pinned), 0o600))
	return dir
}

// run runs act, and returns what it printed.
func (a *actStage) run(job simulator.StartedJob, options []string) (string, error) {
	ctx, cancel := context.WithTimeout(a.t.Context(), 5*time.Minute)
	defer cancel()
	arguments := append([]string{
		"push", "-C", a.clone, "-W", ".github/workflows/" + filepath.Base(job.WorkflowPath),
		"-P", "ubuntu-latest=curfew-act-job:test", "--pull=false", "--action-offline-mode", "--action-cache-path", filepath.Join(a.dir, "cache"),
		"--container-daemon-socket", "-", "--no-cache-server", "--network", "host", "--rm",
		"--container-options", "-v " + a.authority + ":/ca.pem:ro",
		"--local-repository", "curfew-dev/curfew@v1=" + a.action, "--local-repository", "acme/ops@main=" + a.ops,
		"--var", "CURFEW_CA=" + string(a.github.CA),
		"--env", "ACTIONS_ID_TOKEN_REQUEST_URL=" + job.IDTokenURL, "--env", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + job.IDTokenRequestToken,
		"--env", fmt.Sprintf("GITHUB_RUN_ID=%d", job.RunID), "--env", "HTTPS_PROXY=" + a.proxy,
		"--env", "SSL_CERT_FILE=/ca.pem", "--env", "GIT_SSL_CAINFO=/ca.pem", "--env", "CURL_CA_BUNDLE=/ca.pem",
	}, options...)
	command := exec.CommandContext(ctx, "act", arguments...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.dir}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 30 * time.Second
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	err := command.Run()
	return log.String(), err
}
