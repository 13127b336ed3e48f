package server

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// A call is one request with what every answer needs to know of it.
type call struct {
	*http.Request
	correlation string
	// undelivered is called if the answer could not be written.
	undelivered func()
	header      http.Header
}

// An answer computes what to send: a value for JSON, or a refusal.
type answer func(c *call) (any, error)

// handle is the one place where answers and refusals become bytes.
func (s *Server) handle(route string, f answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.Now()
		c := &call{Request: r, correlation: uuid.Must(uuid.NewV7()).String(), header: w.Header()}
		status := http.StatusOK
		value, err := f(c)
		body := []byte(nil)
		if err == nil {
			body, err = encode(value)
		}
		if err != nil {
			p := problem.From(err)
			status = statusOf(p.Code)
			body, _ = json.Marshal(refusal(p, c.correlation)) // it is made of texts alone
			retryAfter(w.Header(), p)
		}
		if lost := s.write(w, c, status, body); (lost != nil || err != nil) && c.undelivered != nil {
			c.undelivered()
		}
		s.access(route, c, status, s.Now().Sub(start), err)
	})
}

// write sends an answer down to the socket, or says why nobody took it.
func (s *Server) write(w http.ResponseWriter, c *call, status int, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Correlation-Id", c.correlation)
	w.WriteHeader(status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		return err
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		return err
	}
	return c.Context().Err()
}

// encode turns an answer into bytes. One that holds secrets brings its own way
// of revealing them.
func encode(body any) ([]byte, error) {
	if revealing, ok := body.(interface{ Body() ([]byte, error) }); ok {
		return revealing.Body()
	}
	return json.Marshal(body)
}

// access logs one line a request. Health checks are not worth one.
func (s *Server) access(route string, c *call, status int, took time.Duration, err error) {
	level := slog.LevelInfo
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	case route == "/healthz" || route == "/readyz":
		level = slog.LevelDebug
	}
	attributes := []slog.Attr{
		slog.String("correlation_id", c.correlation), slog.String("method", c.Method), slog.String("route", route),
		slog.Int("status", status), slog.String("client", s.client(c.Request)), slog.Duration("took", took),
	}
	if err != nil {
		attributes = append(attributes, slog.Any("error", err))
	}
	s.Log.LogAttrs(c.Context(), level, "request", attributes...)
}

// refusal is the one error body (RFC 6749 section 5.2, extended).
func refusal(p *problem.Problem, correlation string) api.ErrorBody {
	return api.ErrorBody{
		Error: oauthError(p.Code), ErrorDescription: p.Detail, Code: p.Code,
		Retryable: p.Code.Retryable(), CorrelationID: correlation, Hint: p.Hint, Details: p.Mismatches,
	}
}

// retryAfter rounds up to whole seconds; a refusal that can be retried always names a time.
func retryAfter(h http.Header, p *problem.Problem) {
	if !p.Code.Retryable() {
		return
	}
	seconds := max(1, int64((p.RetryAfter+time.Second-1)/time.Second))
	h.Set("Retry-After", strconv.FormatInt(seconds, 10))
}

// client is the address of who asks: the peer, or what a trusted proxy says of
// it. The rightmost address that is not a trusted proxy's counts.
func (s *Server) client(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	address := peer.Addr().Unmap()
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0 && s.trusts(address); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break
		}
		address = next.Unmap().WithZone("") // a zone is free text
	}
	return address.String()
}

func (s *Server) trusts(a netip.Addr) bool {
	for _, network := range s.TrustedProxies {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

func notFound(c *call) (any, error) {
	return nil, problem.New(problem.NotFound, "there is nothing at this address").
		WithHint("GET /.well-known/oauth-authorization-server lists the endpoints")
}

func methodNotAllowed(allowed string) answer {
	return func(c *call) (any, error) {
		c.header.Set("Allow", allowed)
		return nil, problem.New(problem.MethodNotAllowed, "this address takes %s only", allowed)
	}
}
