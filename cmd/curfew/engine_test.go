package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/runner"
)

func TestAJobInContainers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.docked(w.places(), w.job(nil), curfewStep+`
- { id: use, run: 'curl -sSf -o /dev/null -w "%{http_code}" -H "Authorization: Bearer ${{ steps.curfew.outputs.token }}" "$GITHUB_API_URL/installation/repositories"; echo " $DEPLOY_TOKEN"' }
`, map[string]string{
		"repositories": "acme/web\n", "permissions": "contents: write\n", "duration": "45s", "export-env": "DEPLOY_TOKEN",
		"reason": "Veröffentlicht \"v1\" — $HOME `x` %0A\n::error::no\n✓", "ca-certificate": string(testAuthority(t)),
	})
	var during bool
	job.OnStep = func(s runner.Step) {
		during = during || s.ID == "use" && w.alivest() == 1
	}
	r := w.play(t.Context(), job)
	if r.Conclusion != runner.Success {
		t.Fatal(r.Conclusion)
	}
	token := given(t, r)
	if got, want := r.Step("use", "run").RawLog, "200 "+token+"\n"; got != want {
		t.Errorf("a later step said %q, want %q", got, want)
	}
	if !during || w.github.Alive(token) {
		t.Errorf("alive during the job: %v; after it: %v", during, w.github.Alive(token))
	}
	if l := w.newest(); l.State != lease.Revoked || l.Cause != lease.CausePost {
		t.Errorf("the lease is %s by %s", l.State, l.Cause)
	}
	for _, secret := range []string{token, r.Step("curfew", "main").State["CURFEW_HANDLE"]} {
		if secret == "" || strings.Contains(r.Log, secret) {
			t.Error("the log shows a secret")
		}
	}
	reasons := ""
	for _, record := range w.records(0) {
		reasons += record.Reason
	}
	if !strings.Contains(reasons, "Veröffentlicht \"v1\" — $HOME `x` %0A") || !strings.Contains(reasons, "✓") {
		t.Errorf("the audit log has the reason %q", reasons)
	}
	if errors := r.Step("curfew", "main").Annotations; len(errors) > 0 {
		t.Errorf("the reason made annotations: %v", errors)
	}
}

func (w *world) alivest() int { _, living := w.alive(); return living }

// A hung server has opened the lease, and its answer does not come.
func TestAContainerIsSignalledWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why    string
		signal string // sent to the container's first process; empty means the runner's own way
	}{
		{"the runner cancels the job", ""},
		{"the engine sends SIGTERM", "TERM"},
		{"the engine sends SIGINT", "INT"},
	} {
		t.Run(row.why, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			asked := w.hang()
			job := w.docked(w.places(), w.job(nil), curfewStep, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-asked
				if row.signal == "" {
					cancel()
					return
				}
				id, err := dockerTry("ps", "-q", "--filter", "label="+job.Docker.Label)
				if out, killed := dockerTry("kill", "--signal", row.signal, id); err != nil || killed != nil {
					t.Errorf("%v %v: %s", err, killed, out)
				}
			}()
			begun := time.Now()
			r := w.play(ctx, job)
			main := r.Step("curfew", "main")
			if main.ExitCode != 1 || len(main.Outputs) != 0 {
				t.Errorf("main exits with %d and writes %d outputs", main.ExitCode, len(main.Outputs))
			}
			if main.Duration > 10*time.Second {
				t.Errorf("main took %v, beyond the runner's patience", main.Duration)
			}
			if !strings.Contains(main.Log, "leases of this job ended: 1") {
				t.Error("main does not say that it ended the lease")
			}
			w.eventually("the half-made lease ends", func() bool { return w.alivest() == 0 && w.newest().State == lease.Revoked })
			if made, _ := w.alive(); made != 1 || w.newest().Cause != lease.CauseJobEnded {
				t.Errorf("%d tokens were made; the lease ended by %s", made, w.newest().Cause)
			}
			t.Logf("main ended after %v, the job after %v", main.Duration.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
		})
	}
}

// hang puts a front before the server that keeps the answers to exchanges to
// itself, and tells when the first one is there.
func (w *world) hang() (asked chan struct{}) {
	w.t.Helper()
	asked = make(chan struct{})
	var once sync.Once
	inner, err := url.Parse("http://" + w.server.listener.Addr().String())
	w.must(err)
	proxy := httputil.NewSingleHostReverseProxy(inner)
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/token" {
			proxy.ServeHTTP(rw, r)
			return
		}
		proxy.ServeHTTP(httptest.NewRecorder(), r)
		once.Do(func() { close(asked) })
		<-r.Context().Done()
	}))
	w.t.Cleanup(front.Close)
	w.stop()
	w.server.origin = front.URL // the address that its clients know
	w.start()
	return asked
}

// A runner that keeps no state between the phases: post proves anew whose job it is.
func TestPostWithoutState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	started, other := w.job(nil), w.job(nil)
	bystander := w.exchange(w.oidc(other, nil), nil).token()
	first := w.docked(w.places(), started, curfewStep, nil)
	first.KillBefore = "post"
	token := given(t, w.play(t.Context(), first))
	if !w.github.Alive(token) {
		t.Fatal("the token died without post")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "action.yml"))
	w.must(err)
	alone := filepath.Join(t.TempDir(), "action.yml")
	before, _, _ := strings.Cut(string(text), "\n  entrypoint:")
	w.must(os.WriteFile(alone, []byte(before+"\n  entrypoint: /curfew-post\n"), 0o600))
	post := w.docked(w.places(), started, curfewStep, nil)
	post.Actions["curfew-dev/curfew"] = runner.Action{Metadata: alone, Image: actionImage}
	r := w.play(t.Context(), post)
	if r.Conclusion != runner.Success || !strings.Contains(r.Log, "leases of this job ended: 1") {
		t.Errorf("post alone: %s", r.Conclusion)
	}
	if w.github.Alive(token) || !w.github.Alive(bystander) {
		t.Errorf("its token alive: %v; another job's: %v", w.github.Alive(token), w.github.Alive(bystander))
	}
}

// The server dies between the phases: post revokes the token at GitHub itself.
func TestPostWithoutAServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.docked(w.places(), w.job(nil), curfewStep, nil)
	job.OnStep = func(s runner.Step) {
		if s.Phase == "main" {
			w.stop()
		}
	}
	r := w.play(t.Context(), job)
	token, post := given(t, r), r.Step("curfew", "post")
	if w.github.Alive(token) {
		t.Error("the token is alive")
	}
	if r.Conclusion != runner.Success || post.ExitCode != 0 || len(post.Annotations) != 1 || !strings.Contains(post.Annotations[0].Message, "its token was revoked at GitHub directly") {
		t.Errorf("the job ended with %s, post with %d: %v", r.Conclusion, post.ExitCode, post.Annotations)
	}
	if post.Duration > 35*time.Second {
		t.Errorf("post took %v", post.Duration)
	}
}

// Jobs with a container have a network of their own, where the way out is a proxy
// and the authorities are private ones.
func TestAJobContainersNetwork(t *testing.T) {
	t.Parallel()
	needsImages(t)
	p := newPublicWorld(t)
	network, gateway := newNetwork(t)
	var connects safeBuffer
	proxy := p.proxyAt(t, gateway, &connects)
	job := p.docked(public, p.job(nil),
		fmt.Sprintf("- run: echo HTTPS_PROXY=%s >> $GITHUB_ENV\n", proxy)+curfewStep, map[string]string{"ca-certificate": string(p.github.CA)})
	job.Docker.Network = network
	r := p.play(t.Context(), job)
	if r.Conclusion != runner.Success || p.github.Alive(given(t, r)) {
		t.Errorf("the job ended with %s; the token is alive: %v", r.Conclusion, p.github.Alive(given(t, r)))
	}
	for _, host := range []string{"curfew.example.com:443", "github.com:443"} {
		if !strings.Contains(connects.String(), "CONNECT "+host+"\n") {
			t.Errorf("the proxy was not asked for %s:\n%s", host, connects.String())
		}
	}
	if strings.Contains(strings.ReplaceAll(connects.String(), "CONNECT ", ""), " ") {
		t.Errorf("the proxy was asked for more than tunnels:\n%s", connects.String())
	}

	without := p.docked(public, p.job(nil),
		fmt.Sprintf("- run: echo HTTPS_PROXY=%s >> $GITHUB_ENV\n", proxy)+curfewStep, nil)
	without.Docker.Network = network
	r = p.play(t.Context(), without)
	if main := r.Step("curfew", "main"); main.ExitCode != 1 || !strings.Contains(main.Log, "put the authority's into the input ca-certificate") {
		t.Errorf("without ca-certificate main exits with %d", main.ExitCode)
	}
}
