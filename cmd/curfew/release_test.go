package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const someImage = "ghcr.io/curfew-dev/curfew/action@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// A releaser is a clone with action.yml in it, and the repository that it publishes to.
type releaser struct {
	t              *testing.T
	source, remote string
}

func newReleaser(t *testing.T) *releaser {
	t.Helper()
	needs(t, "git", "bash")
	r := &releaser{t: t, source: t.TempDir(), remote: t.TempDir()}
	action, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.source, "action.yml"), action, 0o600); err != nil {
		t.Fatal(err)
	}
	r.git("init", "--quiet", "--bare", r.remote)
	r.git("init", "--quiet")
	r.git("add", "action.yml")
	r.git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "Start")
	return r
}

func (r *releaser) git(arguments ...string) string {
	r.t.Helper()
	command := exec.CommandContext(r.t.Context(), "git", arguments...)
	command.Dir = r.source
	out, err := command.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(bytes.TrimSpace(out))
}

// script runs one of the release scripts in the clone.
func (r *releaser) script(name string, arguments ...string) (string, error) {
	r.t.Helper()
	path, err := filepath.Abs(filepath.Join("../../.ci", name))
	if err != nil {
		r.t.Fatal(err)
	}
	command := exec.CommandContext(r.t.Context(), path, arguments...)
	command.Dir = r.source
	out, err := command.CombinedOutput()
	return string(out), err
}

// tag is the commit that the published tag names.
func (r *releaser) tag(name string) string {
	return r.git("--git-dir", r.remote, "rev-parse", "--verify", "--quiet", "refs/tags/"+name)
}

func TestAReleaseNamesTheImageByItsDigest(t *testing.T) {
	r := newReleaser(t)
	head := r.git("rev-parse", "HEAD")
	if out, err := r.script("release-commit", "v1.2.3", someImage, r.remote); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	published := r.git("--git-dir", r.remote, "show", "v1.2.3:action.yml")
	if want := strings.Replace(r.git("show", "HEAD:action.yml"), "image: Dockerfile", "image: docker://"+someImage, 1); published != want {
		t.Errorf("the published action.yml is\n%s", published)
	}
	if r.tag("v1") != r.tag("v1.2.3") || r.git("--git-dir", r.remote, "rev-parse", "v1^") != head {
		t.Error("v1 is not the release, or the release doesn't stand on the source")
	}
	if status := r.git("status", "--porcelain"); status != "" || r.git("rev-parse", "HEAD") != head {
		t.Errorf("the clone changed: %s", status)
	}
	if branches := r.git("--git-dir", r.remote, "branch", "--list"); branches != "" {
		t.Errorf("a branch was published: %s", branches)
	}

	before := r.tag("v1")
	if out, err := r.script("release-commit", "v1.2.4", strings.ReplaceAll(someImage, "0123", "4567"), r.remote); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if r.tag("v1") == before || r.tag("v1.2.3") != before {
		t.Error("the next release moves v1, and v1 alone")
	}
	if out, err := r.script("release-commit", "v1.2.3", strings.ReplaceAll(someImage, "0123", "89ab"), r.remote); err == nil || r.tag("v1.2.3") != before {
		t.Errorf("a version was published twice: %s", out)
	}
}

func TestWhatCannotBeReleased(t *testing.T) {
	r := newReleaser(t)
	sbom := filepath.Join(r.source, "action.yml")
	for _, row := range []struct {
		why    string
		script []string
	}{
		{"no version", []string{"release-commit", "main", someImage, r.remote}},
		{"a version of two numbers", []string{"release-commit", "v1.2", someImage, r.remote}},
		{"a version with a script in it", []string{"release-commit", "v1.2.3;id", someImage, r.remote}},
		{"an image by its tag", []string{"release-commit", "v1.2.3", "ghcr.io/curfew-dev/curfew/action:v1.2.3", r.remote}},
		{"an image with a script in it", []string{"release-commit", "v1.2.3", "x|e id;" + someImage, r.remote}},
		{"a signature of a tag", []string{"release-sign", "--dry-run", "ghcr.io/curfew-dev/curfew/action:v1.2.3", sbom}},
		{"a signature without an SBOM", []string{"release-sign", "--dry-run", someImage, sbom + ".none"}},
		{"images without a version", []string{"release-images", "--dry-run", "latest", "ghcr.io/curfew-dev/curfew"}},
	} {
		if out, err := r.script(row.script[0], row.script[1:]...); err == nil {
			t.Errorf("%s: it was taken: %s", row.why, out)
		}
	}
	if tags := r.git("--git-dir", r.remote, "tag"); tags != "" {
		t.Errorf("published nevertheless: %s", tags)
	}
	out, err := r.script("release-sign", "--dry-run", someImage, sbom)
	if err != nil || strings.Count(out, someImage) != 2 {
		t.Errorf("a signature: %v\n%s", err, out)
	}
}
