package policy_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// example reads a file that people copy.
func example(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("../../examples/policies/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The rows follow the comments of the files, from the top of each.
func TestExamplesDoWhatTheirCommentsSay(t *testing.T) {
	examples := func(s *scene) {
		s.operator, s.organization, s.repository = example(t, "operator/acme.yaml"), example(t, "organization/curfew.yaml"), example(t, "repository/curfew.yaml")
	}
	release, deploy := releasing.with(examples), deploying.with(examples)
	want := &policy.Location{Repository: ".github", RepositoryID: 2001, Path: "curfew.yaml", Required: true}
	if diff := cmp.Diff(want, load(t, policy.Operator, release.operator).OrganizationPolicy); diff != "" {
		t.Error(diff)
	}

	decides(t, deploy, []row{
		{"svc-mail too", targets(mail), ""},
		{"but not api", targets(api), problem.NoGrantMatches},
		{"not from another repository's id", workload(func(w *identity.Workload) { w.RepositoryID = 3002 }), problem.NoGrantMatches},
		{"not from another workflow", workload(func(w *identity.Workload) {
			w.WorkflowRef = "acme/ops/.github/workflows/test.yml@refs/heads/main"
		}), problem.NoGrantMatches},
		{"not from a branch", workload(func(w *identity.Workload) { w.Ref = "refs/heads/dev" }), problem.NoGrantMatches},
		{"not without the environment", workload(func(w *identity.Workload) { w.Environment = "" }), problem.NoGrantMatches},
		{"for 30m at most", lasting(30 * time.Minute), ""},
		{"31m is above the grant", lasting(31 * time.Minute), problem.AboveGrant},
		{"contents are not in the grant", permissions(scope.Permissions{"contents": scope.Read}), problem.AboveGrant},
		{"actions are in no ceiling", func(s *scene) {
			s.organization += "  runs:\n    description: Cancels runs\n    repositories: [web]\n    allow: [{ ref: \"**\" }]\n    permissions: { actions: write }\n"
			s.request.Grant = "runs"
		}, problem.AboveCeiling},
		{"31m is above the ceiling, whatever a grant says", func(s *scene) {
			s.organization += "  slow:\n    description: Takes long\n    repositories: [web]\n    allow: [{ ref: \"**\" }]\n    permissions: { contents: read }\n    duration: { default: 31m }\n"
			s.request.Grant = "slow"
		}, problem.AboveCeiling},
		{"issues are in the operator's ceiling alone", func(s *scene) {
			s.organization += "  triage:\n    description: Labels issues\n    repositories: [web]\n    allow: [{ ref: \"**\" }]\n    permissions: { issues: write }\n"
			s.request.Grant = "triage"
		}, problem.AboveCeiling},
		{"not to another owner", workload(func(w *identity.Workload) { w.RepositoryOwnerID = 1002 }), problem.Denied},
	})
	sync := deploy.with(examples, func(s *scene) {
		s.workload = job(scope.Repository{ID: 3001, Name: "ops"}, "sync.yml")
		s.request.Grant = "sync"
	})
	publish := release.with(examples, func(s *scene) {
		s.workload.JobWorkflow = "acme/ops/.github/workflows/publish.yml@refs/heads/main"
		s.request.Grant = "publish"
	})
	decides(t, sync, []row{
		{"both at once", targets(web, api), ""},
		{"not a third", targets(web, mail), problem.NoGrantMatches},
		{"not from a branch", workload(func(w *identity.Workload) { w.Ref = "refs/heads/dev" }), problem.NoGrantMatches},
		{"not from the deploy workflow", workload(func(w *identity.Workload) { w.WorkflowRef = deploying.workload.WorkflowRef }), problem.NoGrantMatches},
	})
	decides(t, publish, []row{
		{"from any workflow that calls it", workload(func(w *identity.Workload) {
			w.WorkflowRef = "acme/web/.github/workflows/any.yml@refs/heads/main"
		}), ""},
		{"not for another repository", targets(api), problem.NoGrantMatches},
		{"not from another ref of the shared workflow", workload(func(w *identity.Workload) {
			w.JobWorkflow = "acme/ops/.github/workflows/publish.yml@refs/heads/dev"
		}), problem.NoGrantMatches},
		{"not from the caller's own file", workload(func(w *identity.Workload) { w.JobWorkflow = w.WorkflowRef }), problem.NoGrantMatches},
	})
	decides(t, release, []row{
		{"by hand too", workload(func(w *identity.Workload) { w.EventName = "workflow_dispatch" }), ""},
		{"not on a schedule", workload(func(w *identity.Workload) { w.EventName = "schedule" }), problem.NoGrantMatches},
		{"not from a pull request", workload(func(w *identity.Workload) { w.EventName = "pull_request" }), problem.NoGrantMatches},
		{"not from a branch", workload(func(w *identity.Workload) { w.Ref = "refs/heads/dev" }), problem.NoGrantMatches},
		{"not by another repository", workload(func(w *identity.Workload) { w.RepositoryID = api.ID }), problem.NoGrantMatches},
		{"not for two repositories", targets(web, api), problem.NoSuchGrant},
		{"no reason is needed, any is fine", because("v1.2.3"), ""},
		{"not for issues", permissions(scope.Permissions{"issues": scope.Write}), problem.AboveGrant},
	})
	if d := release.decide(t); d.Curfew != 10*time.Minute || d.Scope.String() != "contents:write on acme/web" {
		t.Errorf("a release gets %v for %v", d.Scope, d.Curfew)
	}
}
