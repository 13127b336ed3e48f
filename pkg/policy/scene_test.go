package policy_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

const issuer = "https://token.actions.githubusercontent.com"

var (
	web  = scope.Repository{ID: 2002, Name: "web"}
	api  = scope.Repository{ID: 2003, Name: "api"}
	mail = scope.Repository{ID: 2004, Name: "svc-mail"}
)

// A scene is all that a decision depends on. "" is a file that does not exist.
type scene struct {
	operator, organization, repository string
	owner                              string
	ownerID                            int64
	target                             []scope.Repository
	workload                           identity.Workload
	request                            policy.Request
}

// change alters one thing of a scene.
type change func(*scene)

// with applies changes to a copy.
func (s scene) with(changes ...change) scene {
	for _, c := range changes {
		c(&s)
	}
	return s
}

func (s scene) decide(t testing.TB) policy.Decision {
	t.Helper()
	return s.set(t).Decide(s.workload, s.request)
}

func (s scene) set(t testing.TB) *policy.Set {
	t.Helper()
	return policy.NewSet(
		scope.Scope{Owner: s.owner, OwnerID: s.ownerID, Repositories: s.target},
		load(t, policy.Operator, s.operator),
		load(t, policy.Organization, s.organization),
		load(t, policy.RepositoryOf, s.repository),
	)
}

var places = map[policy.Origin]policy.Source{
	policy.Operator:     {Path: "acme.yaml"},
	policy.Organization: {Repository: "acme/.github", Path: "curfew.yaml"},
	policy.RepositoryOf: {Repository: "acme/web", Path: ".github/curfew.yaml"},
}

// load parses a file that must be valid, and fills in the issuer as the rulebook does.
func load(t testing.TB, origin policy.Origin, text string) *policy.File {
	t.Helper()
	if text == "" {
		return nil
	}
	f, err := policy.Parse(origin, places[origin], []byte(text))
	if err != nil {
		t.Fatalf("the policy does not load: %v", errors.Unwrap(err))
	}
	if origin == policy.Operator && f.Owner.Issuer == "" {
		f.Owner.Issuer = issuer
	}
	return f
}

// code is "" for an allowed request.
func code(d policy.Decision) problem.Code {
	if d.Refusal == nil {
		return ""
	}
	return d.Refusal.Code
}

// refusals compares what a client sees and what the log learns.
var refusals = cmp.Comparer(func(a, b *problem.Problem) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Error() == b.Error() && a.Hint == b.Hint && slices.Equal(a.Mismatches, b.Mismatches)
})

// job is a job of acme/NAME that runs a workflow on main after a push.
func job(repository scope.Repository, workflow string) identity.Workload {
	name := "acme/" + repository.Name
	at := name + "/.github/workflows/" + workflow + "@refs/heads/main"
	return identity.Workload{
		Issuer: issuer, Repository: name, RepositoryID: repository.ID, RepositoryOwner: "acme", RepositoryOwnerID: 1001,
		RunID: 7, RunAttempt: 1, CheckRunID: 70, Ref: "refs/heads/main", EventName: "push",
		WorkflowRef: at, JobWorkflow: at, Runner: "github-hosted", Actor: "mona", ActorID: 501,
	}
}

// releasing is a job of acme/web that asks for its own repository's grant.
var releasing = scene{
	operator: `version: 1
owner: { login: acme, id: 1001 }
ceiling:
  permissions: { contents: write, issues: write }
  repository_policies: allow
`,
	repository: `version: 1
grants:
  release:
    description: Releases web
    allow:
      - repository: self
        workflow: .github/workflows/release.yml
        ref: refs/heads/main
    permissions: { contents: write }
    duration: { max: 30m }
`,
	owner: "acme", ownerID: 1001, target: []scope.Repository{web},
	workload: job(web, "release.yml"),
	request:  policy.Request{Grant: "release"},
}

// deploying is a job of acme/ops that asks for the organisation's grant, every condition of which it meets.
var deploying = scene{
	operator: "version: 1\nowner: { login: acme, id: 1001 }\n",
	organization: `version: 1
grants:
  deploy:
    description: Deploys the services
    repositories: [web, "svc-*"]
    allow:
      - repository: acme/ops
        repository_id: 3001
        workflow: .github/workflows/deploy.yml
        ref: refs/heads/main
        environment: production
        runner: github-hosted
        event: [push, workflow_dispatch]
        actor_id: [501, 502]
    permissions: { deployments: write, contents: read }
    leases_per_job: 2
`,
	owner: "acme", ownerID: 1001, target: []scope.Repository{web},
	workload: func() identity.Workload {
		w := job(scope.Repository{ID: 3001, Name: "ops"}, "deploy.yml")
		w.Environment = "production"
		return w
	}(),
	request: policy.Request{Grant: "deploy"},
}

// allowing writes an organisation's file whose grant "job" has one allow entry.
func allowing(entry string) change {
	return func(s *scene) {
		s.organization = "version: 1\ngrants:\n  job:\n    description: A test\n    repositories: [\"*\"]\n" +
			"    allow: [{" + entry + "}]\n    permissions: { contents: read }\n"
		s.request = policy.Request{Grant: "job"}
	}
}

func targets(repositories ...scope.Repository) change {
	return func(s *scene) { s.target = repositories }
}

func workload(change func(*identity.Workload)) change {
	return func(s *scene) { change(&s.workload) }
}

func asking(change func(*policy.Request)) change {
	return func(s *scene) { change(&s.request) }
}
