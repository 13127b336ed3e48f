package action

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"

	"github.com/sethvargo/go-githubactions"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// errNoIDToken says that the runner gave this job no way to an OIDC token.
var errNoIDToken = errors.New("this job has no id-token: write")

// noIDToken is what errNoIDToken tells people to do.
var noIDToken = []string{
	"This job can't prove who it is, because it lacks the permission id-token: write. Give it this block, with whatever else it needs:",
	"permissions:",
	"  id-token: write # lets the job prove who it is",
	"  contents: read # lets actions/checkout work",
	"A pull request from a fork can't have this permission; run what needs Curfew on push or workflow_dispatch instead.",
}

var compactJWT = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)

const maxIDToken = 16 << 10

// unexpected is an HTTP status that was not the one hoped for, from a server other than Curfew's.
type unexpected struct {
	who    string
	status int
}

func (u *unexpected) Error() string {
	return fmt.Sprintf("%s answered with status %d", u.who, u.status)
}

// passing tells whether the status may be another one in a moment.
func (u *unexpected) passing() bool {
	return u.status >= 500 || u.status == http.StatusTooManyRequests
}

// idToken gets a fresh OIDC token of this job for the audience, and masks it.
// https://docs.github.com/en/actions/reference/security/oidc
func (p *phase) idToken(ctx context.Context, audience string) (secret.Text, error) {
	if err := checkIDTokenURL(p.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL")); err != nil {
		return secret.Text{}, err
	}
	runner := githubactions.New(githubactions.WithGetenv(p.Getenv), githubactions.WithHTTPClient(p.http))
	value, err := runner.GetIDToken(ctx, audience)
	var missing *githubactions.EnvMissingError
	var refused *githubactions.RequestFailedError
	var lost *url.Error
	switch {
	case errors.As(err, &missing):
		return secret.Text{}, errNoIDToken
	case errors.As(err, &refused): // its text holds the answer's body
		return secret.Text{}, &unexpected{"GitHub's id-token address", refused.StatusCode}
	case errors.As(err, &lost): // without the URL, which names the request
		return secret.Text{}, &api.NoAnswer{Cause: fmt.Errorf("GitHub's id-token address: %w", lost.Err)}
	case err != nil || len(value) > maxIDToken || !compactJWT.MatchString(value):
		return secret.Text{}, errors.New("GitHub's id-token address answered without a token")
	}
	return secret.New(value), p.mask(value)
}

// checkIDTokenURL keeps the request token from travelling in the clear: an
// earlier step can set the address where the runner sets none.
func checkIDTokenURL(raw string) error {
	if raw == "" {
		return errNoIDToken
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && (u.Scheme != "http" || !api.Loopback(u.Hostname()))) {
		return errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not an https address, so it is not the runner's")
	}
	return nil
}
