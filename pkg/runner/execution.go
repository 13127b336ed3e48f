package runner

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An execution is a job while it runs.
type execution struct {
	job  *Job
	plan *plan

	root, workspace, temp, home, commands, event string

	masks  masker
	env    pairs                        // the job's, and what steps wrote to GITHUB_ENV
	path   []string                     // what steps wrote to GITHUB_PATH, newest first
	state  map[string]map[string]string // by step id
	done   map[string]done              // by step id in lower case
	posts  []*plannedStep               // in the order their main phases began
	status string
	log    strings.Builder
	result Result
}

// done is what later steps can read of a step that has run.
type done struct {
	outputs             map[string]string
	outcome, conclusion string
}

// begin makes the folders and the job's environment.
func (j *Job) begin(p *plan) (*execution, error) {
	x := &execution{job: j, plan: p, root: j.Dir, status: Success, state: map[string]map[string]string{}, done: map[string]done{}}
	if x.root == "" {
		root, err := os.MkdirTemp("", "runner-")
		if err != nil {
			return nil, err
		}
		x.root = root
	}
	if err := x.furnish(); err != nil {
		x.close()
		return nil, err
	}
	x.masks.add(j.IDTokenRequestToken)
	x.masks.add(j.Context["token"])
	for _, name := range slices.Sorted(maps.Keys(j.Secrets)) {
		x.masks.add(j.Secrets[name])
	}
	for _, e := range slices.Concat(p.workflow.env, p.job.env) {
		x.env.set(e.name, e.value.evaluate(x.values(&plannedStep{}, x.env)))
	}
	return x, nil
}

func (x *execution) furnish() error {
	root, err := filepath.Abs(x.root)
	if err != nil {
		return err
	}
	x.root, x.workspace, x.temp = root, filepath.Join(root, "workspace"), filepath.Join(root, "temp")
	x.home, x.commands = filepath.Join(x.temp, "_github_home"), filepath.Join(x.temp, "_runner_file_commands")
	x.event = filepath.Join(x.temp, "_github_workflow", "event.json")
	for _, folder := range []string{x.workspace, x.home, x.commands, filepath.Dir(x.event)} {
		if err := os.MkdirAll(folder, 0o750); err != nil {
			return err
		}
	}
	return os.WriteFile(x.event, []byte("{}\n"), 0o600)
}

func (x *execution) close() {
	if x.job.Dir == "" {
		_ = os.RemoveAll(x.root) // a leftover in the system's temporary folder harms nobody
	}
}

// run runs the steps, then the post phases of those that began, last one first.
func (x *execution) run(ctx context.Context) *Result {
	ctx, stop := x.bounded(ctx)
	defer stop()
	forced, force := x.forced(ctx)
	defer force()
	for _, s := range x.plan.steps {
		if s.id == x.job.KillBefore {
			return x.conclude(Lost)
		}
		x.main(ctx, forced, s)
	}
	if x.job.KillBefore == "post" {
		return x.conclude(Lost)
	}
	for _, s := range slices.Backward(x.posts) {
		x.post(ctx, forced, s)
	}
	x.observe(ctx)
	x.outputs()
	return x.conclude(x.status)
}

// bounded ends with ctx, or at the job's own timeout, which counts as a cancellation.
func (x *execution) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if x.plan.job.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(x.plan.job.timeout)*time.Minute)
}

// forced outlives a cancellation, but not for longer than the grace allows.
func (x *execution) forced(ctx context.Context) (context.Context, context.CancelFunc) {
	forced, force := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		<-ctx.Done()
		patience := time.NewTimer(x.job.Grace.orDefault().Total)
		defer patience.Stop()
		select {
		case <-patience.C:
			force()
		case <-forced.Done():
		}
	}()
	return forced, force
}

func (x *execution) observe(ctx context.Context) {
	if ctx.Err() != nil {
		x.status = Cancelled
	}
}

func (x *execution) main(ctx, forced context.Context, s *plannedStep) {
	p := phase{plannedStep: s, kind: "run", when: s.condition}
	if s.metadata != nil {
		p.kind = "main"
	}
	x.phase(ctx, forced, p)
}

func (x *execution) post(ctx, forced context.Context, s *plannedStep) {
	x.phase(ctx, forced, phase{plannedStep: s, kind: "post", when: s.metadata.postIf})
}

// phase runs one phase, if its condition is met, and records it. One that would
// also run in a cancelled job isn't interrupted by a cancellation.
func (x *execution) phase(ctx, forced context.Context, p phase) {
	x.observe(ctx)
	until := ctx
	if p.when.met(Cancelled) {
		until = forced
	}
	step := Step{ID: p.id, Name: x.title(p), Phase: p.kind, Outcome: Skipped, ExitCode: -1}
	if p.when.met(x.status) && until.Err() == nil {
		if p.kind == "main" && p.metadata.hasPost() {
			x.posts = append(x.posts, p.plannedStep)
		}
		x.perform(until, p, &step)
	}
	x.observe(ctx)
	x.record(p, step)
}

func (x *execution) record(p phase, step Step) {
	conclusion := step.Outcome
	if p.continueOnError && conclusion == Failure {
		conclusion = Success
	}
	if conclusion == Failure {
		x.status = Failure
	}
	if p.kind != "post" {
		x.done[strings.ToLower(p.id)] = done{step.Outputs, step.Outcome, conclusion}
	}
	x.log.WriteString(step.Log)
	x.result.Steps = append(x.result.Steps, step)
	x.result.Summaries += step.Summary
	x.result.Annotations = append(x.result.Annotations, step.Annotations...)
	if x.job.OnStep != nil {
		x.job.OnStep(step)
	}
}

// outputs evaluates the job's outputs and drops each that holds a masked value,
// so that a secret can't cross jobs.
func (x *execution) outputs() {
	x.result.Outputs = map[string]string{}
	c := &console{masks: &x.masks, live: x.job.Log}
	for _, out := range x.plan.job.outputs {
		value := out.value.evaluate(x.values(&plannedStep{}, x.env))
		switch {
		case value == "":
		case value != x.masks.mask(value):
			c.complain("warning", "Skip output '%s' since it may contain secret.", out.name)
		default:
			x.result.Outputs[out.name] = value
		}
	}
	x.log.WriteString(c.log.String())
	x.result.Annotations = append(x.result.Annotations, c.annotations...)
}

func (x *execution) conclude(conclusion string) *Result {
	x.result.Conclusion, x.result.Log, x.result.Masks = conclusion, x.log.String(), x.masks.values
	return &x.result
}
