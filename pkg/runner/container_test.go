package runner

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The client's command line is the runner's own, word for word, and holds no value.
func TestTheDockerCommand(t *testing.T) {
	s := newStage(t, "- run: 'echo PLANTED=s3cret >> $GITHUB_ENV'\n- { id: thing, uses: acme/thing@v1, with: { ca-certificate: s3cret, args: one two } }")
	s.action("thing", "ca-certificate: {}", "", "x")
	s.Actions["acme/thing"] = Action{Metadata: s.Actions["acme/thing"].Metadata, Image: "registry.example:5000/acme/thing:v1"}
	s.Docker = Docker{Network: "github_network_1", Label: "abc123"}
	s.Env = map[string]string{"MACHINE": "x"}
	s.file("bin/docker", "#!/bin/bash\nprintf '%s\\n' \"$@\"; [ \"$PLANTED\" = s3cret ] && echo it has the values\n", 0o755)
	t.Setenv("PATH", filepath.Join(filepath.Dir(s.Dir), "bin")+":"+os.Getenv("PATH"))
	r := s.run(t.Context())
	for phase, want := range map[string]string{
		"main": "--entrypoint /main", "post": "--entrypoint /post",
	} {
		words := lines(r.Step("thing", phase).RawLog)
		if len(words) < 3 || !strings.HasPrefix(words[2], "cregistryexample5000acmethingv1_") {
			t.Fatalf("%s: %q", phase, words)
		}
		words[2] = "NAME"
		var named []string
		got := words[:0:0]
		for i := 0; i < len(words); i++ {
			if words[i] == "-e" && !strings.Contains(words[i+1], "=") {
				named, i = append(named, words[i+1]), i+1
				continue
			}
			got = append(got, words[i])
		}
		line := strings.Join(got, " ")
		expected := strings.ReplaceAll("run --name NAME --label abc123 --workdir /github/workspace --rm -e GITHUB_ACTIONS=true -e CI=true "+want+
			" --network github_network_1 -v /var/run/docker.sock:/var/run/docker.sock -v DIR/temp/_github_home:/github/home"+
			" -v DIR/temp/_github_workflow:/github/workflow -v DIR/temp/_runner_file_commands:/github/file_commands"+
			" -v DIR/workspace:/github/workspace registry.example:5000/acme/thing:v1 one two it has the values", "DIR", s.Dir)
		if diff := cmp.Diff(expected, line); diff != "" {
			t.Errorf("%s (-want +got):\n%s", phase, diff)
		}
		all := " " + strings.Join(named, " ") + " "
		for _, name := range []string{"HOME", "PLANTED", "INPUT_CA-CERTIFICATE", "GITHUB_OUTPUT", "RUNNER_TEMP"} {
			if !strings.Contains(all, " "+name+" ") {
				t.Errorf("%s: %s is missing in %s", phase, name, all)
			}
		}
		for _, name := range []string{"PATH", "MACHINE"} {
			if strings.Contains(all, " "+name+" ") {
				t.Errorf("%s: %s is the machine's own", phase, name)
			}
		}
	}
}

func TestPathsAreTranslated(t *testing.T) {
	mounts := []mount{{"/w/home", "/github/home"}, {"/w/work", "/github/workspace"}}
	for _, row := range []struct{ why, value, want string }{
		{"the folder itself", "/w/work", "/github/workspace"},
		{"a file in it", "/w/home/.netrc", "/github/home/.netrc"},
		{"a folder whose name goes on", "/w/workshop", "/w/workshop"},
		{"a path behind other text", "x:/w/work", "x:/w/work"},
		{"nothing", "", ""},
	} {
		if got := translate(row.value, mounts); got != row.want {
			t.Errorf("%s: %q became %q, want %q", row.why, row.value, got, row.want)
		}
	}
}

// onEngine makes acme/thing an action whose phases run a script in a container.
func onEngine(t *testing.T, s *stage, inputs, main, post string) {
	t.Helper()
	image := engineImage(t)
	s.action("thing", inputs, "", "x")
	metadata := s.Actions["acme/thing"].Metadata
	text, err := os.ReadFile(metadata)
	if err != nil {
		t.Fatal(err)
	}
	s.file("thing/action.yml", strings.NewReplacer("/main", "/github/workspace/main", "/post", "/github/workspace/post").Replace(string(text)), 0o644)
	s.file("runner/workspace/main", "#!/bin/bash\n"+main, 0o755)
	s.file("runner/workspace/post", "#!/bin/bash\n"+post, 0o755)
	s.Actions["acme/thing"] = Action{Metadata: metadata, Image: image}
	s.Docker.Label = "runner-test-" + strings.ToLower(t.Name())
	t.Cleanup(func() {
		// A client that was killed leaves its container behind, as on GitHub.
		left, _ := exec.Command("docker", "ps", "-aq", "--filter", "label="+s.Docker.Label).Output()
		if ids := strings.Fields(string(left)); len(ids) > 0 {
			_ = exec.Command("docker", append([]string{"rm", "-f"}, ids...)...).Run()
		}
	})
}

// engineImage is an image with bash; the test is skipped where there is no engine.
func engineImage(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "version").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI needs Docker: %v\n%s", err, out)
		}
		t.Skipf("without Docker: %v", err)
	}
	if out, err := exec.CommandContext(ctx, "../../.ci/images", "base").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return "golang:1.26"
}

func TestAnActionInItsContainer(t *testing.T) {
	s := newStage(t, `
- id: thing
  uses: acme/thing@v1
  with: { ca-certificate: "a\nb\n", reason: "ünïcode ✓ $HOME 'x' \"y\"" }
- { id: after, run: 'cat note; echo "$GREETING ${{ steps.thing.outputs.word }}"' }
`)
	onEngine(t, s, "ca-certificate: {}\nreason: {}", dump+`
pwd; id -u
echo 'word=hello' >> "$GITHUB_OUTPUT"; echo 'k=v' >> "$GITHUB_STATE"; echo 'GREETING=hi' >> "$GITHUB_ENV"; echo '# sum' >> "$GITHUB_STEP_SUMMARY"
echo from the container > note; touch "$HOME/kept"; test -f "$GITHUB_EVENT_PATH" && test -S /var/run/docker.sock && echo mounted
echo on stderr >&2
`, `echo "post $STATE_k $INPUT_REASON"; ls "$HOME"`)
	r := s.run(t.Context())
	if r.Conclusion != Success {
		t.Fatal(r.Conclusion)
	}
	main := r.Step("thing", "main")
	want := map[string]string{
		"INPUT_CA-CERTIFICATE": "a\nb\n", "INPUT_REASON": `ünïcode ✓ $HOME 'x' "y"`,
		"GITHUB_WORKSPACE": "/github/workspace", "GITHUB_EVENT_PATH": "/github/workflow/event.json", "GITHUB_ACTIONS": "true",
		"HOME": "/github/home", "CI": "true", "RUNNER_TEMP": s.Dir + "/temp",
	}
	got := variables(main, "INPUT_", "GITHUB_WORKSPACE", "GITHUB_EVENT_PATH", "GITHUB_ACTIONS", "HOME", "CI", "RUNNER_TEMP")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	for name, folder := range variables(main, "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY") {
		if filepath.Dir(folder) != "/github/file_commands" {
			t.Errorf("%s is %s", name, folder)
		}
	}
	for _, said := range []string{"\n/github/workspace\n0\n", "\nmounted\n", "on stderr\n"} {
		if !strings.Contains(main.RawLog, said) {
			t.Errorf("main didn't say %q", said)
		}
	}
	if main.State["k"] != "v" || main.Summary != "# sum\n" {
		t.Errorf("state %v, summary %q", main.State, main.Summary)
	}
	if got, want := r.Step("after", "run").RawLog, "from the container\nhi hello\n"; got != want {
		t.Errorf("the next step said %q, want %q", got, want)
	}
	if got, want := r.Step("thing", "post").RawLog, "post v ünïcode ✓ $HOME 'x' \"y\"\nkept\n"; got != want {
		t.Errorf("post said %q, want %q", got, want)
	}
}

func TestACancelledContainer(t *testing.T) {
	for _, row := range []struct {
		why, onInt, onTerm string
		told               []string
		exit               int
	}{
		{"SIGINT reaches its first process", "exit 5", "", []string{"ready", "got INT"}, 5},
		{"SIGTERM follows", "", "exit 6", []string{"ready", "got INT", "got TERM"}, 6},
	} {
		t.Run(row.why, func(t *testing.T) {
			s := newStage(t, "- { id: thing, uses: acme/thing@v1 }")
			onEngine(t, s, "a: {}", signals(row.onInt, row.onTerm), "echo post")
			s.Docker.Label = "runner-test-cancel"
			ctx, cancel := context.WithCancel(t.Context())
			s.Log = &trigger{word: "ready", act: cancel}
			s.Grace = Grace{Interrupt: 2 * time.Second, Terminate: 10 * time.Second}
			r := s.run(ctx)
			step := r.Step("thing", "main")
			if diff := cmp.Diff(row.told, lines(step.RawLog)); diff != "" || step.ExitCode != row.exit {
				t.Errorf("exit code %d, signals (-want +got):\n%s", step.ExitCode, diff)
			}
			if post := r.Step("thing", "post"); post == nil || post.RawLog != "post\n" {
				t.Errorf("post: %+v", post)
			}
		})
	}
}
