package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"go/build"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test's own binary stand for the action's.
func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); {
	case strings.HasPrefix(name, "curfew-"):
		os.Exit(run(os.Args))
	case name == "probe":
		before := lax()
		run([]string{"curfew-action", "version"})
		fmt.Println(before, lax(), os.Getenv("SSL_CERT_FILE"), os.Getenv("SSL_CERT_DIR"))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// phase makes a command that runs the action under a name of the image.
func phase(ctx context.Context, t *testing.T, name string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = env
	return cmd
}

func TestPhaseIsToldByTheNameOrTheArgument(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"/curfew-main"}, "main"},
		{[]string{"/curfew-post"}, "post"},
		{[]string{"curfew-main", "post"}, "main"},
		{[]string{"curfew-action", "main"}, "main"},
		{[]string{"./curfew-action", "post"}, "post"},
		{[]string{"curfew-action", "version"}, "version"},
		{[]string{"curfew-action"}, ""},
		{[]string{"curfew-action", "main", "post"}, ""},
		{[]string{"action", "post"}, "post"},
	} {
		if got := phaseOf(row.args); got != row.want {
			t.Errorf("%v: got %q, want %q", row.args, got, row.want)
		}
	}
}

func TestWrongUseIsTold(t *testing.T) {
	out, err := phase(t.Context(), t, "curfew-action").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "usage: curfew-action main|post") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestMainFailsAndPostDoesNot(t *testing.T) {
	out, err := phase(t.Context(), t, "curfew-main").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "::error title=Curfew::input server") {
		t.Errorf("main: %v: %s", err, out)
	}
	if out, err := phase(t.Context(), t, "curfew-post").CombinedOutput(); err != nil || !strings.Contains(string(out), "nothing to end") {
		t.Errorf("post: %v: %s", err, out)
	}
}

// lax tells whether GODEBUG=httplaxcontentlength=1 is in force.
func lax() bool {
	answer := "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n"
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err == nil {
		_ = resp.Body.Close()
	}
	return err == nil
}

// What GODEBUG changes is read anew when it is removed, though it was set when
// the process started.
func TestWhatEarlierStepsSetIsForgotten(t *testing.T) {
	out, err := phase(t.Context(), t, "probe", "GODEBUG=httplaxcontentlength=1", "SSL_CERT_FILE=/planted.pem", "SSL_CERT_DIR=/planted").CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "\ntrue false  \n") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestRootsAreTheImagesOwn(t *testing.T) {
	own, planted := httptest.NewTLSServer(nil), filepath.Join(t.TempDir(), "planted.pem")
	defer own.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate().Raw})
	if err := os.WriteFile(planted, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	trusted := func(roots *x509.CertPool) bool {
		_, err := own.Certificate().Verify(x509.VerifyOptions{Roots: roots})
		return err == nil
	}
	image, err := trustedRoots(planted)
	if err != nil || !trusted(image) {
		t.Errorf("the image's own bundle is not trusted: %v", err)
	}
	t.Setenv("SSL_CERT_FILE", planted)
	t.Setenv("SSL_CERT_DIR", filepath.Dir(planted))
	forget("SSL_CERT_FILE", "SSL_CERT_DIR")
	elsewhere, err := trustedRoots(filepath.Join(t.TempDir(), "missing"))
	if err != nil || trusted(elsewhere) {
		t.Errorf("a bundle that a step planted is trusted (%v)", err)
	}
	if err := os.WriteFile(planted, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := trustedRoots(planted); err == nil {
		t.Error("a bundle without certificates is taken")
	}
}

// The runner signals a cancelled job while the server still thinks.
func TestSignalEndsTheHalfMadeLease(t *testing.T) {
	t.Parallel()
	asked, ended := make(chan struct{}), make(chan string, 1)
	var idTokens int
	mux := http.NewServeMux()
	mux.HandleFunc("/id-token", func(w http.ResponseWriter, _ *http.Request) {
		idTokens++
		_, _ = fmt.Fprintf(w, `{"value":"a.b.c%d"}`, idTokens)
	})
	mux.HandleFunc("/v1/token", func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // the body must be read for the end of the connection to show
		close(asked)
		<-r.Context().Done()
	})
	mux.HandleFunc("/v1/jobs/end", func(w http.ResponseWriter, r *http.Request) {
		ended <- r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"ended":1}`))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := phase(ctx, t, "curfew-main",
		"INPUT_SERVER="+server.URL, "INPUT_GRANT=release", "GITHUB_REPOSITORY=acme/web",
		"GITHUB_OUTPUT="+filepath.Join(t.TempDir(), "output"),
		"ACTIONS_ID_TOKEN_REQUEST_URL="+server.URL+"/id-token", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=t")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-ctx.Done():
		t.Fatal("the server is never asked")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v\n%s", err, out.String())
	}
	select {
	case bearer := <-ended:
		if bearer != "Bearer a.b.c2" {
			t.Errorf("ended by %q, not by a fresh token", bearer)
		}
	default:
		t.Errorf("nothing is ended:\n%s", out.String())
	}
}

// Everything that is linked starts with every job, twice.
func TestTheActionStaysSmall(t *testing.T) {
	const module = "github.com/curfew-dev/curfew/"
	foreign, seen := map[string]bool{}, map[string]bool{}
	var visit func(dir string)
	visit = func(dir string) {
		if seen[dir] {
			return
		}
		seen[dir] = true
		p, err := build.ImportDir(filepath.Join("../..", dir), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range p.Imports {
			if ours, found := strings.CutPrefix(path, module); found {
				visit(ours)
			} else if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") || strings.HasPrefix(path, "database/") {
				foreign[path] = true
			}
		}
	}
	visit("cmd/action")
	// This one has no dependencies of its own.
	if diff := cmp.Diff([]string{"github.com/sethvargo/go-githubactions"}, slices.Sorted(maps.Keys(foreign))); diff != "" {
		t.Error(diff)
	}
}
