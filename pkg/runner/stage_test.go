package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stage is a temporary folder with a workflow and the actions it uses. The
// actions are shell scripts that stand for containers.
type stage struct {
	t *testing.T
	Job
}

// newStage makes a job whose steps are the given lines of YAML.
func newStage(t *testing.T, steps string) *stage {
	t.Helper()
	s := &stage{t, Job{Dir: filepath.Join(t.TempDir(), "runner"), Actions: map[string]Action{}}}
	s.workflow("on: push\npermissions: { id-token: write }\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps:\n" + indent(steps, "      "))
	return s
}

func (s *stage) workflow(text string) {
	s.Workflow = s.file("workflow.yml", text, 0o644)
}

// action adds one called acme/NAME with these inputs, in YAML. A script that is empty has no phase.
func (s *stage) action(name, inputs, main, post string) {
	metadata := "name: " + name + "\ninputs:\n" + indent(inputs, "  ") + "\nruns:\n  using: docker\n  image: Dockerfile\n  entrypoint: /main\n"
	if post != "" {
		metadata += "  post-entrypoint: /post\n  post-if: always()\n"
	}
	s.Actions["acme/"+name] = Action{
		Metadata: s.file(name+"/action.yml", metadata, 0o644),
		Main:     s.file(name+"/main", "#!/bin/bash\n"+main, 0o755),
		Post:     s.file(name+"/post", "#!/bin/bash\n"+post, 0o755),
	}
}

func (s *stage) file(name, text string, mode os.FileMode) string {
	s.t.Helper()
	path := filepath.Join(filepath.Dir(s.Dir), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *stage) run(ctx context.Context) *Result {
	s.t.Helper()
	result, err := s.Run(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("conclusion %s, log:\n%s", result.Conclusion, result.Log)
		}
	})
	return result
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by)
}

// order tells the phases of a result as "id:phase=outcome".
func order(r *Result) string {
	var phases []string
	for _, s := range r.Steps {
		phases = append(phases, fmt.Sprintf("%s:%s=%s", s.ID, s.Phase, s.Outcome))
	}
	return strings.Join(phases, " ")
}
