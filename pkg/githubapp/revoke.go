package githubapp

import (
	"context"
	"net/http"

	"github.com/curfew-dev/curfew/pkg/secret"
)

// Revoke ends a token, in one try. It returns GitHub's status, or 0 if no answer
// came: 204 when the token was ended and 401 when it was dead already, both
// without an error; anything else with one ([problem.RateLimited],
// [problem.InstallationSuspended], [problem.GitHubError]).
// https://docs.github.com/en/rest/apps/installations#revoke-an-installation-access-token
func (c *Client) Revoke(ctx context.Context, token secret.Text) (status int, err error) {
	return c.askToken(ctx, token, http.MethodDelete, "installation/token", http.StatusNoContent)
}

// Probe tells whether a token works, in one try: status 200 means that it is
// alive and 401 that it is dead, both without an error; anything else, or no
// answer (status 0), proves nothing and comes with an error as in [Client.Revoke].
// https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation
func (c *Client) Probe(ctx context.Context, token secret.Text) (status int, err error) {
	return c.askToken(ctx, token, http.MethodGet, "installation/repositories?per_page=1", http.StatusOK)
}

func (c *Client) askToken(ctx context.Context, token secret.Text, method, path string, good int) (int, error) {
	if token.Empty() {
		return 0, noAnswer(errEmptyToken)
	}
	a, err := c.do(ctx, call{method: method, path: path, token: token})
	if err != nil {
		return 0, noAnswer(err)
	}
	if a.status == good || a.status == http.StatusUnauthorized {
		return a.status, nil
	}
	return a.status, c.refusal(a)
}
