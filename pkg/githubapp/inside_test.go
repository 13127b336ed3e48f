package githubapp

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

const mintedWeb = `{"token":"ghs_x","expires_at":"2026-11-23T13:00:00Z","permissions":{"contents":"write"},
	"repository_selection":"selected","repositories":[{"id":3001,"name":"web","owner":{"id":1001,"login":"acme"}}]}`

// newMinter is a client whose connections are made by dial and whose GitHub mints.
func newMinter(t *testing.T, dialer func(dial) dial) (*Client, *atomic.Int64) {
	t.Helper()
	var mints atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mints.Add(1)
		_, _ = io.WriteString(w, mintedWeb)
	}))
	t.Cleanup(server.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{API: server.URL, AppID: "77", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	c.installations.put("acme", Installation{5, "acme", 1001}, time.Now())
	c.transport.DialContext = counting(dialer((&net.Dialer{}).DialContext))
	return c, &mints
}

func mintWeb(ctx context.Context, c *Client) error {
	_, _, err := c.Mint(ctx, scope.Scope{Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: 3001, Name: "web"}},
		Permissions: scope.Permissions{"contents": scope.Write}})
	return err
}

func TestMintTriesAgainWhenNothingWasSent(t *testing.T) {
	for _, c := range []struct{ failures, dials, mints int64 }{{0, 1, 1}, {1, 2, 1}, {2, 3, 1}, {3, 3, 0}} {
		var dials atomic.Int64
		client, mints := newMinter(t, func(real dial) dial {
			return func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials.Add(1) <= c.failures {
					return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
				}
				return real(ctx, network, address)
			}
		})
		err := mintWeb(t.Context(), client)
		if (err == nil) != (c.mints == 1) || err != nil && !problem.Is(err, problem.GitHubError) {
			t.Errorf("%d failures: got %v", c.failures, err)
		}
		if dials.Load() != c.dials || mints.Load() != c.mints {
			t.Errorf("%d failures: %d dials and %d mints, want %d and %d", c.failures, dials.Load(), mints.Load(), c.dials, c.mints)
		}
	}
}

// A torn connection fails at its first write, of which GitHub may have got a part.
type torn struct{ net.Conn }

func (torn) Write([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestAWriteThatFailedCountsAsSent(t *testing.T) {
	var dials atomic.Int64
	client, _ := newMinter(t, func(real dial) dial {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			conn, err := real(ctx, network, address)
			return torn{conn}, err
		}
	})
	if err := mintWeb(t.Context(), client); !problem.Is(err, problem.MintIndeterminate) || dials.Load() != 1 {
		t.Errorf("got %v after %d dials", err, dials.Load())
	}
}

func TestAKeptConnectionThatWasClosedIsNotMistakenForNothingSent(t *testing.T) {
	var conns []net.Conn
	client, mints := newMinter(t, func(real dial) dial {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := real(ctx, network, address)
			conns = append(conns, conn)
			return conn, err
		}
	})
	if err := mintWeb(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	_ = conns[0].Close() // under the transport, which may or may not see it in time
	err := mintWeb(t.Context(), client)
	if err != nil && !problem.Is(err, problem.MintIndeterminate) {
		t.Errorf("got %v", err)
	}
	if want := int64(len(conns)); mints.Load() != want {
		t.Errorf("%d mints on %d connections", mints.Load(), want)
	}
}

func TestMintGivesUpWithItsCallerBeforeAnythingWasSent(t *testing.T) {
	client, mints := newMinter(t, func(dial) dial {
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := mintWeb(ctx, client); !problem.Is(err, problem.GitHubError) || mints.Load() != 0 {
		t.Errorf("got %v and %d mints", err, mints.Load())
	}
}

func TestMintBodyIsWrittenInFull(t *testing.T) {
	body, err := mintBody(scope.Scope{Repositories: []scope.Repository{{ID: 2}, {ID: 1}},
		Permissions: scope.Permissions{"issues": scope.Read, "contents": scope.Write}})
	want := `{"repository_ids":[2,1],"permissions":{"contents":"write","issues":"read"}}`
	if err != nil || string(body) != want || !json.Valid(body) {
		t.Errorf("got %s, %v", body, err)
	}
	body, err = namedBody([]string{"web", ".github"}, scope.Permissions{"contents": scope.Read})
	want = `{"repositories":["web",".github"],"permissions":{"contents":"read"}}`
	if err != nil || string(body) != want || !json.Valid(body) {
		t.Errorf("got %s, %v", body, err)
	}
}

func TestNetHTTPCanNotSendAMintTwice(t *testing.T) {
	client, _ := newMinter(t, func(d dial) dial { return d })
	req, _, err := client.request(t.Context(), call{method: http.MethodPost, path: "x", body: []byte("{}")})
	if err != nil || req.Body == nil || req.GetBody != nil {
		t.Errorf("the body can be had again: %v", err)
	}
}

func TestARememberedInstallationOfAFormerOwnerIsLookedUpAgain(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/acme/web/installation", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":6,"account":{"login":"acme","id":1001}}`)
	})
	mux.HandleFunc("POST /app/installations/6/access_tokens", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, mintedWeb)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	client, _ := newMinter(t, func(d dial) dial { return d })
	client.api, _ = url.Parse(server.URL + "/")
	client.requests.BaseURL = client.api
	client.installations.put("acme", Installation{5, "acme", 999}, time.Now())
	if err := mintWeb(t.Context(), client); err != nil {
		t.Error(err)
	}
}

func TestWhatAnAnswerLeavesUnclearComparesAsDifferent(t *testing.T) {
	bound := scope.Scope{OwnerID: 1001, Repositories: []scope.Repository{{ID: 3001}, {ID: 3002}}, Permissions: scope.Permissions{"contents": scope.Write}}
	for name, c := range map[string]struct {
		old, changed string
		within       bool
	}{
		"as asked":                      {"", "", true},
		"a level nobody knows":          {`"contents":"write"`, `"contents":"wonderful"`, false},
		"a permission nobody knows":     {`"contents":"write"`, `"contents":"write","wonders":"read"`, false},
		"a selection nobody knows":      {`"selected"`, `"some"`, false},
		"a repository of another owner": {`}}]`, `}},{"id":3002,"name":"api","owner":{"id":1002,"login":"rival"}}]`, false},
		"a repository without an id":    {`"id":3001,`, ``, false},
		"an owner without an id":        {`"id":1001,`, ``, false},
	} {
		token, got, err := readGranted(answer{status: 201, body: []byte(strings.Replace(mintedWeb, c.old, c.changed, 1))})
		if err != nil || token.Empty() || got.Within(bound) != c.within {
			t.Errorf("%s: got %v, %v", name, got.Scope, err)
		}
	}
}

func FuzzReadGranted(f *testing.F) {
	f.Add([]byte(mintedWeb))
	f.Add([]byte(`{"token":"ghs_x","permissions":[]}`))
	f.Add([]byte(`{"token":"","expires_at":0}`))
	f.Add([]byte(`{"token":"ghs_x","repository_selection":"all","repositories":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		token, got, err := readGranted(answer{status: 201, body: body})
		if (err == nil) == token.Empty() {
			t.Errorf("a token and an error, or neither: %v", err)
		}
		if err != nil && !problem.Is(err, problem.MintIndeterminate) {
			t.Errorf("got %v", err)
		}
		_ = got.String() // must not panic on levels that nobody knows
	})
}

func TestWebHost(t *testing.T) {
	for api, want := range map[string]string{
		"https://api.github.com/":          "github.com",
		"https://git.corp.example/api/v3/": "git.corp.example",
		"https://API.Sub.ghe.com/":         "sub.ghe.com",
		"http://127.0.0.1:1/":              "github.com",
		"https://api.example.com/":         "api.example.com",
	} {
		u, err := url.Parse(api)
		if err != nil {
			t.Fatal(err)
		}
		if got := webHost(u); got != want {
			t.Errorf("%s: got %s, want %s", api, got, want)
		}
	}
}

func TestTheMemoryOfInstallationsIsBounded(t *testing.T) {
	var s installations
	now := time.Now()
	for i := range maxInstallations + 10 {
		s.put(string(rune(i)), Installation{ID: int64(i)}, now)
	}
	if len(s.known) > maxInstallations {
		t.Errorf("%d are kept", len(s.known))
	}
	s.put("acme", Installation{ID: 1}, now)
	s.drop("ACME", 2)
	if _, ok := s.get("acme", now); !ok {
		t.Error("an installation found meanwhile was dropped")
	}
	s.drop("ACME", 1)
	if _, ok := s.get("acme", now); ok {
		t.Error("a dropped installation is remembered")
	}
}
