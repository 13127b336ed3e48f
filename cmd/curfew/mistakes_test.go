package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/action"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

var updateGolden = flag.Bool("update", false, "rewrite the golden files")

// Each row is a mistake of a workflow's author, made against a real server; the
// golden file is what the job's log then says. It must show the way out.
func TestMistakesOfWorkflowAuthors(t *testing.T) {
	w := newWorld(t)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	expired, authority := expiredServer(t)
	down := deadAddress(t)
	set := func(name, value string) func(map[string]string) {
		return func(env map[string]string) { env[name] = value }
	}
	noToken := func(event string) func(map[string]string) {
		return func(env map[string]string) {
			delete(env, "ACTIONS_ID_TOKEN_REQUEST_URL")
			delete(env, "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
			env["GITHUB_EVENT_NAME"] = event
		}
	}
	for _, mistake := range []struct {
		name   string
		job    func(*simulator.Job)
		env    func(map[string]string)
		wayOut string
	}{
		{"no-id-token-permission", nil, noToken("push"), "id-token: write"},
		{"fork-pull-request", nil, noToken("pull_request"), "pull request from a fork"},
		{"wrong-server-address", nil, set("INPUT_SERVER", elsewhere.URL), "Is that a Curfew server?"},
		{"http-address", nil, set("INPUT_SERVER", "http://curfew.example.com"), "https"},
		{"expired-certificate", nil, func(env map[string]string) {
			env["INPUT_SERVER"], env["INPUT_CA-CERTIFICATE"] = expired, authority
		}, "renewed"},
		{"unknown-grant", nil, set("INPUT_GRANT", "relase"), "release"},
		{"wrong-branch", func(j *simulator.Job) { j.Ref = "refs/heads/feature" }, nil, "refs/heads/main"},
		{"repository-not-installed", nil, set("INPUT_REPOSITORIES", "missing"), "install"},
		{"permission-above-the-grant", nil, set("INPUT_PERMISSIONS", "pull-requests: write"), "contents"},
		{"typo-in-a-permission", nil, set("INPUT_PERMISSIONS", "content: write"), "contents"},
		{"duration-too-long", nil, set("INPUT_DURATION", "2h"), "1h"},
		{"duration-above-the-grant", nil, set("INPUT_DURATION", "45m"), "30m"},
		{"server-down", nil, set("INPUT_SERVER", down), "could not be reached"},
	} {
		t.Run(mistake.name, func(t *testing.T) {
			minted := len(w.github.Mints())
			env := w.jobEnvironment(t, w.job(mistake.job))
			if mistake.env != nil {
				mistake.env(env)
			}
			var log bytes.Buffer
			now := time.Now()
			code := action.Main(t.Context(), action.Env{
				Getenv: func(name string) string { return env[name] }, Stdout: &log,
				Roots: x509.NewCertPool(), Now: func() time.Time { return now },
				Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
			})
			got := w.timeless(log.String(), elsewhere.URL, expired, down)
			if code != 1 || !strings.Contains(got, mistake.wayOut) {
				t.Errorf("exit %d; the way out (%s) is not told:\n%s", code, mistake.wayOut, got)
			}
			for _, m := range w.github.Mints()[minted:] {
				if m.Permissions["contents"] != "read" {
					t.Errorf("a token was minted: %v", m.Permissions)
				}
			}
			golden(t, filepath.Join("testdata", "mistakes", mistake.name+".log"), got)
		})
	}
}

// jobEnvironment is what the runner gives the action in a job that does all right.
func (w *world) jobEnvironment(t *testing.T, j simulator.StartedJob) map[string]string {
	t.Helper()
	env := map[string]string{
		"INPUT_SERVER": w.server.origin, "INPUT_GRANT": "release",
		"ACTIONS_ID_TOKEN_REQUEST_URL": j.IDTokenURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": j.IDTokenRequestToken,
		"GITHUB_REPOSITORY": "acme/web", "GITHUB_REPOSITORY_OWNER": "acme", "GITHUB_WORKFLOW": "release", "GITHUB_REF": j.Ref,
		"GITHUB_EVENT_NAME": "push", "GITHUB_ACTOR": "octocat", "GITHUB_RUN_ID": "1", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "release",
		"GITHUB_SERVER_URL": w.github.URL, "GITHUB_API_URL": w.github.URL + "/api/v3",
	}
	for _, name := range []string{"OUTPUT", "STATE", "ENV", "STEP_SUMMARY"} {
		path := filepath.Join(t.TempDir(), strings.ToLower(name))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		env["GITHUB_"+name] = path
	}
	return env
}

var (
	maskLine    = regexp.MustCompile(`(?m)^::add-mask::.*\n`)
	retryLines  = regexp.MustCompile(`(?m)(^trying again in )[0-9.]+m?s(.*\n)(?:^trying again .*\n)*`)
	currentTime = regexp.MustCompile(`current time [^ ]+`)
	correlation = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// timeless takes out of a log what differs from run to run.
func (w *world) timeless(log string, servers ...string) string {
	log = correlation.ReplaceAllString(maskLine.ReplaceAllString(log, ""), "CORRELATION-ID")
	log = currentTime.ReplaceAllString(retryLines.ReplaceAllString(log, "${1}A MOMENT${2}"), "current time NOW")
	for _, server := range append(servers, w.server.origin) {
		log = strings.ReplaceAll(log, server, "SERVER")
		_, host, _ := strings.Cut(server, "://")
		log = strings.ReplaceAll(log, host, "HOST")
	}
	return log
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *updateGolden {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// deadAddress is where nothing listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// expiredServer speaks TLS with a certificate that was good until yesterday, and gives it in PEM.
func expiredServer(t *testing.T) (address, certificate string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = nil
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
