package policy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

func TestMistakesAreBounded(t *testing.T) {
	_, err := policy.Parse(repository, places[repository], []byte("version: 1\n"+strings.Repeat("? [a]\n", 5000)))
	var all policy.Errors
	if !errors.As(err, &all) || len(all) != 100 {
		t.Errorf("got %d mistakes", len(all))
	}
	hint := problem.From(err).Hint
	if strings.Count(hint, "\n") != 5 || !strings.HasSuffix(hint, "\nand 95 more") {
		t.Errorf("the hint is %q", hint)
	}
}

func TestEmptyFilesGrantNothing(t *testing.T) {
	for _, text := range []string{"", "# a comment\n", "---\n", "---\n...\n", "version: 1\n", "version: 1\ngrants: {}\n", "version: 1\r\n"} {
		for _, origin := range []policy.Origin{organization, repository} {
			f, err := policy.Parse(origin, places[origin], []byte(text))
			if err != nil || len(f.Grants) > 0 || f.Ceiling != nil {
				t.Errorf("%q in the %s's place: got %+v, %v", text, origin, f, err)
			}
		}
	}
}

func TestEverythingAFileCanSay(t *testing.T) {
	f := load(t, operator, `version: 1
owner: { login: acme, id: 1001, issuer: "https://ghes.example/_services/token" }
organization_policy: { repository: .github, repository_id: 2001, path: policies/curfew.yaml, required: false }
ceiling:
  permissions: { pull-requests: write, contents: read }
  duration: 45m
  callers: [{ login: umbrella, id: 1900 }]
  repository_policies: allow
grants:
  second:
    description: "Has everything"
    repositories: [web, "svc-*"]
    allow:
      - { repository: self }
      - repository: acme/ops
        repository_id: 3001
        workflow: .github/workflows/deploy.yaml
        reusable_workflow: acme/ci/.github/workflows/x.yml@0123456789abcdef0123456789abcdef01234567
        ref: "refs/tags/v*"
        event: [release]
        environment: production
        runner: self-hosted
        actor_id: [1, 2]
    permissions: { contents: read }
    duration: { default: 5s, max: 1h }
    reason: { required: true, pattern: ".+", min: 3 }
    leases_per_job: 100
  first:
    description: Has little
    repositories: ["*"]
    allow: [{ environment: staging }]
    permissions: { issues: read }
    duration: { max: 1m }
`)
	want := policy.File{
		Owner:              policy.Owner{Login: "acme", ID: 1001, Issuer: "https://ghes.example/_services/token"},
		OrganizationPolicy: &policy.Location{Repository: ".github", RepositoryID: 2001, Path: "policies/curfew.yaml"},
		Ceiling: &policy.Ceiling{Permissions: scope.Permissions{"pull_requests": scope.Write, "contents": scope.Read}, Duration: 45 * time.Minute,
			Callers: []policy.Caller{{Login: "umbrella", ID: 1900}}, RepositoryPolicies: true},
		Grants: []policy.Grant{{
			Name: "second", Line: 10, Description: "Has everything", Repositories: []string{"web", "svc-*"},
			Allow: []policy.Allow{
				{Repository: policy.Self, Events: []string{"push", "workflow_dispatch", "schedule", "merge_group"}},
				{Repository: "acme/ops", RepositoryID: 3001, Workflow: ".github/workflows/deploy.yaml",
					ReusableWorkflow: "acme/ci/.github/workflows/x.yml@0123456789abcdef0123456789abcdef01234567", Ref: "refs/tags/v*",
					Events: []string{"release"}, Environment: "production", Runner: "self-hosted", ActorIDs: []int64{1, 2}},
			},
			Permissions: scope.Permissions{"contents": scope.Read}, Default: 5 * time.Second, Max: time.Hour,
			Reason: policy.Reason{Required: true, Min: 3}, LeasesPerJob: 100,
		}, {
			Name: "first", Line: 28, Description: "Has little", Repositories: []string{"*"},
			Allow:       []policy.Allow{{Environment: "staging", Events: []string{"push", "workflow_dispatch", "schedule", "merge_group"}}},
			Permissions: scope.Permissions{"issues": scope.Read}, Default: time.Minute, Max: time.Minute, LeasesPerJob: 3,
		}},
	}
	options := cmp.Options{cmpopts.IgnoreUnexported(policy.File{}), cmpopts.IgnoreFields(policy.File{}, "Source"), cmpopts.IgnoreFields(policy.Reason{}, "Pattern")}
	if diff := cmp.Diff(&want, f, options); diff != "" {
		t.Error(diff)
	}
	if p := f.Grants[0].Reason.Pattern; p == nil || p.String() != ".+" {
		t.Errorf("the pattern is %v", p)
	}
}

func TestDigestIsOfTheBytes(t *testing.T) {
	f := load(t, repository, "version: 1\n")
	want := policy.Source{Origin: repository, Repository: "acme/web", Path: ".github/curfew.yaml",
		Digest: "sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847"}
	if diff := cmp.Diff(want, f.Source); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{releasing.operator, releasing.repository, deploying.organization, bounded.operator, bounded.organization,
		"", "version: 1\n---\n", "a: &a [*a]\n", grant("    reason: { pattern: '\\Q' }\n"), entry("ref: 123"), strings.Repeat("- ", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for origin, source := range places {
			file, err := policy.Parse(origin, source, []byte(text))
			if err != nil {
				var all policy.Errors
				if !problem.Is(err, problem.PolicyInvalid) || !errors.As(err, &all) || len(all) == 0 {
					t.Fatalf("refused oddly: %v", err)
				}
				continue
			}
			sound(t, file)
		}
	})
}

// sound holds a file that loads to what every decision relies on.
func sound(t *testing.T, f *policy.File) {
	t.Helper()
	for _, g := range f.Grants {
		if len(g.Allow) == 0 || len(g.Permissions) == 0 || g.Default < policy.MinDuration || g.Default > g.Max || g.Max > policy.MaxDuration || g.LeasesPerJob < 1 {
			t.Fatalf("an unsound grant loads: %+v", g)
		}
		for _, a := range g.Allow {
			if g.Permissions.Writes() && a.Ref == "" && a.ReusableWorkflow == "" || (a.RepositoryID > 0) != strings.Contains(a.Repository, "/") || len(a.Events) == 0 {
				t.Fatalf("an unsound entry loads: %+v", a)
			}
		}
	}
}
