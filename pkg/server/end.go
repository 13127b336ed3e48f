package server

import (
	"regexp"
	"strings"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// revoke ends the lease of an access token or of a revocation handle (RFC
// 7009). What is unknown or dead already is fine.
func (s *Server) revoke(c *call) (any, error) {
	form, err := c.form([]string{"token", "token_type_hint"})
	if err != nil {
		return nil, err
	}
	token := form.Get("token")
	if token == "" {
		return nil, problem.New(problem.BadForm, "token is missing").WithHint("send the access token or its revocation handle")
	}
	leave, err := s.ending.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return struct{}{}, unrecorded(s.Hall.EndByToken(c.Context(), secret.New(token), c.correlation))
}

// endJob ends the leases of the job that the bearer's OIDC token belongs to.
func (s *Server) endJob(c *call) (any, error) {
	token, err := c.bearer()
	if err != nil {
		return nil, err
	}
	leave, err := s.ending.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	ended, err := s.Hall.EndJob(c.Context(), token, c.correlation)
	return api.JobsEnded{Ended: ended}, unrecorded(err)
}

// unrecorded says 503 where an end could not be made durable (RFC 7009
// section 2.2.1), and leaves refusals of the request as they are.
func unrecorded(err error) error {
	if err == nil || problem.From(err).Code != problem.Internal {
		return err
	}
	return problem.New(problem.StoreUnavailable, "the end could not be recorded").WithCause(err)
}

// bearerToken is RFC 6750's b64token.
var bearerToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// bearer takes the token of an Authorization header (RFC 6750 section 2.1).
func (c *call) bearer() (secret.Text, error) {
	values := c.Header.Values("Authorization")
	if len(values) == 1 {
		scheme, token, _ := strings.Cut(values[0], " ")
		if strings.EqualFold(scheme, "Bearer") && bearerToken.MatchString(token) {
			return secret.New(token), nil
		}
	}
	return secret.Text{}, problem.New(problem.BadForm, "there is no Authorization header with one Bearer token")
}
