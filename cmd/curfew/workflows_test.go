package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// workflows reads all workflow files of a folder.
func workflows(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows in %s: %v", folder, err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(text)
	}
	return texts
}

const (
	exampleWorkflows = "../../examples/workflows"
	ownWorkflows     = "../../.github/workflows"
)

func TestWorkflowsPassActionlint(t *testing.T) {
	needs(t, "actionlint", "git")
	for _, folder := range []string{exampleWorkflows, ownWorkflows} {
		dir := t.TempDir()
		to := filepath.Join(dir, ".github", "workflows")
		if err := os.MkdirAll(to, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range workflows(t, folder) {
			if err := os.WriteFile(filepath.Join(to, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		lint := exec.CommandContext(t.Context(), "sh", "-c", "git init --quiet && exec actionlint")
		lint.Dir = dir
		if out, err := lint.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", folder, err, out)
		}
	}
}

var (
	used   = regexp.MustCompile(`(?m)^ *(?:- )?uses: *(\S+)(.*)$`)
	pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
)

// What runs with the right to publish is what was read, not what a tag names today.
func TestOwnWorkflowsPinWhatTheyUse(t *testing.T) {
	for name, text := range workflows(t, ownWorkflows) {
		if !strings.Contains(text, "\npermissions: {}\n") {
			t.Errorf("%s gives permissions to every job", name)
		}
		for _, use := range used.FindAllStringSubmatch(text, -1) {
			if local := strings.HasPrefix(use[1], "./"); !local && (!pinned.MatchString(use[1]) || !strings.Contains(use[2], "# v")) {
				t.Errorf("%s uses %s, without a full SHA and the version beside it", name, use[1])
			}
		}
	}
}

func TestEveryExampleWorkflowIsRunOrSaysWhyNot(t *testing.T) {
	run, byAct := map[string]bool{}, map[string]bool{"reusable-called.yml": true} // by its caller
	for _, row := range exampleRuns {
		run[row.file] = true
	}
	for _, row := range actRuns {
		byAct[row.file] = true
	}
	for name, text := range workflows(t, exampleWorkflows) {
		header, _, _ := strings.Cut(text, "\nname:")
		if says := strings.Contains(header, "act runs this one"); !run[name] && (!says || !byAct[name]) {
			t.Errorf("%s is run by no test of pkg/runner; by act: %t; its header says so: %t", name, byAct[name], says)
		}
		delete(run, name)
	}
	for name := range run {
		t.Errorf("there is no example %s", name)
	}
}
