//go:build !slim

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/curfew-dev/curfew/pkg/runner"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// A stage is the little world that the demo plays in: a simulated GitHub with
// one organisation, a real server in a process of its own, the action's binary.
type stage struct {
	self      string // this binary
	root, dir string
	github    *simulator.Server
	server    *exec.Cmd
	serverURL string
	action    string
	runs      int64
	first     elevated
	results   []*runner.Result // of all jobs, in the order they ran
}

func setStage(ctx context.Context, self, root, dir, action string, told *telling) (_ *stage, err error) {
	s := &stage{self: self, root: root, dir: dir, action: action}
	defer func() {
		if err != nil {
			s.strike()
		}
	}()
	told.progress("starting a simulated GitHub")
	if s.github, err = simulator.Start(simulator.Options{}); err != nil {
		return nil, err
	}
	if err := s.populate(); err != nil {
		return nil, fmt.Errorf("set up the simulated GitHub: %w", err)
	}
	told.progress("starting the server")
	if err := s.startServer(ctx); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	return s, nil
}

// buildAction makes the action's binary, unless one was given.
func (s *stage) buildAction(ctx context.Context) error {
	if s.action != "" {
		return nil
	}
	s.action = s.path("curfew-action")
	build := exec.CommandContext(ctx, "go", "build", "-o", s.action, "./cmd/action")
	build.Dir = s.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build ./cmd/action (or give --action PATH): %w\n%s", err, out)
	}
	return nil
}

// populate gives the simulated GitHub an organisation, its repositories with
// the example policies, and the App.
func (s *stage) populate() error {
	g := s.github
	_, err := g.AddOwner(simulator.Owner{ID: 1001, Login: "acme", Type: "Organization"})
	for _, r := range []simulator.Repository{
		{ID: 2001, Owner: "acme", Name: ".github"}, {ID: 3001, Owner: "acme", Name: "ops", Private: true},
		{ID: 3002, Owner: "acme", Name: "web", Private: true}, {ID: 3003, Owner: "acme", Name: "api", Private: true},
	} {
		_, added := g.AddRepository(r)
		err = errors.Join(err, added)
	}
	for repository, file := range map[string][2]string{
		".github": {"curfew.yaml", "organization/curfew.yaml"},
		"web":     {".github/curfew.yaml", "repository/curfew.yaml"},
	} {
		content, read := os.ReadFile(filepath.Join(s.root, "examples", "policies", filepath.FromSlash(file[1])))
		_, put := g.PutFile("acme", repository, file[0], content)
		err = errors.Join(err, read, put)
	}
	app, added := g.AddApp(simulator.App{ID: 7, ClientID: "Iv23demo", Slug: "curfew-demo", Permissions: map[string]string{
		"metadata": "read", "actions": "read", "contents": "write", "issues": "write", "pull_requests": "write", "deployments": "write",
	}})
	_, put := g.Install(simulator.Installation{AppID: 7, Owner: "acme"})
	return errors.Join(err, added, put, os.WriteFile(s.path("app.pem"), app.KeyPEM, 0o600))
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// api is the simulated GitHub's API, under the prefix that GitHub Enterprise Server uses.
func (s *stage) api() string { return s.github.URL + "/api/v3" }

// startServer starts `curfew serve` and waits for the line that says where it listens.
func (s *stage) startServer(ctx context.Context) error {
	s.server = exec.CommandContext(ctx, s.self, "serve",
		"--url", "http://127.0.0.1:0", "--listen", "127.0.0.1:0",
		"--app-id", "Iv23demo", "--app-key", s.path("app.pem"),
		"--github", s.api(), "--issuer", s.github.Issuer(),
		"--policy", filepath.Join(s.root, "examples", "policies", "operator"),
		"--database", "sqlite:"+s.path("curfew.db"), "--log", "info,json")
	s.server.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	s.server.Cancel = func() error { return s.server.Process.Signal(syscall.SIGTERM) }
	s.server.WaitDelay = 20 * time.Second
	output, err := s.server.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.server.Start(); err != nil {
		return err
	}
	log, err := os.OpenFile(s.path("server.log"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.serverURL, err = awaitListening(bufio.NewReader(io.TeeReader(output, log)))
	return err
}

// awaitListening reads the server's log until it says where it listens, and
// leaves a goroutine to read the rest.
func awaitListening(log *bufio.Reader) (string, error) {
	var seen strings.Builder
	for {
		line, err := log.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("it ended before it listened: %s", strings.TrimSpace(seen.String()))
		}
		seen.WriteString(line)
		var entry struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return entry.URL, nil
		}
	}
}

// stopServer asks the server to drain, and waits.
func (s *stage) stopServer() error {
	if s.server == nil || s.server.Process == nil || s.server.ProcessState != nil {
		return nil
	}
	if err := s.server.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.server.Wait()
}

// strike takes the stage down.
func (s *stage) strike() {
	if err := s.stopServer(); err != nil && s.server.Process != nil {
		_ = s.server.Process.Kill() // it may have ended already
	}
	if s.github != nil {
		s.github.Close()
	}
}

// job makes a job of the example workflow at a ref, ready to run.
func (s *stage) job(ref string, with map[string]string) (*runner.Job, error) {
	s.runs++
	const sha = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"
	started, err := s.github.StartJob(simulator.Job{
		Owner: "acme", Repo: "web", RunID: 9000 + s.runs, RunNumber: s.runs, RunAttempt: 1,
		Workflow: "release", WorkflowPath: ".github/workflows/release.yml", Name: "release",
		Ref: ref, SHA: sha, Event: "push", Actor: "octocat", ActorID: 583231,
	})
	if err != nil {
		return nil, err
	}
	inputs := map[string]string{"server": s.serverURL}
	for name, value := range with {
		inputs[name] = value
	}
	return &runner.Job{
		Workflow: filepath.Join(s.root, "examples", "workflows", "release.yml"),
		Actions: map[string]runner.Action{"curfew-dev/curfew": {
			Metadata: filepath.Join(s.root, "action.yml"), Main: s.phase("curfew-main"), Post: s.phase("curfew-post"),
		}},
		Context: map[string]string{
			"repository": "acme/web", "repository_id": "3002", "repository_owner": "acme", "repository_owner_id": "1001",
			"ref": ref, "ref_name": strings.TrimPrefix(ref, "refs/heads/"), "ref_type": "branch", "sha": sha,
			"event_name": "push", "actor": "octocat", "actor_id": "583231", "workflow": "release", "job": "release",
			"run_id": strconv.FormatInt(9000+s.runs, 10), "run_number": strconv.FormatInt(s.runs, 10), "run_attempt": "1",
			"server_url": s.github.URL, "api_url": s.api(), "graphql_url": s.github.URL + "/api/graphql",
		},
		IDTokenURL: started.IDTokenURL, IDTokenRequestToken: started.IDTokenRequestToken,
		With: map[string]map[string]string{"curfew": inputs},
	}, nil
}

// run runs a job to its end.
func (s *stage) run(ctx context.Context, job *runner.Job) (*runner.Result, error) {
	result, err := job.Run(ctx)
	if err == nil {
		s.results = append(s.results, result)
	}
	return result, err
}

// phase gives the action's binary the name that tells it which phase it is.
func (s *stage) phase(name string) string {
	link := s.path(name)
	if _, err := os.Lstat(link); err != nil {
		_ = os.Symlink(s.action, link) // a missing link shows as a failing step
	}
	return link
}
