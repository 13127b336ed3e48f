package githubapp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// start is a whole second: HTTP dates have no parts of one.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// key is made once, because that is slow.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func keyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key())})
}

// A clock is set by hand.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.nanos.Load())) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// A countingSigner counts signatures.
type countingSigner struct {
	crypto.Signer
	signatures atomic.Int64
}

func (s *countingSigner) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	s.signatures.Add(1)
	return s.Signer.Sign(r, digest, o)
}

// A stage is a simulated GitHub with the App installed at acme, and a client of it.
type stage struct {
	github       *simulator.Server
	client       *githubapp.Client
	clock        *clock // the client's
	signer       *countingSigner
	installation simulator.Installation
	log          *safeBuffer
}

// safeBuffer is a log that many goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{clock: &clock{}, signer: &countingSigner{Signer: key()}, log: &safeBuffer{}}
	var err error
	s.github, err = simulator.Start(simulator.Options{Now: func() time.Time { return s.clock.now() }})
	must(t, err)
	t.Cleanup(s.github.Close)
	for _, o := range []simulator.Owner{{ID: 1001, Login: "acme", Type: "Organization"}, {ID: 1002, Login: "rival", Type: "User"}} {
		_, err = s.github.AddOwner(o)
		must(t, err)
	}
	for _, r := range []simulator.Repository{
		{ID: 2001, Owner: "acme", Name: ".github"}, {ID: 3001, Owner: "acme", Name: "web"}, {ID: 3002, Owner: "acme", Name: "api"},
		{ID: 3003, Owner: "acme", Name: "secret"}, {ID: 4001, Owner: "rival", Name: "web"},
	} {
		_, err = s.github.AddRepository(r)
		must(t, err)
	}
	_, err = s.github.AddApp(simulator.App{ID: 77, ClientID: "Iv23.curfew", Slug: "curfew", KeyPEM: keyPEM(), Permissions: map[string]string{
		"contents": "write", "issues": "write", "metadata": "read",
	}})
	must(t, err)
	s.installation, err = s.github.Install(simulator.Installation{AppID: 77, Owner: "acme", Repositories: []string{".github", "web", "api"}})
	must(t, err)
	s.client = newClient(t, s.github.URL, func(o *githubapp.Options) {
		o.Key, o.Now, o.Log = s.signer, s.clock.now, slog.New(slog.NewTextHandler(s.log, nil))
	})
	return s
}

func newClient(t *testing.T, api string, change func(*githubapp.Options)) *githubapp.Client {
	t.Helper()
	o := githubapp.Options{API: api, AppID: "Iv23.curfew", Key: key(), Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	c, err := githubapp.New(o)
	must(t, err)
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// answering is a GitHub that finds the App at acme and gives the handler's answer to everything else.
func answering(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/acme/web/installation", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":5,"account":{"login":"acme","id":1001}}`)
	})
	mux.HandleFunc("/", h)
	return serve(t, mux)
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// routes counts the calls that reached GitHub, by route.
func (s *stage) routes() map[string]int {
	count := map[string]int{}
	for _, c := range s.github.Calls() {
		count[c.Route]++
	}
	return count
}

// web is contents: write on acme/web.
func web() scope.Scope {
	return scope.Scope{Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: 3001, Name: "web"}},
		Permissions: scope.Permissions{"contents": scope.Write}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
