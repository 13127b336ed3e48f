package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// A row is one change to a scene and what comes of it; "" allows.
type row struct {
	why    string
	change change
	want   problem.Code
}

func decides(t *testing.T, base scene, rows []row) {
	t.Helper()
	if d := base.decide(t); d.Refusal != nil {
		t.Fatalf("the unchanged scene is refused: %v (%s)", d.Refusal, d.Refusal.Hint)
	}
	for _, r := range rows {
		d := base.with(r.change).decide(t)
		if got := code(d); got != r.want {
			t.Errorf("%s: got %q; want %q (%v)", r.why, got, r.want, d.Refusal)
		}
		if d.Refusal != nil && (len(d.Scope.Permissions) > 0 || len(d.Scope.Repositories) > 0 || d.Curfew != 0) {
			t.Errorf("%s: the refusal still says %v for %v", r.why, d.Scope, d.Curfew)
		}
	}
}

func TestAllowedDecisionSaysEverything(t *testing.T) {
	d := deploying.with(targets(web, mail)).decide(t)
	organization := load(t, policy.Organization, deploying.organization).Source
	want := policy.Decision{
		Grant:   "deploy",
		Granter: organization,
		Scope: scope.Scope{Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{web, mail},
			Permissions: scope.Permissions{"deployments": scope.Write, "contents": scope.Read}},
		Curfew:       10 * time.Minute,
		LeasesPerJob: 2,
		Policies:     []policy.Source{load(t, policy.Operator, deploying.operator).Source, organization},
		Trace:        []policy.Candidate{{Source: organization, Grant: "deploy", Line: 3, Entry: 0}},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(organization.Digest, "sha256:") || len(organization.Digest) != len("sha256:")+64 {
		t.Errorf("the digest is %q", organization.Digest)
	}
}

func TestWhoseWorkloadsMayAsk(t *testing.T) {
	decides(t, releasing, []row{
		{"another owner's id", workload(func(w *identity.Workload) { w.RepositoryOwnerID = 1002 }), problem.Denied},
		{"no owner's id", workload(func(w *identity.Workload) { w.RepositoryOwnerID = 0 }), problem.Denied},
		{"the same id of another issuer", workload(func(w *identity.Workload) { w.Issuer = "https://ghes.example/_services/token" }), problem.Denied},
		{"the issuer with a slash more", workload(func(w *identity.Workload) { w.Issuer += "/" }), problem.Denied},
		{"a renamed owner of the same id", workload(func(w *identity.Workload) { w.RepositoryOwner = "acme-inc" }), ""},
		{"a target of another owner's id", func(s *scene) { s.ownerID = 1002 }, problem.Denied},
		{"a target without an owner's id", func(s *scene) { s.ownerID = 0 }, problem.Denied},
		{"no operator's file", func(s *scene) { s.operator = "" }, problem.Denied},
		{"an operator's file that names another issuer",
			func(s *scene) {
				s.operator = strings.Replace(s.operator, "id: 1001", "id: 1001, issuer: https://ghes.example/_services/token", 1)
			}, problem.Denied},
	})
}

func TestOwnerWithoutIDAdmitsNobody(t *testing.T) {
	operator := load(t, policy.Operator, releasing.operator)
	operator.Owner.ID = 0
	s := policy.NewSet(scope.Scope{Owner: "acme", Repositories: releasing.target}, operator, nil, load(t, policy.RepositoryOf, releasing.repository))
	w := releasing.workload
	w.RepositoryOwnerID = 0
	if d := s.Decide(w, releasing.request); code(d) != problem.Denied {
		t.Errorf("got %q", code(d))
	}
}

func TestOwnerWithoutIssuerAdmitsNobody(t *testing.T) {
	operator := load(t, policy.Operator, releasing.operator)
	operator.Owner.Issuer = ""
	s := policy.NewSet(scope.Scope{Owner: "acme", OwnerID: 1001, Repositories: releasing.target},
		operator, nil, load(t, policy.RepositoryOf, releasing.repository))
	w := releasing.workload
	for _, w.Issuer = range []string{issuer, ""} {
		if d := s.Decide(w, releasing.request); code(d) != problem.Denied {
			t.Errorf("issuer %q: got %q", w.Issuer, code(d))
		}
	}
}

const acmeWithCaller = "version: 1\nowner: { login: acme, id: 1001 }\n" +
	"ceiling: { permissions: { contents: read }, callers: [{ login: umbrella, id: 1900 }] }\n"

// calling is a job of another owner that the operator's ceiling names as a caller.
var calling = releasing.with(
	func(s *scene) { s.operator = acmeWithCaller },
	allowing("repository: umbrella/ops, repository_id: 9001"),
	workload(func(w *identity.Workload) {
		w.Repository, w.RepositoryID, w.RepositoryOwner, w.RepositoryOwnerID = "umbrella/ops", 9001, "umbrella", 1900
	}))

func TestCallers(t *testing.T) {
	const ceiling = "ceiling: { permissions: { contents: read } }\n"
	const withCaller = "ceiling: { permissions: { contents: read }, callers: [{ login: umbrella, id: 1900 }] }\n"
	decides(t, calling, []row{
		{"the caller's id, renamed", workload(func(w *identity.Workload) { w.RepositoryOwner = "umbrella-2" }), ""},
		{"the caller's name with another id", workload(func(w *identity.Workload) { w.RepositoryOwnerID = 1901 }), problem.Denied},
		{"the caller's id of another issuer", workload(func(w *identity.Workload) { w.Issuer = "https://ghes.example/_services/token" }), problem.Denied},
		{"the organisation's ceiling names it too", func(s *scene) { s.organization += withCaller }, ""},
		{"the organisation's ceiling does not", func(s *scene) { s.organization += ceiling }, problem.Denied},
		{"only the organisation's ceiling does", func(s *scene) {
			s.operator = strings.Replace(s.operator, ", callers: [{ login: umbrella, id: 1900 }]", "", 1)
			s.organization += withCaller
		}, problem.Denied},
		{"only the organisation has a ceiling", func(s *scene) {
			s.operator = deploying.operator
			s.organization += withCaller
		}, ""},
		{"nobody has a ceiling", func(s *scene) { s.operator = deploying.operator }, problem.Denied},
	})
}

func TestOtherOwnersLearnNothing(t *testing.T) {
	for why, s := range map[string]scene{
		"a caller that no entry admits":   calling.with(workload(func(w *identity.Workload) { w.RepositoryID = 9002 })),
		"a caller that asks for too much": calling.with(asking(func(r *policy.Request) { r.Duration = 2 * time.Hour })),
		"a caller that guesses a name":    calling.with(asking(func(r *policy.Request) { r.Grant = "jobb" })),
		"a stranger":                      calling.with(workload(func(w *identity.Workload) { w.RepositoryOwnerID = 4 })),
	} {
		p := s.decide(t).Refusal
		if p.Code != problem.Denied || p.Hint != "" || len(p.Mismatches) != 0 {
			t.Errorf("%s: got %s with hint %q and %v", why, p.Code, p.Hint, p.Mismatches)
		}
		if p.Unwrap() == nil {
			t.Errorf("%s: the log does not learn why", why)
		}
	}
}

func TestNoSuchGrant(t *testing.T) {
	for _, row := range []struct {
		why    string
		change change
		hint   string
	}{
		{"a typo", asking(func(r *policy.Request) { r.Grant = "relaese" }), "did you mean release?"},
		{"another name", asking(func(r *policy.Request) { r.Grant = "publish" }), "the grants for acme/web are: release"},
		{"another case", asking(func(r *policy.Request) { r.Grant = "Release" }), "did you mean release?"},
		{"no name", asking(func(r *policy.Request) { r.Grant = "" }), "the grants for acme/web are: release"},
		{"no grants", func(s *scene) { s.repository = "" }, "no policy in force for acme/web has any grant yet"},
		{"an empty file", func(s *scene) { s.repository = "# nothing\n" }, "no policy in force for acme/web has any grant yet"},
		{"a target that the repository's file is not for", targets(web, api), "no policy in force for these repositories of acme has any grant yet"},
	} {
		d := releasing.with(row.change).decide(t)
		if code(d) != problem.NoSuchGrant || d.Refusal.Hint != row.hint {
			t.Errorf("%s: got %v with hint %q; want %q", row.why, d.Refusal, d.Refusal.Hint, row.hint)
		}
	}
}

func TestFirstThatAdmitsDecides(t *testing.T) {
	grant := func(level, entry string) string {
		return "grants:\n  job:\n    description: A test\n    repositories: [\"*\"]\n    allow: [{" + entry + "}]\n    permissions: { contents: " + level + " }\n"
	}
	any := `ref: "**"`
	s := deploying.with(asking(func(r *policy.Request) { r.Grant = "job" }), func(s *scene) {
		s.operator += grant("read", any)
		s.organization = "version: 1\n" + grant("write", any)
	})
	if d := s.decide(t); code(d) != "" || d.Granter.Origin != policy.Operator || d.Scope.Permissions["contents"] != scope.Read {
		t.Errorf("the operator's grant does not come first: %+v", d)
	}
	tooMuch := s.with(asking(func(r *policy.Request) { r.Permissions = scope.Permissions{"contents": scope.Write} }))
	if d := tooMuch.decide(t); code(d) != problem.AboveGrant || d.Granter.Origin != policy.Operator {
		t.Errorf("a later grant of the name gave more: %+v", d)
	}
	second := s.with(func(s *scene) { s.operator = deploying.operator + grant("read", "ref: refs/heads/other") })
	d := second.decide(t)
	if code(d) != "" || d.Granter.Origin != policy.Organization || len(d.Trace) != 2 || len(d.Trace[0].Mismatches) != 1 {
		t.Errorf("the organisation's grant does not come second: %+v", d)
	}
}

func TestRepositoryPoliciesCountOnlyWhereEveryCeilingSaysSo(t *testing.T) {
	const allows = "ceiling: { permissions: { contents: write }, repository_policies: allow }\n"
	const denies = "ceiling: { permissions: { contents: write }, repository_policies: deny }\n"
	const silent = "ceiling: { permissions: { contents: write } }\n"
	operator, organization := deploying.operator, "version: 1\n"
	for _, row := range []struct {
		why                    string
		operator, organization string
		want                   bool
	}{
		{"the operator allows, no other ceiling", operator + allows, organization, true},
		{"the operator allows, no organisation's file", operator + allows, "", true},
		{"both allow", operator + allows, organization + allows, true},
		{"only the organisation has a ceiling and allows", operator, organization + allows, true},
		{"the organisation denies", operator + allows, organization + denies, false},
		{"the organisation is silent", operator + allows, organization + silent, false},
		{"the operator denies", operator + denies, organization + allows, false},
		{"the operator is silent", operator + silent, organization + allows, false},
		{"no ceiling stands", operator, organization, false},
		{"no ceiling and no organisation's file", operator, "", false},
	} {
		if got := policy.RepositoryPolicies(load(t, policy.Operator, row.operator), load(t, policy.Organization, row.organization)); got != row.want {
			t.Errorf("%s: RepositoryPolicies = %v", row.why, got)
		}
		s := releasing.with(func(s *scene) { s.operator, s.organization = row.operator, row.organization })
		if d := s.decide(t); (d.Refusal == nil) != row.want {
			t.Errorf("%s: got %v", row.why, d.Refusal)
		}
	}
	if policy.RepositoryPolicies(nil, nil) {
		t.Error("without any file repositories have policies")
	}
}
