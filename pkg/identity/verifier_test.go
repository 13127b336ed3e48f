package identity

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/problem"
)

func TestKeyIds(t *testing.T) {
	for kid, good := range map[string]bool{
		"a": true, "Z-_9": true, strings.Repeat("k", 128): true,
		"": false, strings.Repeat("k", 129): false, "a.b": false, "a b": false, "a/b": false, "\u00e9": false, "a\n": false,
	} {
		i := newIssuer(t)
		_, err := i.verifier(t, atNoon).Verify(t.Context(), i.draft().head("kid", quote(kid)).String())
		// A kid in good form gets as far as being looked up.
		if want := map[bool]problem.Code{true: problem.UnknownKey, false: problem.Malformed}[good]; !problem.Is(err, want) {
			t.Errorf("kid %q: %v, want %s", kid, err, want)
		}
	}
}

func TestVerifyTellsTheWorkload(t *testing.T) {
	i := newIssuer(t)
	got, err := i.verifier(t, atNoon).Verify(t.Context(), i.draft().String())
	if err != nil {
		t.Fatal(err)
	}
	sha := "0123456789012345678901234567890123456789"
	want := Workload{
		Issuer: i.URL, Subject: "repo:acme@1001/web@3002:ref:refs/heads/main", JTI: "6f4e2a52-4f0b-4c5b-8f41-b1a0f5ad4c11",
		IssuedAt: noon.Add(-10 * time.Second), Expires: noon.Add(290 * time.Second),
		Repository: "acme/web", RepositoryID: 3002, RepositoryOwner: "acme", RepositoryOwnerID: 1001,
		RunID: 4004, RunNumber: 31, RunAttempt: 2, CheckRunID: 5005,
		Ref: "refs/heads/main", EventName: "push", Workflow: "Release",
		WorkflowRef: "acme/web/.github/workflows/release.yml@refs/heads/main",
		JobWorkflow: "acme/web/.github/workflows/release.yml@refs/heads/main",
		Runner:      "github-hosted", Actor: "mona", ActorID: 77,
		OtherClaims: map[string]string{
			"base_ref": "", "head_ref": "", "job_workflow_sha": sha, "ref_protected": "true", "ref_type": "branch",
			"repository_visibility": "private", "sha": sha, "workflow_sha": sha,
		},
		RepoProperty: map[string]string{"tier": "gold"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Job() != (Job{i.URL, 3002, 4004, 2, 5005}) {
		t.Errorf("Job() = %v", got.Job())
	}
}

// TestClaimsGivesBackTheToken: every non-empty string claim of the token comes back under its own name.
func TestClaimsGivesBackTheToken(t *testing.T) {
	i := newIssuer(t)
	raw := i.draft().String()
	w, err := i.verifier(t, atNoon).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	token, err := parseObject(payload, claimLimit)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, claim := range token {
		if text := fmt.Sprint(claim.value); text != "" && claim.name != "aud" && claim.name != "nbf" {
			want[claim.name] = text
		}
	}
	if diff := cmp.Diff(want, w.Claims()); diff != "" {
		t.Error(diff)
	}
}

func TestVerifyAccepts(t *testing.T) {
	tests := []struct {
		name string
		bend func(d *draft)
	}{
		{"typ and x5t left out", func(d *draft) { d.head("typ", "").head("x5t", "") }},
		{"check_run_id as an integer", func(d *draft) { d.claim("check_run_id", "5005") }},
		{"check_run_id left out, as on GHES", func(d *draft) { d.claim("check_run_id", "") }},
		{"nbf left out", func(d *draft) { d.claim("nbf", "") }},
		{"run_number left out", func(d *draft) { d.claim("run_number", "") }},
		{"an empty ref", func(d *draft) { d.claim("ref", `""`) }},
		{"an environment", func(d *draft) { d.claim("environment", `"production"`) }},
		{"the classic sub", func(d *draft) { d.claim("sub", `"repo:acme/web:environment:a@b"`) }},
		{"a sub that an admin rewrote", func(d *draft) { d.claim("sub", `"runner_environment:self-hosted@1"`) }},
		{"an owner in another case", func(d *draft) { d.claim("repository_owner", `"ACME"`) }},
		{"the greatest id", func(d *draft) { d.claim("actor_id", `"9223372036854775807"`) }},
		{"a claim of 1 KiB", func(d *draft) { d.claim("workflow", quote(strings.Repeat("x", 1024))) }},
		{"a property of 4 KiB", func(d *draft) { d.claim("repo_property_tier", quote(strings.Repeat("x", 4096))) }},
		{"64 members", func(d *draft) {
			for n := len(d.payload); n < 64; n++ {
				d.claim(fmt.Sprintf("extra_%d", n), "1")
			}
		}},
		{"eight levels", func(d *draft) { d.claim("extra", strings.Repeat("[", 7)+strings.Repeat("]", 7)) }},
		{"an unknown claim in upper case", func(d *draft) { d.claim("Tenant", `"x"`) }},
		{"an escaped emoji", func(d *draft) { d.claim("workflow", `"\ud83d\ude80"`) }},
		{"jti of 128 characters", func(d *draft) { d.claim("jti", quote(strings.Repeat("j", 128))) }},
	}
	i := newIssuer(t)
	v := i.verifier(t, atNoon)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := i.draft()
			test.bend(d)
			if _, err := v.Verify(t.Context(), d.String()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRefusalsCostNoNetwork: what fails before the key lookup asks the issuer nothing.
func TestRefusalsCostNoNetwork(t *testing.T) {
	for _, trick := range slices.Concat(spellings, headers, payloads, timings) {
		i := newIssuer(t)
		if _, err := i.verifier(t, atNoon).Verify(t.Context(), trick.make(i, i.draft())); err == nil {
			t.Errorf("%s: accepted", trick.name)
		}
		if n := i.fetched(); n != 0 {
			t.Errorf("%s: %d fetches", trick.name, n)
		}
	}
}

func TestOneIssuerCanNotSpeakForAnother(t *testing.T) {
	github, ghes := newIssuer(t), newIssuer(t)
	v, err := NewVerifier(Options{Issuers: []string{github.URL, ghes.URL}, Audience: audience, Now: atNoon})
	if err != nil {
		t.Fatal(err)
	}
	other := mustKey(2048)
	ghes.publish(jwkOf("ghes", &other.PublicKey))
	w, err := v.Verify(t.Context(), ghes.draft().signedBy("ghes", other).String())
	if err != nil || w.Issuer != ghes.URL {
		t.Errorf("of its own: %v, issuer %q", err, w.Issuer)
	}
	_, err = v.Verify(t.Context(), github.draft().signedBy("ghes", other).String())
	refused(t, err, problem.UnknownKey)
	_, err = v.Verify(t.Context(), github.draft().signedBy(goodKid, other).String())
	refused(t, err, problem.BadSignature)
}

func TestNewVerifierRefuses(t *testing.T) {
	good := Options{Issuers: []string{"https://token.actions.githubusercontent.com"}, Audience: audience, Now: atNoon}
	if _, err := NewVerifier(good); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		bend func(o *Options)
	}{
		{"no issuer", func(o *Options) { o.Issuers = nil }},
		{"an issuer twice", func(o *Options) { o.Issuers = []string{o.Issuers[0], o.Issuers[0]} }},
		{"no audience", func(o *Options) { o.Audience = "" }},
		{"no clock", func(o *Options) { o.Now = nil }},
	}
	for _, test := range tests {
		o := good
		test.bend(&o)
		if _, err := NewVerifier(o); err == nil {
			t.Errorf("%s: accepted", test.name)
		}
	}
}

func TestIssuerAddresses(t *testing.T) {
	tests := []struct {
		issuer string
		good   bool
	}{
		{"https://token.actions.githubusercontent.com", true},
		{"https://token.actions.githubusercontent.com/octo-enterprise", true},
		{"https://token.actions.acme.ghe.com", true},
		{"https://ghes.example:8443/_services/token", true},
		{"http://127.0.0.1:4000", true},
		{"http://[::1]:4000", true},
		{"http://localhost:4000", true},
		{"http://ghes.example", false},
		{"http://127.0.0.1.example", false},
		{"https://token.actions.githubusercontent.com/", false},
		{"https://ghes.example/_services/token/", false},
		{"https://ghes.example/_services//token", false},
		{"https://ghes.example/a/../token", false},
		{"https://ghes.example/%74oken", false},
		{"https://GHES.example", false},
		{"HTTPS://ghes.example", false},
		{"https://ghes.example:443", false},
		{"http://127.0.0.1:80", false},
		{"https://ghes.example:", false},
		{"https://user@ghes.example", false},
		{"https://ghes.example?", false},
		{"https://ghes.example#", false},
		{"https://", false},
		{"https://:8443", false},
		{"ftp://ghes.example", false},
		{"ghes.example", false},
		{"", false},
	}
	for _, test := range tests {
		if _, err := parseIssuer(test.issuer); (err == nil) != test.good {
			t.Errorf("%q: %v, want good %v", test.issuer, err, test.good)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	i := newIssuer(b)
	v := i.verifier(b, atNoon)
	raw := i.draft().String()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
	}
}
