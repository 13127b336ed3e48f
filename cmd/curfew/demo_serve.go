//go:build !slim

package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// stayUp keeps the stage until ctx ends, and says how to talk to it.
func (s *stage) stayUp(ctx context.Context, t terminal) error {
	started, err := s.github.StartJob(simulator.Job{
		Owner: "acme", Repo: "web", RunID: 9000, RunNumber: 1, RunAttempt: 1, Workflow: "release",
		WorkflowPath: ".github/workflows/release.yml", Name: "release", Ref: main0, Event: "push", Actor: "octocat", ActorID: 583231,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, `
A job of acme/web on main is running at the simulated GitHub. Each OIDC token buys one exchange.

1. Get the job's OIDC token, as a step of the job would:

   OIDC=$(curl -s -H 'Authorization: bearer %s' \
     '%s&audience=%s' | jq -r .value)

2. Exchange it:

   curl -s %s/v1/token \
     -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
     -d subject_token_type=urn:ietf:params:oauth:token-type:jwt \
     -d subject_token="$OIDC" -d grant=release -d scope=contents:read

3. Use the access_token of the answer, and end it:

   curl -s -H "Authorization: Bearer $TOKEN" %s/repos/acme/web
   curl -s %s/v1/revoke -d token="$TOKEN"

GitHub's back door, with the log of mints and deletes: %s/
Ctrl-C ends all of it.
`, started.IDTokenRequestToken, started.IDTokenURL, url.QueryEscape(s.serverURL), s.serverURL, s.api(), s.serverURL, s.github.ManageURL)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
