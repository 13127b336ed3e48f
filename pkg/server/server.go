// Package server is the HTTP face: routes, one handler that turns every answer
// and every refusal into bytes, the map from codes to statuses, limits, and
// health. It decides nothing; the hall does.
//
// The endpoints follow OAuth 2.0 where it has a standard: token exchange (RFC
// 8693), revocation (RFC 7009), metadata (RFC 8414), error bodies (RFC 6749
// section 5.2).
package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"sync/atomic"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/secret"
	"github.com/curfew-dev/curfew/pkg/store"
)

// A Hall carries out exchanges and endings; [*exchange.Hall] is one.
type Hall interface {
	Exchange(ctx context.Context, r exchange.Request) (*exchange.Issued, error)
	EndByToken(ctx context.Context, presented secret.Text, correlation string) error
	EndJob(ctx context.Context, token secret.Text, correlation string) (int, error)
	Withdraw(ctx context.Context, l lease.Lease, correlation string) error
}

// Leases lists leases for operators; [*store.Store] does.
type Leases interface {
	List(ctx context.Context, f store.Filter) (leases []lease.Lease, next string, err error)
}

// Options are what a [Server] is made of.
type Options struct {
	Origin string // public origin, canonical
	Web    string // canonical origin of GitHub's web pages, which resource URLs start with
	Hall   Hall
	Leases Leases
	// App names the GitHub App and its bot; an empty answer is fine while GitHub can't be reached.
	App func() githubapp.App
	// Ready says why the server can't issue tokens now, or nil.
	Ready func(ctx context.Context) error
	// OperatorTokens are the SHA-256 of the tokens that may use the operators' routes.
	OperatorTokens [][32]byte
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	Now            func() time.Time
	Log            *slog.Logger
}

// A Server answers HTTP requests. Make it with [New].
type Server struct {
	Options
	draining atomic.Bool
	issuing  share
	ending   share
}

// Exchanges and endings in flight are bounded apart, so that a storm of
// requests for tokens never keeps a token from being ended.
const (
	issuingAtOnce = 256
	endingAtOnce  = 256
)

// New makes a server.
func New(o Options) *Server {
	return &Server{Options: o, issuing: newShare(issuingAtOnce), ending: newShare(endingAtOnce)}
}

// Drain makes the server refuse new exchanges and report that it is not
// ready. Tokens can still be ended.
func (s *Server) Drain() { s.draining.Store(true) }

// Handler gives the public routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.route(mux, "POST", api.PathToken, s.token)
	s.route(mux, "POST", api.PathRevoke, s.revoke)
	s.route(mux, "POST", api.PathJobsEnd, s.endJob)
	s.route(mux, "GET", api.PathLeases, s.leases)
	s.route(mux, "GET", api.PathMetadata, s.metadata)
	s.route(mux, "GET", "/healthz", s.healthz)
	s.route(mux, "GET", "/readyz", s.readyz)
	nowhere := s.handle("/", notFound)
	mux.Handle("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Clean(r.URL.Path) != r.URL.Path {
			nowhere.ServeHTTP(w, r) // the mux would redirect, and a credential is not sent around
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// route serves one method of a path, and refuses the others by name. GET serves HEAD too.
func (s *Server) route(mux *http.ServeMux, method, path string, f answer) {
	allowed := method
	if method == http.MethodGet {
		allowed += ", " + http.MethodHead
	}
	mux.Handle(method+" "+path, s.handle(path, f))
	mux.Handle(path, s.handle(path, methodNotAllowed(allowed)))
}

// HTTPServer wraps a handler with the time-outs and limits of the public face.
func HTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
