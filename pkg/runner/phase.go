package runner

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const defaultPhaseTimeout = 2 * time.Minute

// A phase is one process of a step: main or post of an action, or a script.
type phase struct {
	*plannedStep
	kind string
	when condition
}

// title is the name that GitHub shows for a phase.
func (x *execution) title(p phase) string {
	title := p.name.evaluate(x.values(p.plannedStep, x.stepEnv(p.plannedStep)))
	if title == "" && p.metadata != nil {
		title = "Run " + p.uses
	}
	if title == "" {
		title = "Run " + firstLine(x.script(p))
	}
	if p.kind == "post" {
		title = "Post " + title
	}
	return x.masks.mask(title)
}

func (x *execution) script(p phase) string {
	return p.script.evaluate(x.values(p.plannedStep, x.stepEnv(p.plannedStep)))
}

func firstLine(script string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(script), "\n")
	return strings.TrimSpace(line)
}

// perform runs a phase and writes into step what came of it.
func (x *execution) perform(ctx context.Context, p phase, step *Step) {
	begun := x.now()
	c := &console{masks: &x.masks, live: x.job.Log}
	limit := x.limit(p)
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	code, err := x.launch(timed, p, c, step)
	step.ExitCode, step.Outcome = code, Failure
	switch {
	case ctx.Err() != nil:
		step.Outcome = Cancelled
		c.complain("error", "The operation was canceled.")
	case timed.Err() != nil:
		c.complain("error", "The action '%s' has timed out after %v.", step.Name, limit)
	case err != nil:
		c.complain("error", "%v", err)
	case code != 0 && p.kind == "run":
		c.complain("error", "Process completed with exit code %d.", code)
	case code == 0 && !c.failed:
		step.Outcome = Success
	}
	step.Log, step.RawLog, step.Annotations = c.log.String(), c.raw.String(), c.annotations
	step.Duration = x.now().Sub(begun)
}

func (x *execution) now() time.Time {
	if x.job.Now != nil {
		return x.job.Now()
	}
	return time.Now()
}

func (x *execution) limit(p phase) time.Duration {
	switch {
	case p.timeout > 0:
		return time.Duration(p.timeout) * time.Minute
	case x.job.PhaseTimeout > 0:
		return x.job.PhaseTimeout
	}
	return defaultPhaseTimeout
}

// launch runs the phase's program from the first file command to the last.
func (x *execution) launch(ctx context.Context, p phase, c *console, step *Step) (exitCode int, err error) {
	files, err := makeCommandFiles(x.commands)
	if err != nil {
		return -1, err
	}
	program, err := x.program(p, c, files)
	if err != nil {
		return -1, err
	}
	code, err := program.run(ctx, x.job.Grace.orDefault(), c.line)
	x.collect(p, files, c, step)
	return code, err
}

// program decides what stands for the phase, and tells the log about it.
func (x *execution) program(p phase, c *console, files commandFiles) (program, error) {
	env := x.stepEnv(p.plannedStep)
	if p.metadata == nil {
		return x.shell(p, c, env, files)
	}
	given, defaults := x.inputs(p.plannedStep, env)
	all := slices.Concat(given, defaults)
	args, _ := lookUp(all.byName(), "args")
	run, err := x.action(p, x.variables(p.plannedStep, env, all, files), strings.Fields(args))
	if err != nil {
		return program{}, err
	}
	if p.kind == "post" {
		c.say("Post job cleanup.")
		return run, nil
	}
	x.reviewInputs(p, given, c)
	c.say("##[group]Run " + p.uses)
	say(c, "with:", all)
	say(c, "env:", env)
	c.say("##[endgroup]")
	return run, nil
}

// action starts a phase of an action in its image, or as the program that stands for it.
func (x *execution) action(p phase, variables map[string]string, args []string) (program, error) {
	if p.action.Image != "" {
		return x.container(p, variables, args)
	}
	path := p.action.Main
	if p.kind == "post" {
		path = p.action.Post
	}
	return program{path, args, listed(variables), x.workspace}, nil
}

// reviewInputs warns as the runner does. It doesn't miss a required input: GitHub doesn't either.
func (x *execution) reviewInputs(p phase, given pairs, c *console) {
	valid := map[string]string{"entryPoint": "", "args": ""}
	names := []string{"entryPoint", "args"}
	for _, in := range p.metadata.inputs {
		valid[in.name], names = in.warning, append(names, in.name)
	}
	var unexpected []string
	for _, in := range given {
		warning, ok := lookUp(valid, in.name)
		if !ok {
			unexpected = append(unexpected, in.name)
		}
		if warning != "" {
			c.complain("warning", "Input '%s' has been deprecated with message: %s", in.name, warning)
		}
	}
	if unexpected != nil {
		c.complain("warning", "Unexpected input(s) '%s', valid inputs are ['%s']", strings.Join(unexpected, "', '"), strings.Join(names, "', '"))
	}
}

// say prints named values the way the runner introduces a step.
func say(c *console, heading string, values pairs) {
	if len(values) > 0 {
		c.say(heading)
	}
	for _, v := range values {
		if v.value != "" {
			c.say("  " + v.name + ": " + v.value)
		}
	}
}

// shell writes a script to a file for its shell.
func (x *execution) shell(p phase, c *console, env pairs, files commandFiles) (program, error) {
	shell, args := "bash", []string{"-e"}
	switch p.shell {
	case "bash":
		args = []string{"--noprofile", "--norc", "-e", "-o", "pipefail"}
	case "sh":
		shell = "sh"
	}
	path, err := exec.LookPath(shell)
	if err != nil && p.shell == "" {
		path, err = exec.LookPath("sh")
	}
	if err != nil {
		return program{}, err
	}
	script := x.script(p)
	file := filepath.Join(x.temp, rand.Text()+".sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return program{}, err
	}
	c.say("##[group]Run " + firstLine(script))
	for line := range strings.SplitSeq(strings.TrimRight(script, "\n"), "\n") {
		c.say("\x1b[36;1m" + line + "\x1b[0m")
	}
	c.say(fmt.Sprintf("shell: %s %s {0}", path, strings.Join(args, " ")))
	say(c, "env:", env)
	c.say("##[endgroup]")
	return program{path, append(args, file), listed(x.variables(p.plannedStep, env, nil, files)), x.workspace}, nil
}
