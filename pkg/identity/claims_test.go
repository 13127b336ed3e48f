package identity

import (
	"slices"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// needed are the claims that something is decided on.
var needed = []string{
	"jti", "sub", "repository", "repository_id", "repository_owner", "repository_owner_id", "run_id", "run_attempt",
	"ref", "event_name", "workflow_ref", "job_workflow_ref", "runner_environment", "actor", "actor_id",
}

// workloadOf reads claims as if the signature had been checked.
func workloadOf(d *draft) (Workload, error) {
	claims, err := readClaims([]byte(jsonText(d.payload)))
	if err != nil {
		return Workload{}, err
	}
	return newWorkload("https://issuer.example", period{noon, noon}, claims)
}

func TestNeededClaims(t *testing.T) {
	for _, m := range goodDraft("https://issuer.example").payload {
		_, err := workloadOf(goodDraft("https://issuer.example").claim(m.name, ""))
		if want := slices.Contains(needed, m.name); (err != nil) != want {
			t.Errorf("without %s: %v, want a refusal %v", m.name, err, want)
		}
		if slices.Contains(needed, m.name) && m.name != "ref" {
			_, err := workloadOf(goodDraft("https://issuer.example").claim(m.name, `""`))
			refused(t, err, problem.BadClaims)
		}
	}
}

func TestEachClaimHasOneType(t *testing.T) {
	for name := range stringClaims {
		for _, raw := range []string{"1", "true", "null", "[]", "{}", `["x"]`} {
			_, err := readClaims([]byte(`{"` + name + `":` + raw + `}`))
			refused(t, err, problem.BadClaims)
		}
	}
	for _, raw := range []string{"true", "null", "[]", "{}"} {
		_, err := readClaims([]byte(`{"check_run_id":` + raw + `}`))
		refused(t, err, problem.BadClaims)
	}
}

func TestIds(t *testing.T) {
	tests := []struct {
		raw  string
		good bool
	}{
		{`"1"`, true},
		{`"9223372036854775807"`, true},
		{`"9223372036854775808"`, false},
		{`"10000000000000000000"`, false},
		{`"0"`, false},
		{`"01"`, false},
		{`"-1"`, false},
		{`"+1"`, false},
		{`"1_0"`, false},
		{`" 1"`, false},
		{`"1\n"`, false},
		{`"1.0"`, false},
		{`"1e3"`, false},
		{`"0x1"`, false},
		{`"\u0661"`, false},
		{`""`, false},
	}
	for _, name := range []string{"repository_id", "repository_owner_id", "run_id", "run_attempt", "run_number", "actor_id", "check_run_id"} {
		for _, test := range tests {
			d := goodDraft("https://issuer.example").claim(name, test.raw).claim("sub", `"x"`)
			if _, err := workloadOf(d); (err == nil) != test.good {
				t.Errorf("%s %s: %v, want good %v", name, test.raw, err, test.good)
			}
		}
	}
	for raw, good := range map[string]bool{"5005": true, "0": false, "-1": false, "1.0": false, "1e3": false, "9223372036854775808": false} {
		if _, err := workloadOf(goodDraft("https://issuer.example").claim("check_run_id", raw)); (err == nil) != good {
			t.Errorf("check_run_id %s: %v, want good %v", raw, err, good)
		}
	}
}

func TestRepositoryAgreesWithItsOwner(t *testing.T) {
	tests := []struct {
		repository, owner string
		good              bool
	}{
		{"acme/web", "acme", true},
		{"Acme/web", "aCME", true},
		{"octo_corp/.github", "octo_corp", true},
		{"acme/a.b-c_d", "acme", true},
		{"acme/web", "acm", false},
		{"acme/web", "acme/web", false},
		{"acme/web", "a\u212ame", false},
		{"acme", "acme", false},
		{"acme/", "acme", false},
		{"/web", "", false},
		{"acme/web/x", "acme", false},
		{"acme/..", "acme", false},
		{"acme/.", "acme", false},
		{"acme/we b", "acme", false},
		{"acme/web\n", "acme", false},
		{"acme/web?x", "acme", false},
		{"acme/web@1", "acme", false},
	}
	for _, test := range tests {
		d := goodDraft("https://issuer.example").claim("repository", quote(test.repository)).claim("repository_owner", quote(test.owner))
		if _, err := workloadOf(d); (err == nil) != test.good {
			t.Errorf("%q of %q: %v, want good %v", test.repository, test.owner, err, test.good)
		}
	}
}

func TestIdsInsideSub(t *testing.T) {
	tests := []struct {
		sub  string
		good bool
	}{
		{"repo:acme@1001/web@3002:ref:refs/heads/main", true},
		{"repo:acme@1001/web@3002:environment:prod", true},
		{"repo:acme@1001/web@3002", true},
		{"repo:acme/web:ref:refs/heads/main", true},
		{"repo:acme/web:ref:refs/heads/user@1/x@2", true},
		{"environment:repo:acme@1/web@2", true},
		{"repo:acme@1/web@3002:ref:x", false},
		{"repo:acme@1001/web@3:ref:x", false},
		{"repo:acme@01001/web@3002:ref:x", false},
		{"repo:acme/web@3002:ref:x", false},
		{"repo:acme@1001/web:ref:x", false},
		{"repo:acme@/web@:ref:x", false},
		{"repo:acme@1001@1001/web@3002:ref:x", false},
		{"repo:acme@1001/x/web@3002:ref:x", false},
		{"repo:acme@1001 /web@3002:ref:x", false},
	}
	for _, test := range tests {
		if _, err := workloadOf(goodDraft("https://issuer.example").claim("sub", quote(test.sub))); (err == nil) != test.good {
			t.Errorf("%q: %v, want good %v", test.sub, err, test.good)
		}
	}
}

func TestRefusalsDoNotRepeatLongText(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier(t, atNoon)
	long := quote("https://" + strings.Repeat("evil", 200))
	for _, d := range []*draft{
		i.draft().claim("iss", long), i.draft().claim("aud", long), i.draft().head("kid", long), i.draft().head("typ", long),
		i.draft().claim("repository", long), i.draft().claim("run_id", long), i.draft().claim("sub", `"repo:`+strings.Repeat("evil", 200)+`@1/x@2"`),
	} {
		_, err := v.Verify(t.Context(), d.String())
		if p := problem.From(err); err == nil || len(p.Detail) > 200 {
			t.Errorf("%v", err)
		}
	}
}
