package action

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tlsCurfew moves the stage's Curfew server behind TLS, and returns it with its
// certificate as PEM. The certificate is good for example.com too.
func (s *stage) tlsCurfew() (server *httptest.Server, ca string) {
	server = httptest.NewUnstartedServer(s.curfew())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	s.t.Cleanup(server.Close)
	s.env["INPUT_SERVER"] = server.URL
	return server, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func TestCACertificateIsTrusted(t *testing.T) {
	s := newStage(t)
	_, ca := s.tlsCurfew()
	s.env["INPUT_CA-CERTIFICATE"] = ca
	if code := s.main(); code != 0 {
		t.Errorf("exit %d\n%s", code, s.out.String())
	}
}

func TestUnknownAuthorityIsRefusedAtOnce(t *testing.T) {
	s := newStage(t)
	s.tlsCurfew()
	if code := s.main(); code != 1 || len(s.asked) > 0 || len(s.slept) > 0 {
		t.Errorf("exit %d after %d pauses", code, len(s.slept))
	}
	s.wants("certificate signed by unknown authority", "ca-certificate")
}

func TestCACertificateDoesNotLeakIntoTheNextClient(t *testing.T) {
	s := newStage(t)
	_, ca := s.tlsCurfew()
	before := s.roots.Clone()
	newClient(s.roots, []byte(ca), s.outside().Getenv)
	if !s.roots.Equal(before) {
		t.Error("the shared roots have changed")
	}
}

// proxy is an HTTP proxy that brings every CONNECT to one server.
func (s *stage) proxy(to string) (address string, seen *[]string) {
	seen = new([]string)
	server := s.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*seen = append(*seen, r.Method+" "+r.Host)
		upstream, err := net.Dial("tcp", to)
		if r.Method != http.MethodConnect || err != nil {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		w.WriteHeader(http.StatusOK)
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			s.t.Error(err)
			return
		}
		go func() {
			_, _ = io.Copy(upstream, buffered)
			_ = upstream.Close()
		}()
		_, _ = io.Copy(conn, upstream)
		_ = conn.Close()
	}))
	return server.URL, seen
}

func TestProxyCarriesOnlyTLS(t *testing.T) {
	s := newStage(t)
	server, ca := s.tlsCurfew()
	s.env["INPUT_CA-CERTIFICATE"], s.env["INPUT_SERVER"] = ca, "https://example.com"
	address, seen := s.proxy(server.Listener.Addr().String())
	s.env["HTTPS_PROXY"] = address
	if code := s.main(); code != 0 {
		t.Errorf("exit %d\n%s", code, s.out.String())
	}
	s.post()
	if diff := cmp.Diff([]string{"CONNECT example.com:443", "CONNECT example.com:443"}, *seen); diff != "" {
		t.Error(diff)
	}
}

func TestProxyNeverSeesPlainHTTP(t *testing.T) {
	s := newStage(t)
	address, seen := s.proxy("127.0.0.1:1")
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		s.env[name] = address
	}
	s.main()
	s.onRevoke = down
	s.post()
	if len(*seen) > 0 {
		t.Errorf("the proxy sees %v", *seen)
	}
}

func TestProxyFor(t *testing.T) {
	for name, row := range map[string]struct{ target, proxy, except, want string }{
		"https":                       {"https://a.example.com", "http://p:3128", "", "http://p:3128"},
		"https to an https proxy":     {"https://a.example.com", "https://p", "", "https://p"},
		"a proxy without a scheme":    {"https://a.example.com", "p:3128", "", "http://p:3128"},
		"no proxy":                    {"https://a.example.com", "", "", ""},
		"http":                        {"http://a.example.com", "http://p:3128", "", ""},
		"loopback":                    {"https://127.0.0.1:8443", "http://p:3128", "", ""},
		"localhost":                   {"https://localhost", "http://p:3128", "", ""},
		"excepted by name":            {"https://a.example.com", "http://p:3128", "x.org, A.example.com", ""},
		"excepted by domain":          {"https://a.example.com", "http://p:3128", ".example.com", ""},
		"excepted by starred domain":  {"https://a.example.com", "http://p:3128", "*.example.com", ""},
		"excepted by parent":          {"https://a.example.com", "http://p:3128", "example.com", ""},
		"not by a mere ending":        {"https://a.myexample.com", "http://p:3128", "example.com", "http://p:3128"},
		"excepted altogether":         {"https://a.example.com", "http://p:3128", "*", ""},
		"excepted with its port":      {"https://a.example.com", "http://p:3128", "a.example.com:443", ""},
		"not with another port":       {"https://a.example.com:8443", "http://p:3128", "a.example.com:443", "http://p:3128"},
		"excepted by network":         {"https://10.1.2.3", "http://p:3128", "10.0.0.0/8", ""},
		"not in the network":          {"https://11.1.2.3", "http://p:3128", "10.0.0.0/8", "http://p:3128"},
		"excepted by address":         {"https://10.1.2.3", "http://p:3128", "10.1.2.3", ""},
		"empty exceptions":            {"https://a.example.com", "http://p:3128", " ,, ", "http://p:3128"},
		"a proxy of another protocol": {"https://a.example.com", "socks5://p", "", "refused"},
		"a proxy that is no URL":      {"https://a.example.com", "http://a:hunter2@ /", "", "refused"},
	} {
		u, err := url.Parse(row.target)
		if err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"https_proxy": row.proxy, "NO_PROXY": row.except}
		got, err := proxyFor(u, func(name string) string { return env[name] })
		shown := ""
		switch {
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error repeats a password: %v", name, err)
		case err != nil:
			shown = "refused"
		case got != nil:
			shown = got.String()
		}
		if shown != row.want {
			t.Errorf("%s: got %q, want %q", name, shown, row.want)
		}
	}
}
