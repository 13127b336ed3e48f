package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/runner"
)

// files lists what an image holds, without what the engine puts into every container.
func files(t *testing.T, image string) []string {
	t.Helper()
	id := docker(t, "create", image, "/none")
	defer func() { _, _ = dockerTry("rm", id) }()
	out, err := exec.CommandContext(t.Context(), "docker", "export", id).Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for archive := tar.NewReader(bytes.NewReader(out)); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		switch h.Name {
		case ".dockerenv", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "dev/console":
		default:
			if h.Typeflag != tar.TypeDir {
				found = append(found, h.Name)
			}
		}
	}
}

func TestWhatTheImagesHold(t *testing.T) {
	t.Parallel()
	needsImages(t)
	const roots = "etc/ssl/certs/ca-certificates.crt"
	for image, want := range map[string]struct {
		files                  []string
		entry, user, directory string
		most                   int // bytes
	}{
		actionImage: {[]string{"curfew-main", "curfew-post", roots}, "[/curfew-main]", "", "", 8e6},
		arcImage:    {[]string{"bin/busybox", "bin/env", "bin/sh", "bin/tail", "curfew-main", "curfew-post", roots}, "[/curfew-main]", "", "", 11e6},
		serverImage: {[]string{"curfew", roots}, "[/curfew]", "65532:65532", "/data", 25e6},
	} {
		if diff := cmp.Diff(want.files, files(t, image)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", image, diff)
		}
		got := docker(t, "image", "inspect", "--format",
			`{{.Config.Entrypoint}}|{{.Config.User}}|{{.Config.WorkingDir}}|{{index .Config.Labels "org.opencontainers.image.source"}}|{{index .Config.Labels "org.opencontainers.image.licenses"}}`, image)
		if wanted := want.entry + "|" + want.user + "|" + want.directory + "|https://github.com/curfew-dev/curfew|Apache-2.0"; got != wanted {
			t.Errorf("%s is configured as %s, want %s", image, got, wanted)
		}
		var size, layers int
		if _, err := fmt.Sscan(docker(t, "image", "inspect", "--format", "{{.Size}} {{len .RootFS.Layers}}", image), &size, &layers); err != nil || size > want.most {
			t.Errorf("%s has %d bytes, more than %d (%v)", image, size, want.most, err)
		}
		t.Logf("%s: %.2f MB in %d layers", image, float64(size)/1e6, layers)
	}
}

// The server as its users should run it: with nothing that it does not need.
func TestTheServerImageServes(t *testing.T) {
	t.Parallel()
	needsImages(t)
	w := newWorld(t)
	w.stop()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	address := free.Addr().String()
	w.must(free.Close())
	policies, err := filepath.Abs(w.settings().Policy)
	w.must(err)
	id := docker(t, "run", "--detach", "--read-only", "--cap-drop=ALL", "--security-opt", "no-new-privileges", "--network", "host",
		"--volume", "/data", "--volume", policies+":/policy:ro", "--health-interval", "1s",
		"-e", "CURFEW_LISTEN="+address, "-e", "CURFEW_APP_KEY_PEM="+string(w.appKey), serverImage, "serve", "--url", "http://"+address, "--app-id", "Iv23test",
		"--github", w.settings().GitHub, "--issuer", w.github.Issuer(), "--policy", "/policy")
	t.Cleanup(func() {
		if out, _ := dockerTry("logs", id); t.Failed() {
			t.Log(out)
		}
		_, _ = dockerTry("rm", "--force", "--volumes", id)
	})
	w.eventually("the image's own health check passes", func() bool {
		status, _ := dockerTry("inspect", "--format", "{{.State.Health.Status}}", id)
		return status == "healthy"
	})
	at := w.places()
	at.server = "http://" + address
	r := w.play(t.Context(), w.docked(at, w.job(nil), curfewStep, nil))
	if r.Conclusion != runner.Success || w.github.Alive(given(t, r)) {
		t.Errorf("the job ended with %s, its token alive: %v", r.Conclusion, w.github.Alive(given(t, r)))
	}
	docker(t, "stop", "--time", "20", id)
	if got := docker(t, "inspect", "--format", "{{.State.ExitCode}}", id); got != "0" {
		t.Errorf("asked to stop it exits with %s", got)
	}
	if out, err := dockerTry("run", "--rm", serverImage, "demo"); err == nil || !strings.Contains(out, "demo") {
		t.Errorf("the image can play the demo: %s", out)
	}
}

// Two builds, in folders and with caches of their own, give the same bytes.
func TestBuildsAreReproducible(t *testing.T) {
	t.Parallel()
	needsImages(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	builds := regexp.MustCompile(`RUN go build (.*) -ldflags="(.*)" -o /image/(\S+) (\S+)`).FindAllStringSubmatch(string(text), -1)
	if len(builds) != 2 {
		t.Fatalf("the Dockerfile has %d builds of the known form", len(builds))
	}
	for _, b := range builds {
		name, image := b[3], map[string]string{"curfew": serverImage, "curfew-main": actionImage}[b[3]]
		inside, here := filepath.Join(t.TempDir(), name), filepath.Join(t.TempDir(), name)
		id := docker(t, "create", image, "/none")
		docker(t, "cp", id+":/"+name, inside)
		docker(t, "rm", id)
		built, err := buildinfo.ReadFile(inside)
		if err != nil {
			t.Fatal(err)
		}
		if built.GoVersion != runtime.Version() {
			t.Skipf("the base image has %s, this machine %s", built.GoVersion, runtime.Version())
		}
		cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build"}, strings.Fields(b[1])...),
			"-ldflags", strings.ReplaceAll(b[2], "$VERSION", ""), "-o", here, b[4])...)
		cmd.Dir, cmd.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		one, other := digest(t, inside), digest(t, here)
		if one != other {
			t.Errorf("%s: the image's build has SHA-256 %s, this machine's %s", name, one, other)
		}
		t.Logf("%s: SHA-256 %s, twice", name, one)
	}
}

func digest(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(content))
}

// Whatever lies about in a checkout stays out of a build's context.
func TestTheContextHoldsCodeOnly(t *testing.T) {
	t.Parallel()
	needsImages(t)
	dir := t.TempDir()
	ignore, err := os.ReadFile(filepath.Join("..", "..", ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	code := []string{"cmd/action/main.go", "cmd/curfew/main.go", "go.mod", "go.sum", "pkg/store/migrations/sqlite/1.sql", "pkg/store/store.go"}
	junk := []string{
		".env", ".git/config", "app.pem", "curfew.db", "curfew.db.seal-key", "id_rsa", "policy/acme.yaml", "main.go", "Dockerfile", ".dockerignore",
		"cmd/token", "cmd/curfew/app.pem", "cmd/curfew/app_test.go", "cmd/curfew/testdata/key.go", "cmd/other/main.go", "cmd/curfew/curfew",
		"pkg/id_rsa", "pkg/secret.go", "pkg/action/.netrc", "pkg/action/credentials", "pkg/store/deep/er.go", "pkg/store/curfew.db", "pkg/store/migrations/dump.sql",
		"pkg/simulator/server.go", "pkg/runner/runner.go",
	}
	for _, name := range append(junk, code...) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, ".dockerignore"), ignore, 0o644),
		os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY . /\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "docker", "build", "--no-cache", "--tag", "curfew-test-context", dir)
	build.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _, _ = dockerTry("rmi", "curfew-test-context") })
	if diff := cmp.Diff(code, files(t, "curfew-test-context")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// ARC's Kubernetes mode keeps the container alive with tail, and starts the phase by a script of its own.
func TestTheImageForARC(t *testing.T) {
	t.Parallel()
	needsImages(t)
	dir := t.TempDir()
	script := "#!/bin/sh -l\n\ncd /github/workspace && \\\nexec env \"INPUT_SERVER=not an address\" \"INPUT_GRANT=release\" /curfew-main \n"
	if err := os.WriteFile(filepath.Join(dir, "entry.sh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	id := docker(t, "run", "--detach", "--rm", "--network", "none", "-v", dir+":/github/workspace", "--entrypoint", "tail", arcImage, "-f", "/dev/null")
	t.Cleanup(func() { _, _ = dockerTry("rm", "--force", id) })
	out, err := dockerTry("exec", id, "sh", "-e", "/github/workspace/entry.sh")
	if err == nil || !strings.Contains(out, "::error") || !strings.Contains(out, "server") {
		t.Errorf("the phase did not start: %v\n%s", err, out)
	}
}
