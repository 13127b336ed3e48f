package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/runner"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// exampleRuns is every example that pkg/runner can run.
var exampleRuns = []struct {
	file   string
	github string
	needs  []string
	job    func(*simulator.Job)
	leaves []string // what GitHub shows afterwards
	denied string   // what the log says when nothing is granted
}{
	{"release.yml", publicGitHub, []string{"curl"}, nil, []string{"web refs/tags/v1.2.3"}, ""},
	{"release-with-gh.yml", publicGitHub, []string{"git", "gh"}, nil, []string{"web refs/tags/v1.2.3", "web release v1.2.3"}, ""},
	{"enterprise-server.yml", enterprise, []string{"gh"}, nil, []string{"web refs/tags/v1.2.3", "web release v1.2.3"}, ""},
	{"deploy.yml", publicGitHub, []string{"curl"}, func(j *simulator.Job) {
		j.Repo, j.WorkflowPath, j.Environment = "ops", ".github/workflows/deploy.yml", "production"
	}, []string{"web deployed"}, ""},
	{"deploy.yml", publicGitHub, []string{"curl"}, func(j *simulator.Job) {
		j.Repo, j.WorkflowPath = "ops", ".github/workflows/deploy.yml"
	}, nil, "give the job `environment: production`"},
	{"several-repositories.yml", publicGitHub, []string{"git"}, func(j *simulator.Job) {
		j.Repo, j.WorkflowPath = "ops", ".github/workflows/sync.yml"
	}, []string{"web SECURITY.md", "api SECURITY.md"}, ""},
}

func TestExampleWorkflowsRun(t *testing.T) {
	action := exampleAction(t)
	for _, row := range exampleRuns {
		t.Run(row.file+" "+row.denied, func(t *testing.T) {
			t.Parallel()
			needs(t, row.needs...)
			p := newPublicWorld(t)
			result := p.run(row.file, row.github, action, p.job(row.job))
			want, tokens := runner.Success, 1
			if row.denied != "" {
				want, tokens = runner.Failure, 0
			}
			if result.Conclusion != want || !strings.Contains(result.Log, row.denied) {
				t.Errorf("the job ends with %s, want %s:\n%s", result.Conclusion, want, result.Log)
			}
			p.checkLeft(row.leaves)
			p.checkDead(result.Log, tokens)
		})
	}
}

// checkLeft asks GitHub for what a job should have made.
func (p *publicWorld) checkLeft(want []string) {
	p.t.Helper()
	calls := p.github.Calls()
	for _, what := range want {
		repository, what, _ := strings.Cut(what, " ")
		made := func(route, path string) bool {
			return slices.ContainsFunc(calls, func(c simulator.Call) bool {
				return c.Route == route && strings.HasSuffix(c.Path, "/acme/"+repository+path) && c.Status == http.StatusCreated
			})
		}
		found := false
		switch {
		case what == "deployed":
			found = made("create_deployment", "/deployments")
		case strings.HasPrefix(what, "release "):
			found = made("create_release", "/releases")
		case strings.HasPrefix(what, "refs/"):
			_, found = p.github.Ref("acme", repository, what)
		default:
			_, found = p.github.File("acme", repository, what)
		}
		if !found {
			p.t.Errorf("acme/%s has no %s", repository, what)
		}
	}
}

// checkDead asks GitHub, not the server, how many tokens jobs got and whether one
// is left, and looks for them in a log.
func (p *publicWorld) checkDead(log string, want int) {
	p.t.Helper()
	mints := 0
	for _, m := range p.github.Mints() {
		if m.Permissions["contents"] != "write" && m.Permissions["deployments"] != "write" {
			continue // the server's own, for reading policies
		}
		if mints++; p.github.Alive(m.Token) {
			p.t.Errorf("the token of mint %d is alive after the job", m.Seq)
		}
		if strings.Contains(log, m.Token) {
			p.t.Errorf("the log shows the token of mint %d", m.Seq)
		}
	}
	if mints != want {
		p.t.Errorf("the jobs got %d tokens, want %d", mints, want)
	}
}
