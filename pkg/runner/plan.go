package runner

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// A plan is a job with every file read and every reference resolved: nothing
// in it can turn out to be missing halfway.
type plan struct {
	workflow *workflow
	job      *jobSpec
	idToken  bool
	steps    []*plannedStep
}

type plannedStep struct {
	*stepSpec
	id       string // never empty
	action   Action
	metadata *metadata // nil for a `run` step
}

func (j *Job) plan() (*plan, error) {
	w, err := readWorkflow(j.Workflow)
	if err != nil {
		return nil, err
	}
	job, err := w.job(j.Name)
	if err != nil {
		return nil, err
	}
	p := &plan{workflow: w, job: job, idToken: w.permissions.idToken}
	if job.permissions.stated {
		p.idToken = job.permissions.idToken
	}
	ids := map[string]int{}
	for _, spec := range job.steps {
		step, err := j.resolve(spec)
		if err != nil {
			return nil, err
		}
		if step.id == "" {
			step.id = invent(spec, ids)
		}
		p.steps = append(p.steps, step)
	}
	return p, j.checkIDs(p)
}

// resolve finds the action of a `uses` step.
func (j *Job) resolve(spec *stepSpec) (*plannedStep, error) {
	step := &plannedStep{stepSpec: spec, id: spec.id}
	if spec.uses == "" {
		return step, nil
	}
	name, _ := splitUses(spec.uses)
	action, ok := j.Actions[name]
	if !ok {
		return nil, spec.place.errorf("uses %s: no such action was given to this runner", spec.uses)
	}
	m, err := readMetadata(action.Metadata)
	if err != nil {
		return nil, fmt.Errorf("uses %s: %w", spec.uses, err)
	}
	if err := action.check(m); err != nil {
		return nil, fmt.Errorf("uses %s: its program: %w", spec.uses, err)
	}
	step.action, step.metadata = action, m
	return step, nil
}

// check finds what the action's phases need and this machine lacks.
func (a Action) check(m *metadata) error {
	if a.Image != "" {
		_, err := exec.LookPath("docker")
		return err
	}
	programs := []string{a.Main}
	if m.hasPost() {
		programs = append(programs, a.Post)
	}
	for _, path := range programs {
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	return nil
}

func splitUses(uses string) (name, ref string) {
	name, ref, _ = strings.Cut(uses, "@")
	return name, ref
}

var notInID = regexp.MustCompile(`[^A-Za-z0-9-]`)

// invent makes the id that the runner gives a step without one.
func invent(spec *stepSpec, taken map[string]int) string {
	id := "__run"
	if spec.uses != "" {
		name, _ := splitUses(spec.uses)
		id = "__" + notInID.ReplaceAllString(name, "_")
	}
	taken[id]++
	if n := taken[id]; n > 1 {
		return fmt.Sprintf("%s_%d", id, n)
	}
	return id
}

// checkIDs finds step ids in With and KillBefore that the job doesn't have.
func (j *Job) checkIDs(p *plan) error {
	known := map[string]bool{"": true, "post": true}
	for _, step := range p.steps {
		known[step.id] = true
	}
	if !known[j.KillBefore] {
		return fmt.Errorf("kill before %q: job %s has no such step", j.KillBefore, p.job.id)
	}
	for id := range j.With {
		if !known[id] {
			return fmt.Errorf("inputs for %q: job %s has no such step", id, p.job.id)
		}
	}
	return nil
}
