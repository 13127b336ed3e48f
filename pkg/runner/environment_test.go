package runner

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dump makes a phase tell its environment, which bash alone would not do for
// names with hyphens. Newlines inside values come out as vertical tabs.
const dump = `tr '\n\0' '\v\n' < /proc/$$/environ
`

// variables picks those that dump told, by the start of their names.
func variables(s *Step, prefixes ...string) map[string]string {
	found := map[string]string{}
	for _, line := range lines(s.RawLog) {
		name, value, _ := strings.Cut(line, "=")
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				found[name] = strings.ReplaceAll(value, "\v", "\n")
			}
		}
	}
	return found
}

func TestInputs(t *testing.T) {
	s := newStage(t, `
- id: thing
  uses: acme/thing@v1
  with:
    ca-certificate: "-----BEGIN\nEND-----\n"
    Export env: a, b
    reason: "ünïcode ✓ $HOME %0A ::error::x"
    flag: true
    number: 010
    unknown: x
- run: echo "RETRY=again" >> "$GITHUB_ENV"
`)
	s.Context = map[string]string{"repository": "acme/web"}
	s.action("thing", `
ca-certificate: { required: true }
export env: {}
reason: {}
flag: {}
number: {}
missing: { required: true }
repository: { default: "${{ github.repository }}" }
retry: { default: "${{ env.RETRY }}" }
old: { default: x, deprecationMessage: use new }
`, dump, dump)
	s.With = map[string]map[string]string{"thing": {"Flag": "${{ taken as it is }}"}}
	r := s.run(t.Context())
	want := map[string]string{
		"INPUT_CA-CERTIFICATE": "-----BEGIN\nEND-----\n",
		"INPUT_EXPORT_ENV":     "a, b",
		"INPUT_REASON":         "ünïcode ✓ $HOME %0A ::error::x",
		"INPUT_FLAG":           "${{ taken as it is }}",
		"INPUT_NUMBER":         "010",
		"INPUT_UNKNOWN":        "x",
		"INPUT_MISSING":        "",
		"INPUT_REPOSITORY":     "acme/web",
		"INPUT_RETRY":          "",
		"INPUT_OLD":            "x",
	}
	if diff := cmp.Diff(want, variables(r.Step("thing", "main"), "INPUT_")); diff != "" {
		t.Errorf("main (-want +got):\n%s", diff)
	}
	want["INPUT_RETRY"] = "again"
	if diff := cmp.Diff(want, variables(r.Step("thing", "post"), "INPUT_")); diff != "" {
		t.Errorf("post evaluates them again (-want +got):\n%s", diff)
	}
	warning := "Unexpected input(s) 'unknown', valid inputs are ['entryPoint', 'args', 'ca-certificate', 'export env', 'reason', 'flag', 'number', 'missing', 'repository', 'retry', 'old']"
	if diff := cmp.Diff([]Annotation{{"warning", "", warning}}, r.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestADeprecatedInputIsAWarning(t *testing.T) {
	s := newStage(t, "- { uses: acme/thing@v1, with: { old: x } }")
	s.action("thing", "old: { deprecationMessage: use new }", "true", "")
	want := []Annotation{{"warning", "", "Input 'old' has been deprecated with message: use new"}}
	if diff := cmp.Diff(want, s.run(t.Context()).Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestTheArgumentsGoToEveryPhase(t *testing.T) {
	s := newStage(t, "- { id: thing, uses: acme/thing@v1, with: { args: one two } }")
	s.action("thing", "a: {}", `echo "$# $1 $2"`, `echo "$# $1 $2"`)
	r := s.run(t.Context())
	for _, phase := range []string{"main", "post"} {
		if got := r.Step("thing", phase).RawLog; got != "2 one two\n" {
			t.Errorf("%s got %q", phase, got)
		}
	}
}

func TestTheRunnersOwnVariables(t *testing.T) {
	s := newStage(t, "- { id: thing, uses: acme/thing@v1 }")
	s.action("thing", "a: {}", dump, "")
	s.Context = map[string]string{"repository": "acme/web", "run_id": "7", "api_url": "http://127.0.0.1:1", "token": "ghs_x", "event": "{}"}
	s.Env = map[string]string{"EXTRA": "1", "GITHUB_RUN_ID": "8"}
	got := variables(s.run(t.Context()).Step("thing", "main"), "GITHUB_", "RUNNER_", "HOME", "CI", "EXTRA", "PATH")
	for name, want := range map[string]string{
		"GITHUB_REPOSITORY": "acme/web", "GITHUB_RUN_ID": "7", "GITHUB_API_URL": "http://127.0.0.1:1", "GITHUB_JOB": "build",
		"GITHUB_ACTION": "thing", "GITHUB_ACTION_REPOSITORY": "acme/thing", "GITHUB_ACTION_REF": "v1", "GITHUB_ACTIONS": "true",
		"GITHUB_WORKSPACE": s.Dir + "/workspace", "HOME": s.Dir + "/temp/_github_home", "RUNNER_TEMP": s.Dir + "/temp",
		"RUNNER_OS": "Linux", "CI": "true", "EXTRA": "1", "PATH": inheritedPath(),
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"GITHUB_TOKEN", "GITHUB_EVENT"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s is not exported by GitHub, got %q", name, value)
		}
	}
	if event, err := os.ReadFile(got["GITHUB_EVENT_PATH"]); err != nil || string(event) != "{}\n" {
		t.Errorf("the event is %q, %v", event, err)
	}
}

func TestTheIDTokenNeedsItsPermission(t *testing.T) {
	const job = "jobs:\n  a:\n    runs-on: x\n    steps: [{ id: s, run: env }]\n"
	for _, row := range []struct {
		why, text string
		want      bool
	}{
		{"the workflow grants it", "permissions: { id-token: write }\n" + job, true},
		{"the job grants it", job + "    permissions:\n      id-token: write\n", true},
		{"everything is granted", "permissions: write-all\n" + job, true},
		{"nothing is said", job, false},
		{"it is granted for reading", "permissions: { id-token: read }\n" + job, false},
		{"everything is granted for reading", "permissions: read-all\n" + job, false},
		{"other things are granted", "permissions: { contents: write }\n" + job, false},
		{"the job takes back what the workflow grants", "permissions: { id-token: write }\n" + job + "    permissions: {}\n", false},
		{"the job grants something else instead", "permissions: write-all\n" + job + "    permissions: { contents: read }\n", false},
	} {
		t.Run(row.why, func(t *testing.T) {
			s := newStage(t, "- run: x")
			s.workflow(row.text)
			s.IDTokenURL, s.IDTokenRequestToken = "http://127.0.0.1:1/token?x=y", "requesting"
			r := s.run(t.Context())
			want := map[string]string{}
			if row.want {
				want = map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": s.IDTokenURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "requesting"}
			}
			if diff := cmp.Diff(want, variables(r.Step("s", "run"), "ACTIONS_ID")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(r.Log, "requesting") {
				t.Error("the request token shows in the log")
			}
		})
	}
}

func TestWhatAnEarlierStepMayPutIntoTheEnvironment(t *testing.T) {
	const planted = `
- run: |
    for name in PLAIN STATE_lease STATE_own INPUT_A INPUT_EXTRA ACTIONS_ID_TOKEN_REQUEST_URL HTTPS_PROXY HOME PATH \
      GITHUB_API_URL GITHUB_NEW runner_temp NODE_OPTIONS; do
      echo "$name=planted" >> "$GITHUB_ENV"
    done
- { id: thing, uses: acme/thing@v1 }
- { id: reader, run: "export PATH=/usr/bin:/bin; tr '\\n\\0' '\\v\\n' < /proc/$$/environ" }
`
	s := newStage(t, planted)
	s.action("thing", "a: { default: b }", "PATH=/usr/bin:/bin\necho own=1 >> $GITHUB_STATE\n"+dump, "PATH=/usr/bin:/bin\n"+dump)
	s.Context = map[string]string{"api_url": "http://127.0.0.1:1"}
	r := s.run(t.Context())
	want := map[string]string{
		"PLAIN": "planted", "HTTPS_PROXY": "planted", "PATH": "planted",
		"STATE_lease": "planted", "STATE_own": "planted", "INPUT_A": "b", "INPUT_EXTRA": "planted",
		"ACTIONS_ID_TOKEN_REQUEST_URL": "planted",
		"HOME":                         s.Dir + "/temp/_github_home", "GITHUB_API_URL": "http://127.0.0.1:1",
	}
	names := []string{"PLAIN", "HTTPS_PROXY", "PATH", "STATE_", "INPUT_", "ACTIONS_ID_", "HOME", "GITHUB_API_URL", "GITHUB_NEW", "runner_temp", "NODE_OPTIONS"}
	if diff := cmp.Diff(want, variables(r.Step("thing", "main"), names...)); diff != "" {
		t.Errorf("main (-want +got):\n%s", diff)
	}
	want["STATE_own"] = "1"
	if diff := cmp.Diff(want, variables(r.Step("thing", "post"), names...)); diff != "" {
		t.Errorf("post has its own state (-want +got):\n%s", diff)
	}
	var refused []string
	for _, a := range r.Annotations {
		refused = append(refused, a.Level+": "+a.Message)
	}
	const format = "error: Can't store NAME output parameter using '$GITHUB_ENV' command."
	var expected []string
	for _, name := range []string{"GITHUB_API_URL", "GITHUB_NEW", "runner_temp", "NODE_OPTIONS"} {
		expected = append(expected, strings.Replace(format, "NAME", name, 1))
	}
	if diff := cmp.Diff(expected, refused); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if r.Conclusion != Success {
		t.Errorf("a refused variable fails no step, got %s", r.Conclusion)
	}
}

func TestTheIDTokenOfTheRunnerWinsOverAPlantedOne(t *testing.T) {
	s := newStage(t, `
- run: echo "ACTIONS_ID_TOKEN_REQUEST_URL=https://evil.example" >> "$GITHUB_ENV"
- { id: s, run: env }
`)
	s.IDTokenURL = "http://127.0.0.1:1/token"
	got := variables(s.run(t.Context()).Step("s", "run"), "ACTIONS_ID_TOKEN_REQUEST_URL")
	if want := s.IDTokenURL; got["ACTIONS_ID_TOKEN_REQUEST_URL"] != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestLaterEnvironmentsWin(t *testing.T) {
	s := newStage(t, "- run: x")
	s.workflow(`
env: { A: workflow, B: workflow, C: workflow, D: workflow }
jobs:
  a:
    runs-on: x
    env: { B: job, C: job, D: job, E: "${{ env.A }}-${{ secrets.s }}" }
    steps:
      - { id: first, run: 'echo "C=file" >> $GITHUB_ENV; echo "D=file" >> $GITHUB_ENV' }
      - { id: second, run: env, env: { D: step } }
`)
	s.Secrets = map[string]string{"S": "shh"}
	s.Env = map[string]string{"A": "machine", "F": "machine"}
	got := variables(s.run(t.Context()).Step("second", "run"), "A", "B", "C", "D", "E", "F")
	for name, want := range map[string]string{"A": "workflow", "B": "job", "C": "file", "D": "step", "E": "workflow-shh", "F": "machine"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestAddedPathsAreForScriptsAlone(t *testing.T) {
	s := newStage(t, `
- run: printf '/one\n/two\n\n' >> "$GITHUB_PATH"
- run: echo /one >> "$GITHUB_PATH"
- { id: script, run: 'echo "$PATH"' }
- { id: thing, uses: acme/thing@v1 }
`)
	s.action("thing", "a: {}", `echo "$PATH"`, "")
	r := s.run(t.Context())
	if got, want := r.Step("script", "run").RawLog, "/one:/two:"+inheritedPath()+"\n"; got != want {
		t.Errorf("script: got %q, want %q", got, want)
	}
	if got, want := r.Step("thing", "main").RawLog, inheritedPath()+"\n"; got != want {
		t.Errorf("action: got %q, want %q", got, want)
	}
}
