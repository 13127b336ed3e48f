package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// Each row changes one claim of a job that meets every condition, and reads as
// the line of the table that a person is shown.
func TestEveryConditionHasItsNearMiss(t *testing.T) {
	if d := deploying.decide(t); d.Refusal != nil {
		t.Fatalf("the unchanged job is refused: %v", d.Refusal)
	}
	const file, entry = "acme/.github/curfew.yaml", " grants.deploy.allow[0]."
	workflow := "acme/ops/.github/workflows/deploy.yml@..."
	for _, row := range []struct {
		why    string
		change func(*identity.Workload)
		want   problem.Mismatch
		hint   string
	}{
		{"another repository's name on the id", func(w *identity.Workload) {
			w.Repository = "acme/operations"
			w.WorkflowRef = "acme/operations/.github/workflows/deploy.yml@refs/heads/main"
			w.JobWorkflow = w.WorkflowRef
		}, problem.Mismatch{Rule: file + ":7" + entry + "repository", Claim: "repository", Expected: "acme/ops", Got: "acme/operations"},
			"the repository with this id is called acme/operations now; correct the name in the policy"},
		{"another repository under the name", func(w *identity.Workload) { w.RepositoryID = 3002 },
			problem.Mismatch{Rule: file + ":8" + entry + "repository_id", Claim: "repository_id", Expected: "3001", Got: "3002"},
			"another repository goes by this name now: it was renamed, transferred or made anew; look at it before you write its new id"},
		{"another workflow that calls the right one", func(w *identity.Workload) {
			w.WorkflowRef = "acme/ops/.github/workflows/evil.yml@refs/heads/main"
		}, problem.Mismatch{Rule: file + ":9" + entry + "workflow", Claim: "workflow_ref", Expected: workflow, Got: "acme/ops/.github/workflows/evil.yml@refs/heads/main"}, ""},
		{"the right workflow that calls another", func(w *identity.Workload) {
			w.JobWorkflow = "acme/ci/.github/workflows/build.yml@refs/heads/main"
		}, problem.Mismatch{Rule: file + ":9" + entry + "workflow", Claim: "job_workflow_ref", Expected: workflow, Got: "acme/ci/.github/workflows/build.yml@refs/heads/main"},
			"the job is defined in a reusable workflow; name it by reusable_workflow: acme/ci/.github/workflows/build.yml@refs/heads/main"},
		{"no job_workflow_ref", func(w *identity.Workload) { w.JobWorkflow = "" },
			problem.Mismatch{Rule: file + ":9" + entry + "workflow", Claim: "job_workflow_ref", Expected: workflow}, ""},
		{"another branch", func(w *identity.Workload) { w.Ref = "refs/heads/main2" },
			problem.Mismatch{Rule: file + ":10" + entry + "ref", Claim: "ref", Expected: "refs/heads/main", Got: "refs/heads/main2"},
			"run the job on refs/heads/main, or add an allow entry for refs/heads/main2"},
		{"a tag of the branch's name", func(w *identity.Workload) { w.Ref = "refs/tags/main" },
			problem.Mismatch{Rule: file + ":10" + entry + "ref", Claim: "ref", Expected: "refs/heads/main", Got: "refs/tags/main"},
			"run the job on refs/heads/main, or add an allow entry for refs/tags/main"},
		{"a pull request's ref", func(w *identity.Workload) { w.Ref = "refs/pull/7/merge" },
			problem.Mismatch{Rule: file + ":10" + entry + "ref", Claim: "ref", Expected: "refs/heads/main", Got: "refs/pull/7/merge"},
			"a pull request runs on refs/pull/7/merge, not on its branch"},
		{"a branch in another case", func(w *identity.Workload) { w.Ref = "refs/heads/Main" },
			problem.Mismatch{Rule: file + ":10" + entry + "ref", Claim: "ref", Expected: "refs/heads/main", Got: "refs/heads/Main"},
			"upper and lower case differ: the claim is refs/heads/Main"},
		{"no ref", func(w *identity.Workload) { w.Ref = "" },
			problem.Mismatch{Rule: file + ":10" + entry + "ref", Claim: "ref", Expected: "refs/heads/main"}, ""},
		{"no environment", func(w *identity.Workload) { w.Environment = "" },
			problem.Mismatch{Rule: file + ":11" + entry + "environment", Claim: "environment", Expected: "production"},
			"give the job `environment: production`"},
		{"another environment", func(w *identity.Workload) { w.Environment = "production-eu" },
			problem.Mismatch{Rule: file + ":11" + entry + "environment", Claim: "environment", Expected: "production", Got: "production-eu"},
			"give the job `environment: production`"},
		{"the environment in another case", func(w *identity.Workload) { w.Environment = "Production" },
			problem.Mismatch{Rule: file + ":11" + entry + "environment", Claim: "environment", Expected: "production", Got: "Production"},
			"upper and lower case differ: the claim is Production"},
		{"another kind of runner", func(w *identity.Workload) { w.Runner = "self-hosted" },
			problem.Mismatch{Rule: file + ":12" + entry + "runner", Claim: "runner_environment", Expected: "github-hosted", Got: "self-hosted"},
			"run the job on a github-hosted runner"},
		{"an event that is not named", func(w *identity.Workload) { w.EventName = "schedule" },
			problem.Mismatch{Rule: file + ":13" + entry + "event", Claim: "event_name", Expected: "push, workflow_dispatch", Got: "schedule"},
			"schedule counts only when named; list it in event if such runs may have this grant"},
		{"no event", func(w *identity.Workload) { w.EventName = "" },
			problem.Mismatch{Rule: file + ":13" + entry + "event", Claim: "event_name", Expected: "push, workflow_dispatch"}, ""},
		{"another actor", func(w *identity.Workload) { w.ActorID = 503 },
			problem.Mismatch{Rule: file + ":14" + entry + "actor_id", Claim: "actor_id", Expected: "501, 502", Got: "503"}, ""},
		{"no actor", func(w *identity.Workload) { w.ActorID = 0 },
			problem.Mismatch{Rule: file + ":14" + entry + "actor_id", Claim: "actor_id", Expected: "501, 502"}, ""},
	} {
		p := deploying.with(workload(row.change)).decide(t).Refusal
		if p == nil || p.Code != problem.NoGrantMatches {
			t.Errorf("%s: got %v", row.why, p)
			continue
		}
		if diff := cmp.Diff([]problem.Mismatch{row.want}, p.Mismatches); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.why, diff)
		}
		if p.Hint != row.hint {
			t.Errorf("%s: the hint is %q; want %q", row.why, p.Hint, row.hint)
		}
	}
}

func TestNamesAreComparedWithoutCase(t *testing.T) {
	decides(t, deploying, []row{
		{"the caller's repository", workload(func(w *identity.Workload) { w.Repository = "ACME/Ops" }), ""},
		{"the repository inside workflow_ref", workload(func(w *identity.Workload) {
			w.WorkflowRef = strings.Replace(w.WorkflowRef, "acme/ops", "Acme/OPS", 1)
		}), ""},
		{"the workflow's path", workload(func(w *identity.Workload) {
			w.WorkflowRef = strings.Replace(w.WorkflowRef, "deploy", "Deploy", 1)
		}), problem.NoGrantMatches},
		{"the target's name", targets(scope.Repository{ID: web.ID, Name: "Web"}), ""},
		{"the target's name under a glob", targets(scope.Repository{ID: mail.ID, Name: "SVC-Mail"}), ""},
		{"the glob in the policy", func(s *scene) { s.organization = strings.Replace(s.organization, "web, \"svc-*\"", "\"W*\"", 1) }, ""},
	})
}

func TestRepositoriesThatAGrantCovers(t *testing.T) {
	decides(t, deploying, []row{
		{"a name", targets(web), ""},
		{"a glob", targets(mail), ""},
		{"both", targets(web, mail), ""},
		{"the glob with nothing in its place", targets(scope.Repository{ID: 5, Name: "svc-"}), ""},
		{"a name that is not listed", targets(api), problem.NoGrantMatches},
		{"one listed and one not", targets(web, api), problem.NoGrantMatches},
		{"a name that begins as the listed one", targets(scope.Repository{ID: 5, Name: "web2"}), problem.NoGrantMatches},
		{"a name that the glob is only a part of", targets(scope.Repository{ID: 5, Name: "my-svc-mail"}), problem.NoGrantMatches},
		{"nothing at all", targets(), problem.NoGrantMatches},
	})
}

func TestUncoveredTargetIsTold(t *testing.T) {
	d := deploying.with(targets(web, api)).decide(t)
	want := []problem.Mismatch{{Rule: "acme/.github/curfew.yaml:5 grants.deploy.repositories", Claim: "repositories", Expected: "web, svc-*", Got: "api"}}
	if diff := cmp.Diff(want, d.Refusal.Mismatches); diff != "" {
		t.Error(diff)
	}
	if len(d.Trace) != 1 || d.Trace[0].Entry != -1 {
		t.Errorf("the trace is %+v", d.Trace)
	}
}

func TestSelfIsTheTargetAlone(t *testing.T) {
	base := releasing.with(allowing("repository: self"))
	decides(t, base, []row{
		{"another target", targets(api), problem.NoGrantMatches},
		{"its own repository and another", targets(web, api), problem.NoGrantMatches},
		{"another and its own repository", targets(api, web), problem.NoGrantMatches},
		{"its own repository, renamed", targets(scope.Repository{ID: web.ID, Name: "site"}), ""},
		{"a new repository of its name", targets(scope.Repository{ID: 2999, Name: "web"}), problem.NoGrantMatches},
		{"no ids on either side", func(s *scene) {
			s.target = []scope.Repository{{Name: "web"}}
			s.workload.RepositoryID = 0
		}, problem.NoGrantMatches},
	})
	d := base.with(targets(web, api)).decide(t)
	want := []problem.Mismatch{{Rule: "acme/.github/curfew.yaml:6 grants.job.allow[0].repository", Claim: "repository_id", Expected: "2002, 2003", Got: "2002"}}
	if diff := cmp.Diff(want, d.Refusal.Mismatches); diff != "" {
		t.Error(diff)
	}
	if d.Refusal.Hint != "self admits a job to its own repository alone; ask for that one only" {
		t.Errorf("the hint is %q", d.Refusal.Hint)
	}
}

func TestEventsThatCountUnasked(t *testing.T) {
	base := releasing.with(allowing("repository: self"))
	for event, want := range map[string]problem.Code{
		"push": "", "workflow_dispatch": "", "schedule": "", "merge_group": "",
		"pull_request": problem.NoGrantMatches, "pull_request_target": problem.NoGrantMatches, "workflow_run": problem.NoGrantMatches,
		"issue_comment": problem.NoGrantMatches, "release": problem.NoGrantMatches, "Push": problem.NoGrantMatches, "": problem.NoGrantMatches,
	} {
		if got := code(base.with(workload(func(w *identity.Workload) { w.EventName = event })).decide(t)); got != want {
			t.Errorf("%q: got %q; want %q", event, got, want)
		}
	}
	named := base.with(allowing("repository: self, event: [pull_request]"), workload(func(w *identity.Workload) { w.EventName = "pull_request" }))
	decides(t, named, []row{
		{"an event of the default that is not named", workload(func(w *identity.Workload) { w.EventName = "push" }), problem.NoGrantMatches},
	})
}

func TestWorkflowEndsAtItsPath(t *testing.T) {
	base := releasing.with(allowing("workflow: .github/workflows/release.yml"))
	at := func(text string) change {
		return workload(func(w *identity.Workload) { w.WorkflowRef, w.JobWorkflow = text, text })
	}
	decides(t, base, []row{
		{"a branch", at("acme/web/.github/workflows/release.yml@refs/heads/x"), ""},
		{"a branch with an @", at("acme/web/.github/workflows/release.yml@refs/heads/a@b"), ""},
		{"a commit", at("acme/web/.github/workflows/release.yml@" + strings.Repeat("a", 40)), ""},
		{"a file whose name goes on behind an @", at("acme/web/.github/workflows/release.yml@evil.yml@refs/heads/main"), problem.NoGrantMatches},
		{"a file whose name goes on behind an @refs", at("acme/web/.github/workflows/release.yml@refs.yml@refs/heads/main"), problem.NoGrantMatches},
		{"a file whose name is longer", at("acme/web/.github/workflows/release.yml.yml@refs/heads/main"), problem.NoGrantMatches},
		{"the file in another place", at("acme/web/x/.github/workflows/release.yml@refs/heads/main"), problem.NoGrantMatches},
		{"the file of another repository", at("acme/api/.github/workflows/release.yml@refs/heads/main"), problem.NoGrantMatches},
		{"the file of a repository whose name begins so", at("acme/web2/.github/workflows/release.yml@refs/heads/main"), problem.NoGrantMatches},
		{"the file without a ref", at("acme/web/.github/workflows/release.yml"), problem.NoGrantMatches},
		{"the file with an empty ref", at("acme/web/.github/workflows/release.yml@"), problem.NoGrantMatches},
		{"no claim at all", at(""), problem.NoGrantMatches},
		{"no repository", workload(func(w *identity.Workload) { w.Repository = "" }), problem.NoGrantMatches},
		{"no repository, nor in the claims", workload(func(w *identity.Workload) {
			w.Repository, w.WorkflowRef = "", "/.github/workflows/release.yml@refs/heads/main"
			w.JobWorkflow = w.WorkflowRef
		}), problem.NoGrantMatches},
	})
}

func TestReusableWorkflowIsAllOfItsClaim(t *testing.T) {
	const reusable = "acme/ci/.github/workflows/deploy.yml@refs/heads/main"
	base := releasing.with(
		allowing("workflow: .github/workflows/release.yml, reusable_workflow: "+reusable),
		workload(func(w *identity.Workload) { w.JobWorkflow = reusable }))
	at := func(text string) change { return workload(func(w *identity.Workload) { w.JobWorkflow = text }) }
	decides(t, base, []row{
		{"owner and repository in another case", at("Acme/CI/.github/workflows/deploy.yml@refs/heads/main"), ""},
		{"the path in another case", at("acme/ci/.github/workflows/Deploy.yml@refs/heads/main"), problem.NoGrantMatches},
		{"another ref", at("acme/ci/.github/workflows/deploy.yml@refs/heads/dev"), problem.NoGrantMatches},
		{"a ref that goes on", at(reusable + "2"), problem.NoGrantMatches},
		{"another owner", at("evil/ci/.github/workflows/deploy.yml@refs/heads/main"), problem.NoGrantMatches},
		{"the caller's own workflow", at(releasing.workload.WorkflowRef), problem.NoGrantMatches},
		{"no claim", at(""), problem.NoGrantMatches},
		{"a claim that is no path", at("acme"), problem.NoGrantMatches},
		{"another caller", workload(func(w *identity.Workload) {
			w.WorkflowRef = "acme/web/.github/workflows/evil.yml@refs/heads/main"
		}), problem.NoGrantMatches},
	})
}

func TestRefGlobs(t *testing.T) {
	on := func(ref string) change { return workload(func(w *identity.Workload) { w.Ref = ref }) }
	decides(t, releasing.with(allowing(`ref: "refs/heads/release/*"`), on("refs/heads/release/1.2")), []row{
		{"a segment more", on("refs/heads/release/1.2/fix"), problem.NoGrantMatches},
		{"a segment less", on("refs/heads/release"), problem.NoGrantMatches},
		{"a tag", on("refs/tags/release/1.2"), problem.NoGrantMatches},
		{"no ref", on(""), problem.NoGrantMatches},
	})
	decides(t, releasing.with(allowing(`ref: "refs/heads/**"`), on("refs/heads/a/b/c")), []row{
		{"a tag", on("refs/tags/a"), problem.NoGrantMatches},
		{"no ref", on(""), problem.NoGrantMatches},
	})
	decides(t, releasing.with(allowing(`ref: "**"`)), []row{
		{"any ref", on("refs/pull/7/merge"), ""},
		{"no ref: a missing claim matches nothing", on(""), problem.NoGrantMatches},
	})
	d := releasing.with(allowing(`ref: "refs/*"`)).decide(t)
	if d.Refusal == nil || d.Refusal.Hint != "* stays inside one segment between slashes; ** crosses them" {
		t.Errorf("got %v with hint %q", d.Refusal, d.Refusal.Hint)
	}
}

func TestNearestTrialComesFirst(t *testing.T) {
	s := releasing.with(func(s *scene) {
		s.organization = `version: 1
grants:
  job:
    description: A test
    repositories: [api]
    allow: [{ ref: "**" }]
    permissions: { contents: read }
`
		s.operator += `grants:
  job:
    description: A test
    repositories: [web]
    allow:
      - { ref: refs/heads/other, environment: production, event: [schedule] }
      - { ref: refs/heads/other, environment: production }
      - { ref: refs/heads/other, runner: self-hosted }
    permissions: { contents: read }
`
		s.request = policy.Request{Grant: "job"}
	})
	d := s.decide(t)
	var got []string
	for _, m := range d.Refusal.Mismatches {
		got = append(got, m.Rule)
	}
	want := []string{
		"acme.yaml:12 grants.job.allow[1].ref", "acme.yaml:12 grants.job.allow[1].environment",
		"acme.yaml:13 grants.job.allow[2].ref", "acme.yaml:13 grants.job.allow[2].runner",
		"acme.yaml:11 grants.job.allow[0].ref", "acme.yaml:11 grants.job.allow[0].event", "acme.yaml:11 grants.job.allow[0].environment",
		"acme/.github/curfew.yaml:5 grants.job.repositories",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(d.Trace) != 4 || d.Trace[0].Entry != 0 || d.Trace[3].Entry != -1 {
		t.Errorf("the trace is not in the order of the files: %+v", d.Trace)
	}
	if strings.Contains(d.Refusal.Hint, "self-hosted") {
		t.Errorf("the hint speaks of another entry: %q", d.Refusal.Hint)
	}
}

func TestMismatchesAreBounded(t *testing.T) {
	entries := strings.Repeat("{ repository: acme/ops, repository_id: 3001, ref: refs/heads/x, environment: e, runner: self-hosted, event: [release] }, ", 8)
	s := releasing.with(allowing(`ref: "**"`), func(s *scene) {
		s.organization = strings.Replace(s.organization, `{ref: "**"}`, strings.ReplaceAll(entries, "  ", " "), 1)
	})
	d := s.decide(t)
	if got := len(d.Refusal.Mismatches); got != 30 {
		t.Errorf("got %d mismatches; want those of five entries, six each", got)
	}
	if len(d.Trace) != 8 {
		t.Errorf("the trace has %d of 8 entries", len(d.Trace))
	}
	if strings.Contains(d.Refusal.Hint, "self-hosted") {
		t.Errorf("got the hint %q; want the first three", d.Refusal.Hint)
	}
}
