package runner

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestWorkflowErrorsSayWhere(t *testing.T) {
	const job = "jobs:\n  a:\n    steps:\n      - "
	for _, row := range []struct {
		why, text, err string
	}{
		{"a good file", "on: push\n" + job + "run: x\n", ""},
		{"an empty file", "", "w.yml:1:1: "},
		{"broken YAML", "on: push\njobs: [\n", "w.yml:3:1: "},
		{"two documents", "a: 1\n---\nb: 1\n", "w.yml:1:1: "},
		{"an unknown key", "on: push\njops: {}\n", `w.yml:2:1: "jops" is not known here`},
		{"a key given twice", "on: push\non: push\n", `w.yml:2:1: "on" is given twice`},
		{"a job's key that changes what runs", "jobs:\n  a:\n    if: false\n", `w.yml:3:5: "if" is not known here`},
		{"a matrix", "jobs:\n  a: { strategy: {} }\n", `w.yml:2:8: "strategy"`},
		{"steps that are no list", "jobs:\n  a: { steps: x }\n", "w.yml:2:15: expected a list"},
		{"a step that is no mapping", job + "x\n", "w.yml:4:9: expected a mapping"},
		{"a step that does nothing", job + "id: x\n", "w.yml:4:9: a step has either `uses` or `run`"},
		{"a step that does both", job + "{ uses: a/b@v1, run: x }\n", "w.yml:4:9: a step has either"},
		{"inputs for a script", job + "{ run: x, with: { a: b } }\n", "w.yml:4:9: `with` belongs to"},
		{"a shell for an action", job + "{ uses: a/b@v1, shell: sh }\n", "w.yml:4:9: `shell` belongs to"},
		{"an unknown shell", job + "{ run: x, shell: pwsh }\n", "w.yml:4:9: shell: expected bash or sh"},
		{"two steps of one id", job + "{ run: x, id: s }\n      - { run: y, id: S }\n", `w.yml:5:9: the step id "S" is given twice`},
		{"an unknown expression", job + "run: echo ${{ vars.X }}\n", "w.yml:4:14: the expression ${{ vars.X }} is not supported"},
		{"an unknown condition", job + "{ run: x, if: 1 == 1 }\n", `w.yml:4:23: the condition "1 == 1"`},
		{"an alias", job + "{ run: &x y, name: *x }\n", "w.yml:4:28: anchors and aliases"},
		{"a nested value where a text belongs", job + "{ run: [x] }\n", "w.yml:4:16: expected a single value"},
		{"a flag that is none", job + "{ run: x, continue-on-error: yes }\n", "w.yml:4:38: expected true or false"},
		{"a timeout that is none", job + "{ run: x, timeout-minutes: 0 }\n", "w.yml:4:36: expected a number of minutes"},
		{"a level that is none", "permissions: { id-token: wrote }\n", "w.yml:1:26: permission id-token: expected read, write or none"},
		{"permissions that are none", "permissions: all\n", "w.yml:1:14: expected write-all, read-all or a mapping"},
	} {
		t.Run(row.why, func(t *testing.T) {
			top, err := parseDocument("w.yml", []byte(row.text))
			if err == nil {
				_, err = parseWorkflow(top)
			}
			checkError(t, err, row.err)
		})
	}
}

func TestMetadataErrorsSayWhere(t *testing.T) {
	const good = "name: a\nruns:\n  using: docker\n  image: Dockerfile\n"
	for _, row := range []struct {
		why, text, err string
	}{
		{"a good file", good, ""},
		{"no runs", "name: a\n", "action.yml:1:1: `runs` is missing"},
		{"a JavaScript action", "runs: { using: node20, main: x }\n", `action.yml:1:24: "main" is not known here`},
		{"a composite action", "runs: { using: composite }\n", "action.yml:1:7: runs.using: only docker actions"},
		{"no image", "runs: { using: docker }\n", "action.yml:1:7: runs.image is missing"},
		{"args", good + "  args: [x]\n", "action.yml:5:9: args go to every phase alike"},
		{"a pre phase", good + "  pre-entrypoint: /pre\n", `action.yml:5:3: "pre-entrypoint"`},
		{"an entrypoint with arguments", good + "  post-entrypoint: /x post\n", "action.yml:3:3: an entrypoint is one program"},
		{"an unknown condition", good + "  post-if: maybe()\n", `action.yml:5:12: the condition "maybe()"`},
		{"an unknown key of an input", "inputs:\n  a: { preset: x }\n" + good, `action.yml:2:8: "preset"`},
	} {
		t.Run(row.why, func(t *testing.T) {
			top, err := parseDocument("action.yml", []byte(row.text))
			if err == nil {
				_, err = parseMetadata(top)
			}
			checkError(t, err, row.err)
		})
	}
}

func TestWhatIsMissingStopsTheRunnerAtOnce(t *testing.T) {
	for _, row := range []struct {
		why   string
		spoil func(*stage)
		err   string
	}{
		{"nothing is missing", func(*stage) {}, ""},
		{"the workflow file", func(s *stage) { s.Workflow += ".no" }, "no such file"},
		{"the job", func(s *stage) { s.Name = "nothing" }, `workflow.yml:1:1: no job "nothing"; the file has: build`},
		{"the action", func(s *stage) { s.Actions = nil }, "workflow.yml:7:9: uses acme/thing@v1: no such action"},
		{"the action's metadata", func(s *stage) { remove(s, "thing/action.yml") }, "uses acme/thing@v1: open "},
		{"the action's program", func(s *stage) { remove(s, "thing/main") }, "uses acme/thing@v1: its program: "},
		{"the action's program for post", func(s *stage) { remove(s, "thing/post") }, "uses acme/thing@v1: its program: "},
		{"the step to die before", func(s *stage) { s.KillBefore = "nobody" }, `kill before "nobody": job build has no such step`},
		{"the step to give inputs to", func(s *stage) { s.With = map[string]map[string]string{"nobody": nil} }, `inputs for "nobody": job build has no such step`},
	} {
		t.Run(row.why, func(t *testing.T) {
			s := newStage(t, "- { uses: acme/thing@v1, id: thing }")
			s.action("thing", "a: {}", "true", "true")
			row.spoil(s)
			_, err := s.Run(t.Context())
			checkError(t, err, row.err)
		})
	}
}

func TestAFileThatIsTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.yml")
	if err := os.WriteFile(path, []byte(strings.Repeat("#", maxDocument+1)), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := readWorkflow(path)
	checkError(t, err, "w.yml:1:1: the file is larger than")
}

// FuzzDocuments holds that any workflow or metadata file is read without a
// panic, and that every error says where.
func FuzzDocuments(f *testing.F) {
	for _, seed := range []string{
		"", "on: push\njobs:\n  a:\n    steps:\n      - run: x\n", "name: a\nruns: { using: docker, image: x }\ninputs: { a: { default: b } }\n",
		"jobs: *x", "a: &a [*a]", "? [a]\n: b", "<<: {a: b}", "permissions: write-all", "jobs:\n  a: { steps: [{ uses: a/b@c, with: { x: \"${{ env.A }}\" } }] }",
	} {
		f.Add([]byte(seed))
	}
	where := regexp.MustCompile(`^f\.yml:[1-9]\d*:[1-9]\d*: `)
	f.Fuzz(func(t *testing.T, text []byte) {
		top, err := parseDocument("f.yml", text)
		errs := []error{err}
		if err == nil {
			_, first := parseWorkflow(top)
			_, second := parseMetadata(top)
			errs = []error{first, second}
		}
		for _, err := range errs {
			if err != nil && !where.MatchString(err.Error()) {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

func remove(s *stage, name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(filepath.Dir(s.Dir), name)); err != nil {
		s.t.Fatal(err)
	}
}
