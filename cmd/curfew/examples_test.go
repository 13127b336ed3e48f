package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/runner"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// needs skips the test on a machine without a program that CI has.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI has no %s", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

// A publicWorld is a world whose GitHub and server go by their public names, over
// TLS: clients find them through a proxy, and trust one authority.
type publicWorld struct {
	*world
	proxy     string // its URL
	authority string // file with the authority's certificate
}

const (
	publicServer = "https://curfew.example.com"
	publicGitHub = "https://github.com"
	enterprise   = "https://github.acme.example"
)

func newPublicWorld(t *testing.T) *publicWorld {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), log: &safeBuffer{}, now: time.Now}
	var hosts []string
	for _, origin := range []string{publicServer, publicGitHub, enterprise} {
		hosts = append(hosts, strings.TrimPrefix(origin, "https://"))
	}
	hosts = append(hosts, "api.github.com")
	var err error
	w.github, err = simulator.StartTLS(simulator.Options{}, hosts...)
	w.must(err)
	t.Cleanup(w.github.Close)
	p := &publicWorld{world: w, authority: filepath.Join(w.dir, "ca.pem")}
	w.must(os.WriteFile(p.authority, w.github.CA, 0o600))
	w.populate()
	p.serve()
	routes := map[string]string{}
	for _, host := range hosts {
		routes[host] = strings.TrimPrefix(w.github.URL, "https://")
	}
	routes[hosts[0]] = w.server.listener.Addr().String()
	proxy := httptest.NewServer(simulator.Proxy(routes))
	t.Cleanup(proxy.Close)
	p.proxy = proxy.URL
	return p
}

// serve starts the server under its public name, for the GitHub of that name.
func (p *publicWorld) serve() {
	p.t.Helper()
	s := p.settings()
	s.URL, s.CACertificate = publicServer, p.authority
	s.TLSCertificate, s.TLSKey = p.certificate()
	r, err := s.resolve(func(string) string { return "" })
	p.must(err)
	r.web = publicGitHub // it is reached by another address only here
	log, err := newLog(p.log, r.Log)
	p.must(err)
	p.server, err = open(p.t.Context(), r, log)
	p.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.server.serve(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	})
	p.t.Cleanup(func() { p.stop() })
}

// certificate writes GitHub's certificate and key into files: it is for the server's name, too.
func (p *publicWorld) certificate() (certificate, key string) {
	der, err := x509.MarshalPKCS8PrivateKey(p.github.Certificate.PrivateKey)
	p.must(err)
	certificate, key = filepath.Join(p.dir, "server.pem"), filepath.Join(p.dir, "server.key")
	p.must(os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.github.Certificate.Certificate[0]}), 0o600))
	p.must(os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return certificate, key
}

// client is the environment in which a client finds GitHub and trusts it.
func (p *publicWorld) client() map[string]string {
	return map[string]string{
		"HTTPS_PROXY": p.proxy, "SSL_CERT_FILE": p.authority, "GIT_SSL_CAINFO": p.authority, "CURL_CA_BUNDLE": p.authority,
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GH_PROMPT_DISABLED": "1",
	}
}

// exampleAction builds the action under both its names.
func exampleAction(t *testing.T) runner.Action {
	t.Helper()
	dir := t.TempDir()
	a := runner.Action{
		Metadata: filepath.Join("..", "..", "action.yml"),
		Main:     filepath.Join(dir, "curfew-main"), Post: filepath.Join(dir, "curfew-post"),
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", a.Main, "../action").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Symlink(a.Main, a.Post); err != nil {
		t.Fatal(err)
	}
	return a
}

// run runs the one job of an example, as GitHub starts it.
func (p *publicWorld) run(example, github string, action runner.Action, started simulator.StartedJob) *runner.Result {
	p.t.Helper()
	job := runner.Job{
		Workflow: filepath.Join("..", "..", "examples", "workflows", example),
		Actions:  map[string]runner.Action{"curfew-dev/curfew": action},
		Context: map[string]string{
			"repository": started.Owner + "/" + started.Repo, "repository_owner": started.Owner, "repository_owner_id": "1001",
			"ref": started.Ref, "sha": started.SHA, "event_name": started.Event, "actor": started.Actor, "job": started.Name,
			"run_id": strconv.FormatInt(started.RunID, 10), "run_number": "1", "run_attempt": "1",
			"server_url": github, "api_url": apiOf(github),
		},
		IDTokenURL: started.IDTokenURL, IDTokenRequestToken: started.IDTokenRequestToken,
		Env:  maps.Clone(p.client()),
		With: map[string]map[string]string{"curfew": {"ca-certificate": string(p.github.CA)}}, // an image would have it
	}
	result, err := job.Run(p.t.Context())
	p.must(err)
	return result
}

func apiOf(github string) string {
	if github == publicGitHub {
		return "https://api.github.com"
	}
	return github + "/api/v3"
}
