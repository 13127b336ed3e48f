package main

import (
	"context"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/runner"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

const (
	actionImage = "curfew-action:test"
	serverImage = "curfew-server:test"
	arcImage    = "curfew-action-arc:test"
)

// buildImages builds the images of the working tree, once in this process.
var buildImages = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join("..", "..", ".ci", "images")).CombinedOutput()
	return string(out), err
})

// needsImages skips the test on a machine without a Docker engine, and fails it in CI.
func needsImages(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "version").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI needs a Docker engine: %v\n%s", err, out)
		}
		t.Skipf("there is no Docker engine: %v", err)
	}
	if out, err := buildImages(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// docker runs the client and returns what it printed.
func docker(t testing.TB, arguments ...string) string {
	t.Helper()
	out, err := dockerTry(arguments...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return out
}

func dockerTry(arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", arguments...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// removeLabelled removes the containers that carry a label, running or not.
func removeLabelled(label string) {
	ids, _ := dockerTry("ps", "-aq", "--filter", "label="+label)
	if left := strings.Fields(ids); len(left) > 0 {
		_, _ = dockerTry(append([]string{"rm", "-f"}, left...)...) // one may have ended meanwhile
	}
}

// Where the parties of a job are found.
type places struct{ server, github, api string }

// public is where a publicWorld's parties are, for who comes through its proxy.
var public = places{publicServer, publicGitHub, apiOf(publicGitHub)}

func (w *world) places() places {
	return places{w.server.origin, w.github.URL, w.github.URL + "/api/v3"}
}

const curfewStep = "- { id: curfew, uses: curfew-dev/curfew@v1 }\n"

// docked makes a job of acme/web with these steps, in YAML, whose actions run in
// the action's image on the machine's own network.
func (w *world) docked(at places, started simulator.StartedJob, steps string, with map[string]string) *runner.Job {
	w.t.Helper()
	needsImages(w.t)
	dir := w.t.TempDir()
	workflow := filepath.Join(dir, "release.yml")
	text := "on: push\npermissions: { id-token: write }\njobs:\n  release:\n    runs-on: ubuntu-latest\n    steps:\n      " +
		strings.ReplaceAll(strings.TrimSpace(steps), "\n", "\n      ") + "\n"
	w.must(os.WriteFile(workflow, []byte(text), 0o600))
	inputs := map[string]string{"server": at.server, "grant": "release"}
	maps.Copy(inputs, with)
	label := "curfew-test-" + strconv.FormatInt(started.RunID, 10) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	w.t.Cleanup(func() { removeLabelled(label) })
	return &runner.Job{
		Workflow: workflow,
		Actions:  map[string]runner.Action{"curfew-dev/curfew": {Metadata: filepath.Join("..", "..", "action.yml"), Image: actionImage}},
		Context: map[string]string{
			"repository": "acme/web", "repository_id": "3002", "repository_owner": "acme", "repository_owner_id": "1001",
			"ref": started.Ref, "event_name": started.Event, "actor": started.Actor, "workflow": "release", "job": "release",
			"run_id": strconv.FormatInt(started.RunID, 10), "run_number": "1", "run_attempt": "1",
			"server_url": at.github, "api_url": at.api,
		},
		IDTokenURL: strings.Replace(started.IDTokenURL, w.github.URL, at.github, 1), IDTokenRequestToken: started.IDTokenRequestToken,
		With:   map[string]map[string]string{"curfew": inputs},
		Docker: runner.Docker{Network: "host", Label: label},
		Dir:    filepath.Join(dir, "runner"),
	}
}

// play runs a job to its end, and shows its log if the test fails.
func (w *world) play(ctx context.Context, job *runner.Job) *runner.Result {
	w.t.Helper()
	result, err := job.Run(ctx)
	w.must(err)
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("the job's log:\n%s", result.Log)
		}
	})
	return result
}

// given is the token that a step wrote as its output.
func given(t testing.TB, r *runner.Result) string {
	t.Helper()
	step := r.Step("curfew", "main")
	if step == nil || step.Outputs["token"] == "" {
		t.Fatal("the job got no token")
	}
	return step.Outputs["token"]
}

// alive counts the tokens of leases that GitHub made and that still work.
func (w *world) alive() (made, living int) {
	forLeases, _ := leaseTokens(w.github.Mints())
	for _, m := range forLeases {
		living += one(w.github.Alive(m.Token))
	}
	return len(forLeases), living
}

// newNetwork makes a network as a job with a container has, and tells this machine's address in it.
func newNetwork(t *testing.T) (name, gateway string) {
	t.Helper()
	name = "curfew_test_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	docker(t, "network", "create", name)
	t.Cleanup(func() { _, _ = dockerTry("network", "rm", name) })
	return name, docker(t, "network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", name)
}

// quiet is a log that nobody reads.
var quiet = log.New(io.Discard, "", 0)

// testAuthority is some private authority's certificate.
func testAuthority(t *testing.T) []byte {
	t.Helper()
	s, err := simulator.StartTLS(simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	return s.CA
}
