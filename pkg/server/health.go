package server

import (
	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// healthz says that the process answers.
func (s *Server) healthz(*call) (any, error) { return map[string]string{"status": "ok"}, nil }

// readyz says whether tokens can be issued now.
func (s *Server) readyz(c *call) (any, error) {
	if s.draining.Load() {
		return nil, problem.New(problem.Draining, "the server is shutting down")
	}
	if err := s.Ready(c.Context()); err != nil {
		return nil, err
	}
	return map[string]string{"status": "ready"}, nil
}

// metadata describes the endpoints (RFC 8414). There are no clients to
// authenticate: the OIDC token is the proof.
func (s *Server) metadata(*call) (any, error) { return api.MetadataOf(s.Origin), nil }
