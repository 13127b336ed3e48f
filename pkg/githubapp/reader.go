package githubapp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

const (
	tokenLife   = time.Hour
	lifeSlack   = 2 * time.Minute // clocks differ
	revokeGrace = 5 * time.Second
)

// Reader mints a token for the server's own use on repositories known by name,
// and returns with it what GitHub says it can do, which tells their ids. Here
// the answer is compared: a token that can do more, or anything else than
// asked, is ended at once and refused ([problem.AnswerTooWide]). Other refusals
// are those of [Client.Mint].
func (c *Client) Reader(ctx context.Context, owner string, repositories []string, permissions scope.Permissions) (secret.Text, scope.Granted, error) {
	names := distinct(repositories)
	body, err := namedBody(names, permissions)
	if err != nil {
		return secret.Text{}, scope.Granted{}, err
	}
	token, got, err := c.mint(ctx, order{owner, 0, names, permissions, body})
	if err != nil {
		return secret.Text{}, scope.Granted{}, err
	}
	if differs := c.differs(got, owner, names, permissions); differs != "" {
		c.discard(ctx, token)
		return secret.Text{}, scope.Granted{}, problem.New(problem.AnswerTooWide, "GitHub's answer is not what was asked for").
			WithCause(errors.New("reader token: " + differs))
	}
	return token, got, nil
}

// distinct drops names that differ in case alone.
func distinct(names []string) []string {
	var kept []string
	for _, name := range names {
		if !slices.ContainsFunc(kept, func(k string) bool { return strings.EqualFold(k, name) }) {
			kept = append(kept, name)
		}
	}
	return kept
}

// differs says in what GitHub's answer is not what was asked for, or nothing.
func (c *Client) differs(got scope.Granted, owner string, names []string, permissions scope.Permissions) string {
	if !strings.EqualFold(got.Owner, owner) {
		return "another owner"
	}
	if len(got.Repositories) != len(names) {
		return "another number of repositories"
	}
	for _, name := range names {
		if !slices.ContainsFunc(got.Repositories, func(r scope.Repository) bool { return strings.EqualFold(r.Name, name) }) {
			return "another repository"
		}
	}
	if beyond := got.Permissions.Beyond(permissions); len(beyond) > 0 && (!slices.Equal(beyond, []string{"metadata"}) || got.Permissions["metadata"] > scope.Read) {
		return "more permissions"
	}
	if !permissions.Within(got.Permissions) {
		return "fewer permissions"
	}
	if now := c.now(); !got.ExpiresAt.After(now) || got.ExpiresAt.After(now.Add(tokenLife+lifeSlack)) {
		return "another lifetime"
	}
	return ""
}

// discard ends a token that must not be used, also when the caller is gone.
func (c *Client) discard(ctx context.Context, token secret.Text) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeGrace)
	defer cancel()
	if _, err := c.Revoke(ctx, token); err != nil {
		c.log.Error("a reader token that must not be used could not be ended; it lives for an hour", "error", err)
	}
}
