package githubapp

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

const (
	mintTries     = 3
	mintBackoff   = 100 * time.Millisecond
	mintAnswer    = 1 << 20  // bytes that the answer to a mint may have,
	perRepository = 16 << 10 // and more for each repository, which GitHub describes in full
)

// Mint asks GitHub for a token of exactly the wanted scope, by repository id,
// and returns what GitHub says the token can do. Comparing the two is the
// caller's: what GitHub's answer leaves unclear is missing from it, so that
// it compares as different. The token lives an hour and is the caller's to end.
//
// With [problem.MintIndeterminate] there may be a token that nobody knows; with
// any other refusal ([problem.NotInstalled], [problem.InstallationSuspended],
// [problem.NotGrantedToApp], [problem.RateLimited], [problem.GitHubError],
// [problem.TooManyRepositories], [problem.UnknownPermission]) there is none.
// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
func (c *Client) Mint(ctx context.Context, want scope.Scope) (secret.Text, scope.Granted, error) {
	body, err := mintBody(want)
	if err != nil {
		return secret.Text{}, scope.Granted{}, err
	}
	names := make([]string, len(want.Repositories))
	for i, r := range want.Repositories {
		names[i] = r.Name
	}
	return c.mint(ctx, order{want.Owner, want.OwnerID, names, want.Permissions, body})
}

// An order is a mint request whose body is written.
type order struct {
	owner       string
	ownerID     int64 // 0: whoever has the login
	names       []string
	permissions scope.Permissions
	body        []byte
}

// mint places an order. An installation that GitHub no longer knows under its
// remembered id is looked up again, once.
func (c *Client) mint(ctx context.Context, o order) (secret.Text, scope.Granted, error) {
	for again := false; ; again = true {
		at, err := c.installationOf(ctx, o)
		if err != nil {
			return secret.Text{}, scope.Granted{}, err
		}
		a, err := c.post(ctx, at.ID, o)
		if err != nil {
			return secret.Text{}, scope.Granted{}, err
		}
		if a.status == http.StatusNotFound && !again {
			c.installations.drop(o.owner, at.ID)
			continue
		}
		if !a.ok() {
			return secret.Text{}, scope.Granted{}, c.mintRefusal(a, o)
		}
		return readGranted(a)
	}
}

// installationOf finds the installation and makes sure that the login still is the owner that was meant.
func (c *Client) installationOf(ctx context.Context, o order) (Installation, error) {
	at, err := c.Installation(ctx, o.owner, o.names[0])
	if err != nil || o.ownerID == 0 || at.OwnerID == o.ownerID {
		return at, err
	}
	c.installations.drop(o.owner, at.ID)
	at, err = c.Installation(ctx, o.owner, o.names[0])
	if err == nil && at.OwnerID != o.ownerID {
		err = notInstalled(o.owner, o.names...).WithCause(errors.New("the login belongs to another owner id"))
	}
	return at, err
}

// post sends the mint request, again only if nothing of it was sent.
func (c *Client) post(ctx context.Context, installation int64, o order) (answer, error) {
	ask := call{
		method: http.MethodPost,
		path:   "app/installations/" + strconv.FormatInt(installation, 10) + "/access_tokens",
		body:   o.body,
		limit:  mintAnswer + perRepository*int64(len(o.names)),
	}
	for try := 1; ; try++ {
		a, err := c.do(ctx, ask)
		if err == nil && a.status < 500 {
			return a, nil
		}
		if err == nil {
			return answer{}, indeterminate(asCause(a))
		}
		var l *lost
		if errors.As(err, &l) && l.sent {
			return answer{}, indeterminate(err)
		}
		if try == mintTries || !pause(ctx, mintBackoff<<(try-1)) {
			return answer{}, noAnswer(err)
		}
	}
}

// pause waits for d and up to as long again, so that many callers do not return together.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d + rand.N(d)) //nolint:gosec // spreads callers, guards nothing
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func indeterminate(cause error) *problem.Problem {
	return problem.New(problem.MintIndeterminate, "GitHub's answer to the token request was lost").WithCause(cause)
}

func asCause(a answer) error { return errors.New(a.String()) }
