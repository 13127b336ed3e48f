package server_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/problem"
)

func TestAGrantOverTheWire(t *testing.T) {
	s := newStage(t)
	// printf %s $canary | openssl dgst -sha256 -binary | base64
	const want = `{"access_token":"` + canary + `","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer",` +
		`"expires_in":600,"scope":"contents:write metadata:read","lease_id":"lease-1","expires_at":"2026-03-01T12:10:00Z","grant":"release",` +
		`"owner":"acme","repositories":[{"id":3002,"name":"web"}],"permissions":{"contents":"write","metadata":"read"},` +
		`"app_slug":"curfew","git_user_name":"curfew[bot]","git_user_email":"7+curfew[bot]@users.noreply.github.com",` +
		`"token_sha256":"w9eG5aM6VU99pLiUWtqUJYiQPccXAT7qmqBE3PurI0c=","revocation_handle":"` + handle + `"}`
	o := s.token(form())
	if strings.TrimSpace(o.body) != want {
		t.Errorf("got  %s\nwant %s", o.body, want)
	}
	if len(s.withdrawn) != 0 {
		t.Error("a delivered token was withdrawn")
	}
	s.silent()
	dry := s.token(form("dry_run", "true"))
	for _, absent := range []string{"access_token\":", "lease_id", "revocation_handle", "token_sha256"} {
		if strings.Contains(dry.body, absent) {
			t.Errorf("a dry run tells %s: %s", absent, dry.body)
		}
	}
	if !strings.Contains(dry.body, `"scope":"contents:write"`) || !strings.Contains(dry.body, `"expires_in":600`) {
		t.Errorf("a dry run tells %s", dry.body)
	}
}

func TestATokenIsTakenOrWithdrawn(t *testing.T) {
	t.Run("the connection fails", func(t *testing.T) {
		s := newStage(t)
		s.handler.ServeHTTP(&brokenWriter{header: http.Header{}}, post("/v1/token", form().Encode()))
		if len(s.withdrawn) != 1 || s.withdrawn[0] != "lease-1" {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
		s.silent()
	})
	t.Run("the connection fails at the flush", func(t *testing.T) {
		s := newStage(t)
		s.handler.ServeHTTP(&brokenWriter{header: http.Header{}, room: 1 << 20}, post("/v1/token", form().Encode()))
		if len(s.withdrawn) != 1 {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
	})
	t.Run("the client is gone when the answer is written", func(t *testing.T) {
		s := newStage(t)
		ctx, leave := context.WithCancel(t.Context())
		leave()
		s.handler.ServeHTTP(httptest.NewRecorder(), post("/v1/token", form().Encode()).WithContext(ctx))
		if len(s.withdrawn) != 1 {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
	})
	t.Run("a refusal or a dry run has nothing to withdraw", func(t *testing.T) {
		s := newStage(t)
		s.handler.ServeHTTP(&brokenWriter{header: http.Header{}}, post("/v1/token", form("dry_run", "true").Encode()))
		s.refusal = problem.New(problem.Denied, "no")
		s.handler.ServeHTTP(&brokenWriter{header: http.Header{}}, post("/v1/token", form().Encode()))
		if len(s.withdrawn) != 0 {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
	})
	t.Run("the client hangs up while GitHub mints", func(t *testing.T) {
		s := newStage(t)
		under, finished := make(chan struct{}), make(chan struct{})
		s.exchange = func(ctx context.Context) { close(under); <-ctx.Done() }
		inner := s.handler
		s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(w, r); close(finished) })
		web := s.listen()
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		body := form().Encode()
		_, err = fmt.Fprintf(conn, "POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if err != nil {
			t.Fatal(err)
		}
		<-under
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		<-finished
		if len(s.withdrawn) != 1 {
			t.Errorf("withdrawn: %v", s.withdrawn)
		}
	})
}

type brokenWriter struct {
	header http.Header
	room   int
}

func (b *brokenWriter) Header() http.Header { return b.header }
func (b *brokenWriter) WriteHeader(int)     {}
func (b *brokenWriter) FlushError() error   { return net.ErrClosed }
func (b *brokenWriter) Write(p []byte) (int, error) {
	if len(p) > b.room {
		return 0, net.ErrClosed
	}
	return len(p), nil
}
