package runner

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAJobTellsItsStory(t *testing.T) {
	s := newStage(t, `
- id: thing
  uses: acme/thing@v1
  with: { greeting: hello }
- name: Use ${{ steps.thing.outputs.lease-id }}
  run: |
    echo "got $TOKEN"
    echo "as $(cat "$GITHUB_WORKSPACE/note")"
  env: { TOKEN: "${{ steps.thing.outputs.token }}" }
`)
	s.action("thing", "greeting: {}", `
echo "::add-mask::s3cret"
echo "token=s3cret" >> "$GITHUB_OUTPUT"
echo "lease-id=L1" >> "$GITHUB_OUTPUT"
echo "handle=h1" >> "$GITHUB_STATE"
echo "# granted s3cret" >> "$GITHUB_STEP_SUMMARY"
echo "$INPUT_GREETING" > note
echo "::notice title=Granted::s3cret"
`, `echo "ending $STATE_handle"`)
	var live bytes.Buffer
	var seen []string
	s.Log, s.OnStep = &live, func(step Step) { seen = append(seen, step.Name) }
	now := time.Unix(0, 0)
	s.Now = func() time.Time { now = now.Add(time.Second); return now }
	r := s.run(t.Context())

	want := `##[group]Run acme/thing@v1
with:
  greeting: hello
##[endgroup]
##[notice]***
##[group]Run echo "got $TOKEN"
<echo "got $TOKEN">
<echo "as $(cat "$GITHUB_WORKSPACE/note")">
shell: bash -e {0}
env:
  TOKEN: ***
##[endgroup]
got ***
as hello
Post job cleanup.
ending h1
`
	shell := shellOf(t, "bash")
	if diff := cmp.Diff(want, strings.NewReplacer("\x1b[36;1m", "<", "\x1b[0m", ">", shell, "bash").Replace(r.Log)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if live.String() != r.Log {
		t.Errorf("the live log is another:\n%s", live.String())
	}
	if diff := cmp.Diff([]string{"Run acme/thing@v1", "Use L1", "Post Run acme/thing@v1"}, seen); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	main := r.Step("thing", "main")
	wantMain := &Step{
		ID: "thing", Name: "Run acme/thing@v1", Phase: "main", Outcome: Success,
		Outputs: map[string]string{"token": "s3cret", "lease-id": "L1"}, State: map[string]string{"handle": "h1"},
		Log:         "##[group]Run acme/thing@v1\nwith:\n  greeting: hello\n##[endgroup]\n##[notice]***\n",
		RawLog:      "::add-mask::s3cret\n::notice title=Granted::s3cret\n",
		Annotations: []Annotation{{"notice", "Granted", "***"}}, Summary: "# granted ***\n", Duration: time.Second,
	}
	if diff := cmp.Diff(wantMain, main); diff != "" {
		t.Errorf("main (-want +got):\n%s", diff)
	}
	if r.Conclusion != Success || r.Summaries != main.Summary || !slices.Equal(r.Masks, []string{"s3cret"}) {
		t.Errorf("conclusion %s, summaries %q, masks %q", r.Conclusion, r.Summaries, r.Masks)
	}
}

func TestTheOrderOfPhases(t *testing.T) {
	const two = "- { id: a, uses: acme/a@v1 }\n- { id: b, uses: acme/b@v1 }\n- { id: c, run: 'true' }\n"
	for _, row := range []struct {
		why, steps   string
		a, aPost     string
		kill         string
		order, ended string
	}{
		{"post phases run last step first", two, "true", "true", "", "a:main=success b:main=success c:run=success b:post=success a:post=success", Success},
		{"a failed main has its post, and what follows is skipped", two, "exit 3", "true", "", "a:main=failure b:main=skipped c:run=skipped a:post=success", Failure},
		{"a failed post fails the job and stops no other", two, "true", "exit 1", "", "a:main=success b:main=success c:run=success b:post=success a:post=failure", Failure},
		{
			"a failure can be waved through", "- { id: a, uses: acme/a@v1, continue-on-error: true }\n- { id: c, run: 'true' }", "exit 1", "true", "",
			"a:main=failure c:run=success a:post=success", Success,
		},
		{
			"conditions see the failure", "- { id: a, uses: acme/a@v1 }\n- { id: f, if: failure(), run: 'true' }\n- { id: z, if: always(), run: 'true' }\n- { id: n, if: cancelled(), run: 'true' }", "exit 1", "true", "",
			"a:main=failure f:run=success z:run=success n:run=skipped a:post=success", Failure,
		},
		{
			"a step that never began has no post", "- { id: c, run: exit 1 }\n- { id: a, uses: acme/a@v1 }", "true", "true", "",
			"c:run=failure a:main=skipped", Failure,
		},
		{"an action without post has none", "- { id: a, uses: acme/a@v1 }", "true", "", "", "a:main=success", Success},
		{"a machine that dies before post runs none", two, "true", "true", "post", "a:main=success b:main=success c:run=success", Lost},
		{"a machine that dies before a step runs nothing more", two, "true", "true", "b", "a:main=success", Lost},
		{"a machine that dies before the first step runs nothing", two, "true", "true", "a", "", Lost},
	} {
		t.Run(row.why, func(t *testing.T) {
			s := newStage(t, row.steps)
			s.action("a", "x: {}", row.a, row.aPost)
			s.action("b", "x: {}", "true", "true")
			s.KillBefore = row.kill
			r := s.run(t.Context())
			if got := order(r); got != row.order {
				t.Errorf("order\n got %s\nwant %s", got, row.order)
			}
			if r.Conclusion != row.ended {
				t.Errorf("conclusion is %s, want %s", r.Conclusion, row.ended)
			}
		})
	}
}

func TestPostIfIsObeyed(t *testing.T) {
	s := newStage(t, "- { id: a, uses: acme/a@v1 }\n- run: exit 1")
	s.action("a", "x: {}", "true", "true")
	s.file("a/action.yml", "runs: { using: docker, image: x, post-entrypoint: /post, post-if: success() }", 0o644)
	if got, want := order(s.run(t.Context())), "a:main=success __run:run=failure a:post=skipped"; got != want {
		t.Errorf("order\n got %s\nwant %s", got, want)
	}
}

func TestStateBelongsToItsStep(t *testing.T) {
	s := newStage(t, "- { id: a, uses: acme/a@v1 }\n- { id: b, uses: acme/a@v2 }\n- { uses: acme/a@v1 }\n- { uses: acme/a@v1 }")
	s.action("a", "x: {}", `printf 'who=%s\nlines<<END\n1\n2\nEND\n' "$GITHUB_ACTION" >> "$GITHUB_STATE"`, dump)
	r := s.run(t.Context())
	for _, id := range []string{"a", "b", "__acme_a", "__acme_a_2"} {
		want := map[string]string{"STATE_who": id, "STATE_lines": "1\n2"}
		if diff := cmp.Diff(want, variables(r.Step(id, "post"), "STATE_")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

func TestBrokenCommandFilesFailTheStep(t *testing.T) {
	for _, row := range []struct{ why, script, message string }{
		{"a missing delimiter", `printf 'a=1\nb<<END\n2\n' >> "$GITHUB_OUTPUT"`, "invalid value: matching delimiter not found 'END'"},
		{"a broken state", `printf 'a=1\n=2\n' | tee "$GITHUB_STATE" >> "$GITHUB_OUTPUT"`, "invalid format '=2': the name must not be empty"},
		{"a masked value where a line should be", `echo ::add-mask::s3cret; printf 'a=1\ns3cret\n' >> "$GITHUB_OUTPUT"`, "invalid format '***'"},
		{"a folder instead", `echo a=1 >> "$GITHUB_OUTPUT"; rm "$GITHUB_ENV"; mkdir "$GITHUB_ENV"`, "it is no longer a regular file"},
	} {
		t.Run(row.why, func(t *testing.T) {
			s := newStage(t, "- { id: s, run: x }")
			s.workflow("jobs:\n  a:\n    steps:\n      - id: s\n        run: |\n" + indent(row.script, "          "))
			r := s.run(t.Context())
			step := r.Step("s", "run")
			if step.Outcome != Failure || step.ExitCode != 0 || r.Conclusion != Failure {
				t.Errorf("outcome %s, exit code %d, conclusion %s", step.Outcome, step.ExitCode, r.Conclusion)
			}
			if got := step.Annotations[len(step.Annotations)-1]; got != (Annotation{"error", "", row.message}) {
				t.Errorf("got %+v, want %s", got, row.message)
			}
			if step.Outputs["a"] != "1" {
				t.Errorf("what stood before the mistake is gone: %v", step.Outputs)
			}
		})
	}
}

func TestASummaryHasALimit(t *testing.T) {
	s := newStage(t, `
- { id: fits, run: 'head -c 1048576 /dev/zero | tr "\0" x >> "$GITHUB_STEP_SUMMARY"' }
- { id: over, run: 'head -c 1049600 /dev/zero | tr "\0" x >> "$GITHUB_STEP_SUMMARY"' }
`)
	r := s.run(t.Context())
	if got := len(r.Step("fits", "run").Summary); got != maxSummary {
		t.Errorf("kept %d bytes of one that fits", got)
	}
	if got := r.Step("over", "run"); got.Summary != "" || len(got.Annotations) != 1 || got.Outcome != Success {
		t.Errorf("kept %d bytes of one that doesn't, %v, %s", len(got.Summary), got.Annotations, got.Outcome)
	}
}

func TestSecretsDontCrossJobs(t *testing.T) {
	s := newStage(t, "- run: x")
	s.workflow(`
jobs:
  a:
    outputs: { token: "a ${{ steps.s.outputs.token }}", id: "${{ steps.s.outputs.id }}", none: "${{ steps.no.outputs.id }}" }
    steps:
      - { id: s, run: 'echo "::add-mask::s3cret"; printf "token=s3cret\nid=L1\n" >> "$GITHUB_OUTPUT"' }
`)
	r := s.run(t.Context())
	if diff := cmp.Diff(map[string]string{"id": "L1"}, r.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	want := []Annotation{{"warning", "", "Skip output 'token' since it may contain secret."}}
	if diff := cmp.Diff(want, r.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestWhatIsMaskedFromTheStart(t *testing.T) {
	s := newStage(t, `- { name: "Show ${{ secrets.KEY }}", run: echo requesting ghs_token k3y other }`)
	s.IDTokenRequestToken, s.Secrets = "requesting", map[string]string{"KEY": "k3y"}
	s.Context = map[string]string{"token": "ghs_token"}
	r := s.run(t.Context())
	if got, want := lines(r.Log)[len(lines(r.Log))-1], "*** *** *** other"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	if got, want := r.Steps[0].Name, "Show ***"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
}

func TestCommandFilesStayReadableForLaterSteps(t *testing.T) {
	s := newStage(t, `
- { id: thing, uses: acme/thing@v1 }
- { id: thief, run: 'cat "$RUNNER_TEMP"/_runner_file_commands/*' }
`)
	s.action("thing", "a: {}", `echo token=s3cret | tee -a "$GITHUB_STATE" >> "$GITHUB_OUTPUT"`, "")
	r := s.run(t.Context())
	if got, want := r.Step("thief", "run").RawLog, "token=s3cret\ntoken=s3cret\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	kept, err := filepath.Glob(filepath.Join(s.Dir, "temp", "_runner_file_commands", "set_output_*"))
	if err != nil || len(kept) != 2 {
		t.Errorf("the work folder keeps %v, %v", kept, err)
	}
}

func TestBothStreamsAreRead(t *testing.T) {
	s := newStage(t, "- { id: s, run: 'echo ::add-mask::s3cret >&2; echo ::error::no >&2; exit 7' }")
	r := s.run(t.Context())
	step := r.Step("s", "run")
	want := []Annotation{{"error", "", "no"}, {"error", "", "Process completed with exit code 7."}}
	if diff := cmp.Diff(want, step.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if step.ExitCode != 7 || !slices.Equal(r.Masks, []string{"s3cret"}) {
		t.Errorf("exit code %d, masks %v", step.ExitCode, r.Masks)
	}
}

func TestShells(t *testing.T) {
	s := newStage(t, `
- { id: stops, run: "false\necho on", continue-on-error: true }
- { id: pipe, run: "false | true\necho on" }
- { id: strict, shell: bash, run: "false | true\necho on", continue-on-error: true }
- { id: sh, shell: sh, run: "false | true\necho on" }
`)
	r := s.run(t.Context())
	for id, want := range map[string]string{"stops": "", "pipe": "on\n", "strict": "", "sh": "on\n"} {
		if got := r.Step(id, "run").RawLog; got != want {
			t.Errorf("%s printed %q, want %q", id, got, want)
		}
	}
}

func TestAProgramThatDoesntStartFailsTheStep(t *testing.T) {
	s := newStage(t, "- { id: thing, uses: acme/thing@v1 }")
	s.action("thing", "a: {}", "true", "")
	s.file("thing/other", "#!/no/such/shell\n", 0o755)
	s.Actions["acme/thing"] = Action{Metadata: s.Actions["acme/thing"].Metadata, Main: s.file("thing/other", "#!/no/such/shell\n", 0o755)}
	step := s.run(t.Context()).Step("thing", "main")
	if step.Outcome != Failure || step.ExitCode != -1 || len(step.Annotations) != 1 {
		t.Errorf("outcome %s, exit code %d, %v", step.Outcome, step.ExitCode, step.Annotations)
	}
}
