package githubapp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

func TestParseKey(t *testing.T) {
	block := func(kind string, content []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	}
	pkcs8 := func(k any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		must(t, err)
		return der
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	t.Setenv("GODEBUG", "rsa1024min=0")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	for name, c := range map[string]struct {
		text []byte
		want string // in the error; empty: it is taken
	}{
		"PKCS#1":             {keyPEM(), ""},
		"PKCS#8":             {block("PRIVATE KEY", pkcs8(key())), ""},
		"Windows line ends":  {[]byte(strings.ReplaceAll(string(keyPEM()), "\n", "\r\n")), ""},
		"nothing":            {nil, "no PEM block"},
		"no PEM":             {[]byte("ghp_x"), "no PEM block"},
		"a certificate":      {block("CERTIFICATE", []byte("x")), "CERTIFICATE"},
		"an elliptic key":    {block("PRIVATE KEY", pkcs8(elliptical)), "not an RSA key"},
		"1024 bits":          {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(short)), "1024 bits"},
		"an encrypted key":   {block("ENCRYPTED PRIVATE KEY", []byte("x")), "encrypted"},
		"the older cipher":   {[]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), "encrypted"},
		"half a key":         {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key())[:100]), "PKCS#1"},
		"half a PKCS#8 key":  {block("PRIVATE KEY", pkcs8(key())[:100]), "PKCS#8"},
		"the public half":    {block("PUBLIC KEY", []byte("x")), "PUBLIC KEY"},
		"the wrong envelope": {block("PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key())), "PKCS#8"},
	} {
		got, err := githubapp.ParseKey(c.text)
		if c.want == "" && (err != nil || got == nil) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(keyPEM())
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := githubapp.ParseKey(text); err == nil && k.Public().(*rsa.PublicKey).N.BitLen() < 2048 {
			t.Error("a short key is taken")
		}
	})
}

func TestNewChecksItsOptions(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*githubapp.Options)
		ok     bool
	}{
		"github.com":                 {func(o *githubapp.Options) { o.API = "https://api.github.com" }, true},
		"Enterprise Server":          {func(o *githubapp.Options) { o.API = "https://git.corp.example/api/v3/" }, true},
		"data residency":             {func(o *githubapp.Options) { o.API = "https://api.sub.ghe.com" }, true},
		"http on loopback":           {func(o *githubapp.Options) { o.API = "http://127.0.0.1:8080" }, true},
		"http on loopback, IPv6":     {func(o *githubapp.Options) { o.API = "http://[::1]:8080" }, true},
		"http elsewhere":             {func(o *githubapp.Options) { o.API = "http://api.github.com" }, false},
		"http on what sounds local":  {func(o *githubapp.Options) { o.API = "http://127.0.0.1.evil.example" }, false},
		"no address":                 {func(o *githubapp.Options) { o.API = "" }, false},
		"no scheme":                  {func(o *githubapp.Options) { o.API = "api.github.com" }, false},
		"a user in the address":      {func(o *githubapp.Options) { o.API = "https://a:b@api.github.com" }, false},
		"a query in the address":     {func(o *githubapp.Options) { o.API = "https://api.github.com?x=1" }, false},
		"no App id":                  {func(o *githubapp.Options) { o.AppID = "" }, false},
		"an App id that breaks JSON": {func(o *githubapp.Options) { o.AppID = `7","x":"` }, false},
		"no key":                     {func(o *githubapp.Options) { o.Key = nil }, false},
	} {
		o := githubapp.Options{API: "https://api.github.com", AppID: "77", Key: key()}
		c.change(&o)
		if _, err := githubapp.New(o); (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAppIsAskedForOnce(t *testing.T) {
	s := newStage(t)
	s.github.Inject(simulator.Fault{Route: "app", Status: 503, Times: 1})
	if _, err := s.client.App(t.Context()); !problem.Is(err, problem.GitHubError) {
		t.Errorf("while GitHub is down: %v", err)
	}
	first, err := s.client.App(t.Context())
	must(t, err)
	bot, _, _ := strings.Cut(first.BotEmail, "+")
	want := githubapp.App{ID: 77, Slug: "curfew", BotName: "curfew[bot]", BotEmail: bot + "+curfew[bot]@users.noreply.github.com"}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	again, err := s.client.App(t.Context())
	must(t, err)
	if diff := cmp.Diff(map[string]int{"app": 2, "user": 1}, s.routes()); diff != "" || again != first {
		t.Error(diff)
	}
}

func TestTheBotOfAGitHubThatHidesItsUsers(t *testing.T) {
	s := newStage(t)
	s.github.Inject(simulator.Fault{Route: "user", Status: 401})
	got, err := s.client.App(t.Context())
	must(t, err)
	if got.BotEmail != "curfew[bot]@users.noreply.github.com" {
		t.Errorf("got %s", got.BotEmail)
	}
}

func TestOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.Version < tls.VersionTLS12 || r.ProtoMajor != 1 {
			t.Errorf("TLS %x, %s", r.TLS.Version, r.Proto)
		}
		_, _ = io.WriteString(w, `{"id":5,"account":{"login":"acme","id":1001}}`)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	trusting := newClient(t, server.URL, func(o *githubapp.Options) { o.Roots = roots })
	if _, err := trusting.Installation(t.Context(), "acme", "web"); err != nil {
		t.Error(err)
	}
	if _, err := newClient(t, server.URL, nil).Installation(t.Context(), "acme", "web"); err == nil {
		t.Error("a certificate of nobody is taken")
	}
}

func TestTLSOlderThan12IsRefused(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c := newClient(t, server.URL, func(o *githubapp.Options) { o.Roots = roots })
	if _, err := c.Installation(t.Context(), "acme", "web"); !problem.Is(err, problem.GitHubError) {
		t.Errorf("got %v", err)
	}
}
