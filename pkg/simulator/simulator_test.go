package simulator_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// object is a JSON object.
type object = map[string]any

// stage is a small GitHub: acme has web and api, rival has vault, and the App
// is installed on all of acme.
type stage struct {
	*simulator.Server
	t            *testing.T
	clock        *clock
	app          simulator.App
	key          *rsa.PrivateKey
	installation simulator.Installation
}

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// testKey is one App key for all tests, since making one takes long.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newStage(t *testing.T) *stage {
	t.Helper()
	return newStageOn(t, simulator.Start)
}

// newStageOn is newStage on a server of another kind.
func newStageOn(t *testing.T, start func(simulator.Options) (*simulator.Server, error)) *stage {
	t.Helper()
	s := &stage{t: t, clock: &clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}, key: testKey()}
	server, err := start(simulator.Options{Now: s.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	s.Server = server
	for _, login := range []string{"acme", "rival"} {
		_, err := s.AddOwner(simulator.Owner{Login: login})
		s.must(err)
	}
	for _, name := range []string{"acme/web", "acme/api", "rival/vault"} {
		owner, repo, _ := strings.Cut(name, "/")
		_, err := s.AddRepository(simulator.Repository{Owner: owner, Name: repo, Private: true})
		s.must(err)
	}
	s.app, err = s.AddApp(simulator.App{Slug: "curfew", KeyPEM: keyPEM(s.key), Permissions: map[string]string{
		"contents": "write", "issues": "read", "actions": "read", "workflows": "write", "deployments": "write",
	}})
	s.must(err)
	s.installation, err = s.Install(simulator.Installation{AppID: s.app.ID, Owner: "acme"})
	s.must(err)
	return s
}

func keyPEM(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// response is an answer, read.
type response struct {
	*http.Response
	body []byte
}

func (r response) json(t *testing.T) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(r.body, &o); err != nil {
		t.Fatalf("%s: not a JSON object: %v", r.body, err)
	}
	return o
}

func (r response) message() string {
	var o struct{ Message string }
	_ = json.Unmarshal(r.body, &o) // no JSON, no message
	return o.Message
}

// do sends one request on a connection of its own and without following redirects.
func (s *stage) do(method, path, token string, body any, header ...string) (response, error) {
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		s.must(err)
		payload = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, payload)
	s.must(err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return response{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	return response{answer, read}, err
}

// ask is do, where an answer is expected.
func (s *stage) ask(method, path, token string, body any, header ...string) response {
	s.t.Helper()
	r, err := s.do(method, path, token, body, header...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// assertion is the App's JWT of nine minutes, with claims changed by the edit.
func (s *stage) assertion(edit func(header, claims object)) string {
	now := s.clock.Now()
	header := object{"alg": "RS256", "typ": "JWT"}
	claims := object{"iss": s.app.ClientID, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix()}
	if edit != nil {
		edit(header, claims)
	}
	return sign(s.key, header, claims)
}

func sign(key *rsa.PrivateKey, header, claims object) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	signed := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (s *stage) mintPath() string {
	return fmt.Sprintf("/app/installations/%d/access_tokens", s.installation.ID)
}

// mint makes a token for repositories of acme with the permissions.
func (s *stage) mint(permissions object, repositories ...string) string {
	s.t.Helper()
	body := object{"permissions": permissions, "repositories": repositories}
	r := s.ask("POST", s.mintPath(), s.assertion(nil), body)
	if r.StatusCode != http.StatusCreated {
		s.t.Fatalf("mint: %d %s", r.StatusCode, r.body)
	}
	return r.json(s.t)["token"].(string)
}

func TestATokenLivesAndDies(t *testing.T) {
	s := newStage(t)
	token := s.mint(object{"contents": "write"}, "web")
	for _, step := range []struct {
		about, method, path string
		want                int
	}{
		{"a fresh token answers", "GET", "/installation/repositories", 200},
		{"it reads its repository", "GET", "/repos/acme/web", 200},
		{"also under the prefix of Enterprise Server", "GET", "/api/v3/repos/acme/web", 200},
		{"a sibling does not exist for it", "GET", "/repos/acme/api", 404},
		{"nor does a stranger's repository", "GET", "/repos/rival/vault", 404},
		{"issues were not granted", "GET", "/repos/acme/web/issues", 403},
		{"it revokes itself", "DELETE", "/installation/token", 204},
		{"afterwards it is dead", "GET", "/installation/repositories", 401},
		{"and can't be revoked twice", "DELETE", "/installation/token", 401},
	} {
		if got := s.ask(step.method, step.path, token, nil); got.StatusCode != step.want {
			t.Errorf("%s: %s %s answered %d, want %d: %s", step.about, step.method, step.path, got.StatusCode, step.want, got.body)
		}
	}
	if mints, deletes := s.Mints(), s.Deletes(); len(mints) != 1 || len(deletes) != 1 || deletes[0].Mint != mints[0].Seq {
		t.Errorf("ground truth: %d mints, %d deletes, want one each, of the same token", len(mints), len(deletes))
	}
	if s.Alive(token) || len(s.AliveTokens()) != 0 {
		t.Error("a revoked token counts as alive")
	}
}

func TestATokenExpiresAfterAnHour(t *testing.T) {
	s := newStage(t)
	token := s.mint(object{"contents": "read"}, "web")
	s.clock.Add(time.Hour - time.Second)
	if r := s.ask("GET", "/installation/repositories", token, nil); r.StatusCode != http.StatusOK {
		t.Errorf("a second before its hour the token answers %d, want 200", r.StatusCode)
	}
	s.clock.Add(time.Second)
	if r := s.ask("GET", "/installation/repositories", token, nil); r.StatusCode != http.StatusUnauthorized || r.message() != "Bad credentials" {
		t.Errorf("after its hour the token answers %d %q, want 401", r.StatusCode, r.message())
	}
}
