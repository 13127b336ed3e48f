package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/runner"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// A thief stands on the way to every host, with a certificate for each of them
// from an authority that earlier steps of the job can plant.
type thief struct {
	authority string // PEM
	proxy     string // its URL
	heard     safeBuffer
}

func newThief(t *testing.T) *thief {
	t.Helper()
	hosts := []string{"curfew.example.com", "github.com", "api.github.com"}
	forged, err := simulator.StartTLS(simulator.Options{}, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	forged.Close() // only its certificates are wanted
	th := &thief{authority: string(forged.CA)}
	trap := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(&th.heard, "%s %s %v %s\n", r.Method, r.Host+r.URL.String(), r.Header, body)
	}))
	trap.TLS = &tls.Config{Certificates: []tls.Certificate{forged.Certificate}}
	trap.Config.ErrorLog = quiet
	trap.StartTLS()
	t.Cleanup(trap.Close)
	routes := map[string]string{}
	for _, host := range hosts {
		routes[host] = trap.Listener.Addr().String()
	}
	th.proxy = listenAt(t, "127.0.0.1", simulator.Proxy(routes), func(r *http.Request) {
		if r.Method != http.MethodConnect {
			_, _ = fmt.Fprintf(&th.heard, "in the clear: %s %s %v\n", r.Method, r.URL, r.Header)
		}
	})
	return th
}

// plant is a step that sets all that could lead the action to the thief.
func (th *thief) plant() string {
	return fmt.Sprintf(`
- run: |
    cat > evil.pem <<'END'
    %s
    END
    {
      echo "SSL_CERT_FILE=/github/workspace/evil.pem"
      echo "SSL_CERT_DIR=/github/workspace"
      echo "HTTPS_PROXY=%s"
      echo "https_proxy=%s"
      echo "HTTP_PROXY=%s"
      echo "ALL_PROXY=%s"
      echo "GODEBUG=x509usefallbackroots=1,tlsrsakex=1,http2debug=2"
      echo "HOME=/github/workspace"
      echo "ACTIONS_ID_TOKEN_REQUEST_URL=https://github.com/steal"
      echo "ACTIONS_ID_TOKEN_REQUEST_TOKEN=planted"
      echo "STATE_CURFEW_LEASE=none"
      echo "STATE_CURFEW_SERVER=https://curfew.example.com"
      echo "INPUT_SERVER=https://evil.example"
    } >> "$GITHUB_ENV"
`, strings.ReplaceAll(strings.TrimSpace(th.authority), "\n", "\n    "), th.proxy, th.proxy, th.proxy, th.proxy)
}

// proxyAt is an honest proxy to the public names, on an address of the machine.
func (p *publicWorld) proxyAt(t *testing.T, address string, heard io.Writer) string {
	t.Helper()
	github := strings.TrimPrefix(p.github.URL, "https://")
	routes := map[string]string{
		"curfew.example.com": p.server.listener.Addr().String(), "github.com": github, "api.github.com": github,
	}
	return listenAt(t, address, simulator.Proxy(routes), func(r *http.Request) { _, _ = fmt.Fprintf(heard, "%s %s\n", r.Method, r.Host) })
}

// listenAt serves on a free port of an address, tells of each request, and returns its URL.
func listenAt(t *testing.T, address string, handler http.Handler, tell func(*http.Request)) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tell(r)
		handler.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

func (p *publicWorld) honestly(t *testing.T) string {
	return "- run: echo HTTPS_PROXY=" + p.proxyAt(t, "127.0.0.1", io.Discard) + " >> $GITHUB_ENV\n"
}

// An earlier step wants main to ask the thief.
func TestAHostileEnvironmentBeforeMain(t *testing.T) {
	t.Parallel()
	needsImages(t)
	p, th := newPublicWorld(t), newThief(t)
	job := p.docked(public, p.job(nil), th.plant()+curfewStep,
		map[string]string{"ca-certificate": string(p.github.CA)})
	r := p.play(t.Context(), job)
	main := r.Step("curfew", "main")
	if main.ExitCode != 1 || len(main.Outputs) != 0 || !strings.Contains(main.Log, "certificate signed by unknown authority") {
		t.Errorf("main exits with %d", main.ExitCode)
	}
	if made, _ := p.alive(); made != 0 {
		t.Errorf("%d tokens were made", made)
	}
	if heard := th.heard.String(); heard != "" {
		t.Errorf("the thief heard:\n%s", heard)
	}
}

// A step that has the token wants it to outlive the job: it can keep post from
// the server, but not make it talk to the thief, or say what isn't so.
func TestAHostileEnvironmentBeforePost(t *testing.T) {
	t.Parallel()
	needsImages(t)
	p, th := newPublicWorld(t), newThief(t)
	job := p.docked(public, p.job(nil), p.honestly(t)+curfewStep+th.plant(),
		map[string]string{"ca-certificate": string(p.github.CA), "duration": "8s"})
	var asPostEnded bool
	job.OnStep = func(s runner.Step) {
		if s.Phase == "post" {
			asPostEnded = p.alivest() == 1
		}
	}
	r := p.play(t.Context(), job)
	token, post := given(t, r), r.Step("curfew", "post")
	if r.Conclusion != runner.Success || post.ExitCode != 0 {
		t.Errorf("the job ended with %s, post with %d", r.Conclusion, post.ExitCode)
	}
	told := len(post.Annotations) == 1 && strings.Contains(post.Annotations[0].Message, "could not be ended") &&
		strings.Contains(post.Annotations[0].Message, "The server ends the token at ")
	if asPostEnded && !told {
		t.Errorf("the token was alive, and post said %v:\n%s", post.Annotations, post.Log)
	}
	if !asPostEnded {
		t.Log("the curfew came before post had ended")
	}
	if heard := th.heard.String(); heard != "" {
		t.Errorf("the thief heard:\n%s", heard)
	}
	p.eventually("the server ends the token at the curfew", func() bool { return !p.github.Alive(token) && p.newest().State == lease.Revoked })
}

// What is planted leads nowhere as long as no proxy is in the way: the runner's own variables win.
func TestAHostileEnvironmentIsIgnored(t *testing.T) {
	t.Parallel()
	needsImages(t)
	w, th := newWorld(t), newThief(t)
	r := w.play(t.Context(), w.docked(w.places(), w.job(nil), th.plant()+curfewStep+th.plant(), nil))
	if r.Conclusion != runner.Success || w.github.Alive(given(t, r)) {
		t.Errorf("the job ended with %s, its token alive: %v", r.Conclusion, w.github.Alive(given(t, r)))
	}
	if l := w.newest(); l.Cause != lease.CausePost {
		t.Errorf("the lease ended by %s", l.Cause)
	}
	if heard := th.heard.String(); heard != "" {
		t.Errorf("the thief heard:\n%s", heard)
	}
}

// Without id-token: write the runner sets no address, and a planted one shows.
func TestAPlantedIDTokenAddress(t *testing.T) {
	t.Parallel()
	needsImages(t)
	p, th := newPublicWorld(t), newThief(t)
	job := p.docked(public, p.job(nil), th.plant()+curfewStep,
		map[string]string{"ca-certificate": string(p.github.CA)})
	job.IDTokenURL, job.IDTokenRequestToken = "", ""
	r := p.play(t.Context(), job)
	if main := r.Step("curfew", "main"); main.ExitCode != 1 || len(main.Outputs) != 0 {
		t.Errorf("main exits with %d", main.ExitCode)
	}
	if heard := th.heard.String(); heard != "" {
		t.Errorf("the thief heard:\n%s", heard)
	}
}
