// Package runner is GitHub's Actions runner as a container action sees it, for
// end-to-end tests and the demo.
//
// A [Job] names a workflow file and, for each action the file uses, the action's
// own action.yml. [Job.Run] then does what the runner does: it makes the
// environment and the inputs, starts each phase as a process or container of its own, obeys
// the workflow commands that appear on its output, reads the command files when
// it has ended, and at the end runs the post phases in reverse order, also
// after a failure or a cancellation. [Job.KillBefore] makes the machine die
// instead.
//
// It is honest, so that an action that works here works on GitHub, and hostile
// where GitHub leaves room: nothing is masked but what was asked for, command
// files stay readable, and what an earlier step put into the environment shows.
// The README lists what it leaves out.
package runner

import (
	"context"
	"io"
	"time"
)

// An Action is one that a workflow may use, with its image or the programs that stand for it.
type Action struct {
	// Metadata is the path of its action.yml.
	Metadata string
	// Image is the Docker image in which each phase runs; the engine must have it.
	Image string
	// Main and Post are the programs that stand for `entrypoint` and
	// `post-entrypoint` where there is no Image. Post is needed only where the
	// metadata has the latter.
	Main, Post string
}

// Grace is what a cancelled phase gets before the next harder measure.
type Grace struct {
	// Interrupt is the time after SIGINT; 0 means 7.5 s, as in the runner.
	Interrupt time.Duration
	// Terminate is the time after SIGTERM, before the kill; 0 means 2.5 s.
	Terminate time.Duration
	// Total is the time from the cancellation to the forced end of the job; 0 means 5 min.
	Total time.Duration
	// drain is how long output may come after the end of its process, from a
	// descendant that left the process group.
	drain time.Duration
}

// A Job is one job of a workflow, ready to run once.
type Job struct {
	// Workflow is the path of the workflow file.
	Workflow string
	// Name is the job's id; empty means the only one.
	Name string
	// Actions holds what `uses: owner/name@ref` may name, by `owner/name`.
	Actions map[string]Action
	// Context is the `github` context without its prefix (repository, run_id,
	// api_url, …). The keys that GitHub exports become GITHUB_* variables.
	Context map[string]string
	// Secrets is the `secrets` context. Its values are masked from the start.
	Secrets map[string]string
	// IDTokenURL and IDTokenRequestToken are handed out only when the job has
	// the permission `id-token: write`. The token is masked from the start.
	IDTokenURL, IDTokenRequestToken string
	// Docker says how actions with an image run.
	Docker Docker
	// Env is what the runner's machine adds to the environment of processes, but
	// not of containers. It gives way to everything else. PATH is this process's own
	// unless set here.
	Env map[string]string
	// With overrides or adds inputs, by step id; values are taken as they are.
	With map[string]map[string]string
	// Dir is the work folder, kept after the run; empty means a temporary one.
	Dir string
	// Log receives the masked log as it grows; may be nil.
	Log io.Writer
	// KillBefore makes the machine die: before the step of that id, or, when it
	// is "post", before any post phase.
	KillBefore string
	// OnStep is called after each phase, skipped ones included; may be nil.
	OnStep func(Step)
	// PhaseTimeout bounds a phase that has no `timeout-minutes`; 0 means 2 min.
	PhaseTimeout time.Duration
	// Grace is what a cancelled phase gets; its zero value is the runner's.
	Grace Grace
	// Now is the clock for durations; nil means [time.Now].
	Now func() time.Time
}

// Conclusions of a job and outcomes of a step. Lost is ours: GitHub shows
// such a job as running until it gives up on the machine.
const (
	Success   = "success"
	Failure   = "failure"
	Cancelled = "cancelled"
	Skipped   = "skipped"
	Lost      = "lost"
)

// A Result is what is left of a job.
type Result struct {
	// Conclusion is [Success], [Failure], [Cancelled] or [Lost].
	Conclusion string
	// Steps holds one entry for each phase in the order they ran.
	Steps []Step
	// Log is the masked log of all phases.
	Log string
	// Masks holds what was masked, in the order it was asked for.
	Masks []string
	// Summaries holds the masked step summaries, one after the other.
	Summaries string
	// Annotations holds those of all phases and of the job itself, masked.
	Annotations []Annotation
	// Outputs holds the job's outputs; one that holds a masked value is dropped.
	Outputs map[string]string
}

// Step finds the phase ("main", "post" or "run") of the step with that id, or nil.
func (r *Result) Step(id, phase string) *Step {
	for i := range r.Steps {
		if r.Steps[i].ID == id && r.Steps[i].Phase == phase {
			return &r.Steps[i]
		}
	}
	return nil
}

// A Step is one phase of a step after it ran.
type Step struct {
	// ID is the step's id, or the one the runner invents (`__run`, `__owner_name`).
	ID string
	// Name is what GitHub shows: "Run acme/thing@v1", "Post Run acme/thing@v1".
	Name string
	// Phase is "main", "post" or "run".
	Phase string
	// Outcome is [Success], [Failure], [Cancelled] or [Skipped], before `continue-on-error`.
	Outcome string
	// ExitCode is the process's, or 128 plus the signal that ended it; -1 when none ran.
	ExitCode int
	// Outputs and State are what this phase wrote, not masked.
	Outputs, State map[string]string
	// Log is the phase's part of the log, masked.
	Log string
	// RawLog is what the process wrote on both streams, line by line as it
	// came: commands included, nothing masked, no line of the runner's own.
	RawLog string
	// Annotations holds those of this phase, masked.
	Annotations []Annotation
	// Summary is the phase's step summary, masked.
	Summary string
	// Duration is how long the phase took.
	Duration time.Duration
}

// An Annotation is an error, a warning or a notice that GitHub shows on the run's page.
type Annotation struct {
	// Level is "error", "warning" or "notice".
	Level string
	// Title may be empty.
	Title string
	// Message may have several lines.
	Message string
}

// Run runs the job to its end. An error means that nothing was run: the workflow
// file or an action.yml can't be honoured (`file:line:column: why`), or the job
// asks for something that isn't there. Everything that goes wrong later is part
// of the result. When ctx is cancelled, the running phase is cancelled as the
// runner does it, and the post phases still run.
func (j *Job) Run(ctx context.Context) (*Result, error) {
	plan, err := j.plan()
	if err != nil {
		return nil, err
	}
	x, err := j.begin(plan)
	if err != nil {
		return nil, err
	}
	defer x.close()
	return x.run(ctx), nil
}
