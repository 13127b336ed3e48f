package simulator_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// idToken asks as the runner does.
func (s *stage) idToken(j simulator.StartedJob, audience string) response {
	s.t.Helper()
	path := strings.TrimPrefix(j.IDTokenURL, s.URL)
	if audience != "" {
		path += "&audience=" + audience
	}
	return s.ask("GET", path, j.IDTokenRequestToken, nil)
}

// verified returns the claims of a token that go-oidc accepts.
func (s *stage) verified(token, audience string) (object, error) {
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, s.Issuer())
	if err != nil {
		return nil, err
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: audience, Now: s.clock.Now})
	parsed, err := verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	var claims object
	return claims, parsed.Claims(&claims)
}

func TestTheClaimsOfAJob(t *testing.T) {
	s := newStage(t)
	_, err := s.AddRepository(simulator.Repository{
		Owner: "acme", Name: "ops", ID: 3001, ImmutableSubject: true, Properties: map[string]string{"tier": "gold"},
	})
	s.must(err)
	job, err := s.StartJob(simulator.Job{
		Owner: "acme", Repo: "ops", WorkflowPath: ".github/workflows/deploy.yml", Workflow: "Deploy", Environment: "production",
		SHA: strings.Repeat("a", 40), RunAttempt: 2, RunNumber: 7, Event: "workflow_dispatch",
		JobWorkflowRef: "acme/shared/.github/workflows/roll.yml@refs/tags/v1",
	})
	s.must(err)
	const audience = "https://curfew.example.com"
	claims, err := s.verified(s.idToken(job, audience).json(t)["value"].(string), audience)
	s.must(err)
	now := float64(s.clock.Now().Unix())
	if claims["jti"] == "" {
		t.Error("there is no jti")
	}
	delete(claims, "jti")
	want := object{
		"iss": s.URL + "/_services/token", "sub": "repo:acme@1001/ops@3001:environment:production", "aud": audience,
		"iat": now, "nbf": now - 300, "exp": now + 300,
		"actor": "octocat", "actor_id": "583231", "base_ref": "", "head_ref": "", "check_run_id": "30001",
		"enterprise": "simulated-enterprise", "enterprise_id": "1", "environment": "production",
		"event_name": "workflow_dispatch", "job_workflow_ref": "acme/shared/.github/workflows/roll.yml@refs/tags/v1",
		"job_workflow_sha": strings.Repeat("a", 40), "ref": "refs/heads/main", "ref_type": "branch",
		"repository": "acme/ops", "repository_id": "3001", "repository_owner": "acme", "repository_owner_id": "1001",
		"repository_visibility": "public", "run_id": "70001", "run_number": "7", "run_attempt": "2",
		"runner_environment": "github-hosted", "sha": strings.Repeat("a", 40), "workflow": "Deploy",
		"workflow_ref": "acme/ops/.github/workflows/deploy.yml@refs/heads/main", "workflow_sha": strings.Repeat("a", 40),
		"repo_property_tier": "gold",
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestTheShapesOfSub(t *testing.T) {
	s := newStage(t)
	for _, row := range []struct {
		job  simulator.Job
		want string
	}{
		{simulator.Job{}, "repo:acme/web:ref:refs/heads/main"},
		{simulator.Job{Ref: "refs/tags/v1"}, "repo:acme/web:ref:refs/tags/v1"},
		{simulator.Job{Event: "pull_request", Ref: "refs/pull/3/merge", HeadRef: "topic", BaseRef: "main"}, "repo:acme/web:pull_request"},
		{simulator.Job{Environment: "a:b"}, "repo:acme/web:environment:a%3Ab"},
	} {
		row.job.Owner, row.job.Repo = "acme", "web"
		if got := s.claim(row.job, "sub"); got != row.want {
			t.Errorf("got %v, want %s", got, row.want)
		}
	}
	s.must(s.RenameRepository("acme", "web", "site"))
	if got := s.claim(simulator.Job{Owner: "acme", Repo: "site"}, "sub"); got != "repo:acme@1001/site@2001:ref:refs/heads/main" {
		t.Errorf("after renaming: got %v, want ids in it", got)
	}
}

// claim is what a new job's token says under that name.
func (s *stage) claim(j simulator.Job, name string) (value any) {
	s.t.Helper()
	started, err := s.StartJob(j)
	s.must(err)
	_, err = s.IDToken(started.ID, "", func(claims object) { value = claims[name] })
	s.must(err)
	return value
}

func TestAskingForAnIDToken(t *testing.T) {
	s := newStage(t)
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	sibling, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	silent, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web", NoOIDC: true})
	s.must(err)
	if silent.IDTokenURL != "" || silent.IDTokenRequestToken != "" {
		t.Error("a job without id-token: write gets the means to ask")
	}
	if !strings.Contains(job.IDTokenURL, "?") {
		t.Errorf("%s has no query", job.IDTokenURL)
	}
	stolen := job
	stolen.IDTokenRequestToken = sibling.IDTokenRequestToken
	nobody := job
	nobody.IDTokenRequestToken = ""
	for about, row := range map[string]struct {
		job  simulator.StartedJob
		want int
	}{
		"its own request token": {job, 200}, "another job's": {stolen, 401}, "none": {nobody, 401},
	} {
		if r := s.idToken(row.job, "x"); r.StatusCode != row.want {
			t.Errorf("%s: got %d, want %d", about, r.StatusCode, row.want)
		}
	}
	first, second := s.idToken(job, "x").json(t)["value"], s.idToken(job, "x").json(t)["value"]
	if first == second {
		t.Error("two requests gave one token: its jti must be new")
	}
	if _, err := s.verified(s.idToken(job, "").json(t)["value"].(string), "https://github.com/acme"); err != nil {
		t.Errorf("without an audience: %v", err)
	}
	s.must(s.FinishJob(job.ID, "success"))
	if r := s.idToken(job, "x"); r.StatusCode != http.StatusOK {
		t.Errorf("after the job: got %d, want 200", r.StatusCode)
	}
	s.clock.Add(6 * time.Hour)
	if r := s.idToken(job, "x"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("after six hours: got %d, want 401", r.StatusCode)
	}
}

func TestAnOldKeyStaysForOneRotation(t *testing.T) {
	s := newStage(t)
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	old, err := s.IDToken(job.ID, "x", nil)
	s.must(err)
	_, err = s.RotateKey()
	s.must(err)
	fresh, err := s.IDToken(job.ID, "x", nil)
	s.must(err)
	for about, token := range map[string]string{"the old token": old, "the new one": fresh} {
		if _, err := s.verified(token, "x"); err != nil {
			t.Errorf("after one rotation, %s: %v", about, err)
		}
	}
	_, err = s.RotateKey()
	s.must(err)
	if _, err := s.verified(old, "x"); err == nil {
		t.Error("after two rotations the first key still verifies")
	}
	if _, err := s.verified(fresh, "x"); err != nil {
		t.Errorf("after two rotations, the second key: %v", err)
	}
}

func TestHostileTokensCanBeMade(t *testing.T) {
	s := newStage(t)
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	token, err := s.IDToken(job.ID, "x", func(claims object) {
		claims["repository_owner_id"] = "1"
		delete(claims, "jti")
	})
	s.must(err)
	claims, err := s.verified(token, "x")
	s.must(err)
	if _, ok := claims["jti"]; ok || claims["repository_owner_id"] != "1" {
		t.Errorf("the edit didn't reach the token: %v", claims)
	}
	odd, err := s.SignJWT(object{"alg": "none", "kid": nil, "crit": []string{"x"}}, object{"iss": s.Issuer()})
	s.must(err)
	if want := "eyJhbGciOiJub25lIiwiY3JpdCI6WyJ4Il0s"; !strings.HasPrefix(odd, want) {
		t.Errorf("the header's members weren't replaced: %s", odd)
	}
}

func TestTheIssuersCallsAreLogged(t *testing.T) {
	s := newStage(t)
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	_, err = s.verified(s.idToken(job, "x").json(t)["value"].(string), "x")
	s.must(err)
	var routes []string
	for _, c := range s.Calls() {
		routes = append(routes, c.Route)
		if c.Status != http.StatusOK || strings.Contains(c.Path, "?") {
			t.Errorf("logged as %v", c)
		}
	}
	if want := []string{"id_token", "discovery", "jwks"}; !slices.Equal(routes, want) {
		t.Errorf("got %v, want %v", routes, want)
	}
	s.ResetCalls()
	if n := len(s.Calls()); n != 0 {
		t.Errorf("%d calls are left after the reset", n)
	}
}
