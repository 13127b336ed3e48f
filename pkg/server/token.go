package server

import (
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// token is the token exchange (RFC 8693). The answer's times are the curfew,
// not GitHub's hour.
func (s *Server) token(c *call) (any, error) {
	if s.draining.Load() {
		return nil, problem.New(problem.Draining, "the server is shutting down").WithRetryAfter(5 * time.Second)
	}
	r, err := s.tokenRequest(c)
	if err != nil {
		return nil, err
	}
	leave, err := s.issuing.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	issued, err := s.Hall.Exchange(c.Context(), r)
	if err != nil {
		return nil, err
	}
	if r.DryRun {
		return s.decided(issued.Decision), nil
	}
	c.undelivered = func() {
		if err := s.Hall.Withdraw(c.Context(), issued.Lease, c.correlation); err != nil {
			s.Log.Error("a lease whose token was not delivered could not be ended; its curfew will", "lease_id", issued.Lease.ID, "error", err)
		}
	}
	return s.granted(issued), nil
}

// granted is the answer that holds the token.
func (s *Server) granted(i *exchange.Issued) api.TokenResponse {
	l, app := i.Lease, s.App()
	t := s.decided(i.Decision)
	t.AccessToken, t.TokenSHA256 = i.Token, i.Token.DigestBase64()
	t.RevocationHandle = i.Handle
	t.LeaseID, t.ExpiresAt = l.ID, l.ExpiresAt
	t.ExpiresIn = int(l.ExpiresAt.Sub(s.Now()).Round(time.Second) / time.Second)
	t.Repositories, t.Permissions = l.Scope.Repositories, api.PermissionsOf(l.Scope.Permissions)
	t.Scope = t.Permissions.String()
	t.AppSlug, t.GitUserName, t.GitUserEmail = app.Slug, app.BotName, app.BotEmail
	return t
}

// decided is what a decision alone can tell: the answer to a dry run.
func (s *Server) decided(d policy.Decision) api.TokenResponse {
	return api.TokenResponse{
		IssuedTokenType: api.TokenTypeAccessToken, TokenType: "Bearer",
		ExpiresIn: int(d.Curfew / time.Second), ExpiresAt: s.Now().Add(d.Curfew),
		Grant: d.Grant, Owner: d.Scope.Owner, Scope: d.Scope.Permissions.String(),
		Repositories: d.Scope.Repositories, Permissions: api.PermissionsOf(d.Scope.Permissions),
	}
}
