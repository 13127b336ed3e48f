package action

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/secret"
)

const (
	// endBudget bounds all tries to end a lease at the server.
	endBudget = 20 * time.Second
	// directBudget bounds the revocation at GitHub itself.
	directBudget = 10 * time.Second
)

// budgetFor is what a failing Main has left to end its lease in.
func budgetFor(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return hurriedBudget
	}
	return endBudget
}

// end ends the lease of s at the server, else its token at GitHub, and tells
// how it went. It goes on when ctx is cancelled.
func (p *phase) end(ctx context.Context, s state, budget time.Duration) {
	ctx = context.WithoutCancel(ctx)
	err := p.revoke(ctx, s, budget)
	if err == nil {
		p.say("lease %s is ended", s.lease)
		return
	}
	dead, direct := p.revokeAtGitHub(ctx, s.token)
	switch {
	case direct != nil:
		p.warn("lease %s could not be ended: %s; %s. The server ends the token at %s at the latest", s.lease, err, direct, s.expires.UTC().Format("2006-01-02 15:04:05 UTC"))
	case dead:
		p.say("the token of lease %s is dead already; the server could not be told: %s", s.lease, err)
	default:
		p.warn("lease %s could not be ended at the server (%s); its token was revoked at GitHub directly", s.lease, err)
	}
}

func (p *phase) revoke(ctx context.Context, s state, budget time.Duration) error {
	client, err := api.NewClient(s.server, p.http)
	if err != nil {
		return err
	}
	return p.retry(ctx, budget, func(ctx context.Context) error { return client.Revoke(ctx, s.handle) })
}

// endUnknown ends a lease of which at most a handle or token is known, and else
// all leases of this job, for there is no other name for it.
func (o *order) endUnknown(ctx context.Context, found secret.Text) {
	budget := budgetFor(ctx)
	ctx = context.WithoutCancel(ctx)
	if !found.Empty() {
		if err := o.mask(found.Reveal()); err == nil && o.revoke(ctx, state{server: o.client.Origin(), handle: found}, budget) == nil {
			o.say("the lease behind the answer is ended")
			return
		}
	}
	if ended, err := o.endJob(ctx, o.client, budget); err != nil {
		o.warn("a lease may be open and could not be ended yet: %s", err)
	} else {
		o.say("leases of this job ended: %d", ended)
	}
}

// endJob ends all leases of this job, proving with fresh OIDC tokens that it is this job that asks.
func (p *phase) endJob(ctx context.Context, client *api.Client, budget time.Duration) (ended int, err error) {
	err = p.retry(ctx, budget, func(ctx context.Context) error {
		oidc, err := p.idToken(ctx, client.Origin())
		if err == nil {
			ended, err = client.EndJob(ctx, oidc)
		}
		return err
	})
	return ended, err
}

// revokeAtGitHub revokes a token without the server, and tells whether it was
// dead before.
// https://docs.github.com/en/rest/apps/installations#revoke-an-installation-access-token
func (p *phase) revokeAtGitHub(ctx context.Context, token secret.Text) (dead bool, err error) {
	if token.Empty() {
		return false, errors.New("without the token GitHub can't be asked")
	}
	address, err := revocationAddress(p.Getenv("GITHUB_API_URL"))
	if err != nil {
		return false, err
	}
	err = p.retry(ctx, directBudget, func(ctx context.Context) error {
		status, err := p.sendDelete(ctx, address, token)
		switch {
		case err != nil:
			return &api.NoAnswer{Cause: err}
		case status == http.StatusUnauthorized:
			dead = true
		case status != http.StatusNoContent:
			return &unexpected{"GitHub", status}
		}
		return nil
	})
	return dead, err
}

func (p *phase) sendDelete(ctx context.Context, address string, token secret.Text) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, address, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Accept", "application/vnd.github+json")
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func revocationAddress(base string) (string, error) {
	if base == "" {
		base = "https://api.github.com"
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", errors.New("GITHUB_API_URL is not a URL")
	}
	if _, err := api.Origin(u.Scheme + "://" + u.Host); err != nil || u.User != nil || u.RawQuery != "" {
		return "", errors.New("GITHUB_API_URL is no place to send a token to")
	}
	return strings.TrimSuffix(base, "/") + "/installation/token", nil
}
