package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

func permissions(p scope.Permissions) change {
	return asking(func(r *policy.Request) { r.Permissions = p })
}

func lasting(d time.Duration) change {
	return asking(func(r *policy.Request) { r.Duration = d })
}

func because(reason string) change {
	return asking(func(r *policy.Request) { r.Reason = reason })
}

// bounded gives its grant more than either ceiling, in a way of its own for each.
var bounded = deploying.with(func(s *scene) {
	s.operator = `version: 1
owner: { login: acme, id: 1001 }
ceiling:
  permissions: { contents: write, deployments: write, issues: read }
`
	s.organization = `version: 1
ceiling:
  permissions: { contents: write, deployments: read, issues: write }
  duration: 20m
grants:
  deploy:
    description: Deploys the services
    repositories: [web]
    allow: [{ ref: "**" }]
    permissions: { contents: read, deployments: write, issues: write }
    duration: { default: 10m, max: 30m }
`
}, permissions(scope.Permissions{"contents": scope.Read}))

func TestRequestIsWithinGrantAndCeilings(t *testing.T) {
	decides(t, bounded, []row{
		{"a higher level than the grant's", permissions(scope.Permissions{"contents": scope.Write}), problem.AboveGrant},
		{"a permission that the grant lacks", permissions(scope.Permissions{"contents": scope.Read, "actions": scope.Read}), problem.AboveGrant},
		{"a permission of organisations", permissions(scope.Permissions{"members": scope.Read}), problem.AboveGrant},
		{"a lower level than the operator's ceiling", permissions(scope.Permissions{"issues": scope.Read}), ""},
		{"a higher level than the operator's ceiling", permissions(scope.Permissions{"issues": scope.Write}), problem.AboveCeiling},
		{"a lower level than the organisation's ceiling", permissions(scope.Permissions{"deployments": scope.Read}), ""},
		{"a higher level than the organisation's ceiling", permissions(scope.Permissions{"deployments": scope.Write}), problem.AboveCeiling},
		{"the grant's own permissions, which are above both", permissions(nil), problem.AboveCeiling},
		{"the level none, which GitHub does not know", permissions(scope.Permissions{"contents": scope.None}), problem.UnknownPermission},
		{"a name that GitHub does not know", permissions(scope.Permissions{"everything": scope.Read}), problem.UnknownPermission},
		{"just the shortest duration", lasting(5 * time.Second), ""},
		{"less than the shortest", lasting(5*time.Second - 1), problem.BadForm},
		{"a negative duration", lasting(-time.Minute), problem.BadForm},
		{"just the ceiling's duration", lasting(20 * time.Minute), ""},
		{"more than the ceiling's duration", lasting(20*time.Minute + 1), problem.AboveCeiling},
		{"just the grant's duration, above the ceiling", lasting(30 * time.Minute), problem.AboveCeiling},
		{"more than the grant's duration", lasting(30*time.Minute + 1), problem.AboveGrant},
		{"more than GitHub's hour", lasting(2 * time.Hour), problem.AboveGrant},
	})
}

func TestRequestTakesTheGrantsValuesForWhatItLeavesOut(t *testing.T) {
	d := releasing.decide(t)
	if diff := cmp.Diff(scope.Permissions{"contents": scope.Write}, d.Scope.Permissions); diff != "" || d.Curfew != 10*time.Minute || d.LeasesPerJob != 3 {
		t.Errorf("got %v for %v, %d leases", d.Scope, d.Curfew, d.LeasesPerJob)
	}
	d = releasing.with(permissions(scope.Permissions{"contents": scope.Read}), lasting(25*time.Minute)).decide(t)
	if diff := cmp.Diff(scope.Permissions{"contents": scope.Read}, d.Scope.Permissions); diff != "" || d.Curfew != 25*time.Minute {
		t.Errorf("asked for less, got %v for %v", d.Scope, d.Curfew)
	}
}

func TestDecisionSharesNothingWithThePolicy(t *testing.T) {
	target := []scope.Repository{web}
	s := releasing.with(targets(target...)).set(t)
	target[0] = api
	s.Target().Repositories[0] = api
	d := s.Decide(releasing.workload, releasing.request)
	d.Scope.Permissions["contents"] = scope.Admin
	d.Scope.Permissions["actions"] = scope.Write
	d.Scope.Repositories[0] = api
	again := s.Decide(releasing.workload, releasing.request)
	if diff := cmp.Diff(releasing.decide(t), again); diff != "" {
		t.Error(diff)
	}
}

func TestBoundsAreTold(t *testing.T) {
	for _, row := range []struct {
		why    string
		change change
		want   []problem.Mismatch
		hint   string
	}{
		{"permission and duration above the grant",
			asking(func(r *policy.Request) {
				r.Permissions, r.Duration = scope.Permissions{"contents": scope.Write, "actions": scope.Read}, time.Hour
			}),
			[]problem.Mismatch{
				{Rule: "acme/.github/curfew.yaml:10 grants.deploy.permissions.actions", Claim: "permissions", Expected: "actions:none", Got: "actions:read"},
				{Rule: "acme/.github/curfew.yaml:10 grants.deploy.permissions.contents", Claim: "permissions", Expected: "contents:read", Got: "contents:write"},
				{Rule: "acme/.github/curfew.yaml:11 grants.deploy.duration.max", Claim: "duration", Expected: "at most 30m", Got: "1h"},
			},
			"ask for at most contents:read deployments:write issues:write for 30m, or raise the grant in acme/.github/curfew.yaml"},
		{"the grant's own permissions above both ceilings", permissions(nil),
			[]problem.Mismatch{
				{Rule: "acme.yaml:4 ceiling.permissions.issues", Claim: "permissions", Expected: "issues:read", Got: "issues:write"},
				{Rule: "acme/.github/curfew.yaml:3 ceiling.permissions.deployments", Claim: "permissions", Expected: "deployments:read", Got: "deployments:write"},
			},
			"the grant deploy itself goes above the ceiling: ask for less, or lower the grant in acme/.github/curfew.yaml"},
		{"a duration above the ceiling", lasting(90 * time.Second * 15),
			[]problem.Mismatch{{Rule: "acme/.github/curfew.yaml:4 ceiling.duration", Claim: "duration", Expected: "at most 20m", Got: "22m30s"}},
			"ask for less; only who keeps the file with the ceiling can raise it"},
	} {
		p := bounded.with(row.change).decide(t).Refusal
		if diff := cmp.Diff(row.want, p.Mismatches); diff != "" || p.Hint != row.hint {
			t.Errorf("%s: the hint is %q (-want +got):\n%s", row.why, p.Hint, diff)
		}
	}
}

func TestCeilingWithoutPermissionsAllowsNone(t *testing.T) {
	decides(t, deploying, []row{
		{"a ceiling that lists nothing", func(s *scene) { s.operator += "ceiling: { duration: 1h }\n" }, problem.AboveCeiling},
		{"a ceiling that lists another", func(s *scene) { s.operator += "ceiling: { permissions: { contents: write } }\n" }, problem.AboveCeiling},
		{"a ceiling that lists both", func(s *scene) { s.operator += "ceiling: { permissions: { contents: write, deployments: write } }\n" }, ""},
	})
}

func TestReasons(t *testing.T) {
	wanting := func(rule string) scene {
		return releasing.with(func(s *scene) { s.repository += "    reason: { " + rule + " }\n" }, because("OPS-12 rotate keys"))
	}
	decides(t, wanting("required: true"), []row{
		{"no reason", because(""), problem.ReasonRequired},
		{"blanks for a reason", because(" \t\n"), problem.ReasonRequired},
		{"one letter", because("x"), ""},
		{"1024 bytes", because(strings.Repeat("x", 1024)), ""},
		{"1025 bytes", because(strings.Repeat("x", 1025)), problem.ReasonRequired},
	})
	decides(t, wanting(`required: true, pattern: "[A-Z]+-[0-9]+ .+"`), []row{
		{"a text around the pattern", because("see OPS-12 rotate keys"), problem.ReasonRequired},
		{"a second line behind the pattern", because("OPS-12 rotate\nkeys"), problem.ReasonRequired},
		{"a newline behind the pattern", because("OPS-12 rotate keys\n"), problem.ReasonRequired},
		{"half of the pattern", because("OPS-12"), problem.ReasonRequired},
		{"no reason", because(""), problem.ReasonRequired},
	})
	decides(t, wanting(`pattern: "OPS|OPS-[0-9]+ .*"`), []row{
		{"the shorter alternative", because("OPS"), ""},
		{"no reason where none is required", because(""), ""},
		{"a wrong reason where none is required", because("because"), problem.ReasonRequired},
		{"blanks where none is required", because("  "), problem.ReasonRequired},
	})
	decides(t, wanting(`pattern: '\QOPS-12 rotate keys'`), []row{
		{"a pattern that quotes to its end still holds the whole text", because("OPS-12 rotate keys)"), problem.ReasonRequired},
	})
	decides(t, wanting("min: 10"), []row{
		{"ten characters of two bytes", because("ääääääääää"), ""},
		{"nine characters of two bytes", because("äääääääää"), problem.ReasonRequired},
		{"nine characters and blanks", because("123456789  "), problem.ReasonRequired},
		{"no reason where none is required", because(""), ""},
	})
}

func TestReasonRuleIsTold(t *testing.T) {
	s := releasing.with(func(s *scene) { s.repository += "    reason: { required: true, pattern: \"OPS-[0-9]+\" }\n" }, because("because"))
	want := []problem.Mismatch{{Rule: "acme/web/.github/curfew.yaml:11 grants.release.reason.pattern", Claim: "reason", Expected: "all of it as OPS-[0-9]+", Got: "because"}}
	if diff := cmp.Diff(want, s.decide(t).Refusal.Mismatches); diff != "" {
		t.Error(diff)
	}
}
