package runner

import (
	"slices"
	"strings"
)

// collect obeys the command files of a phase that has ended. A file that can't
// be read fails the step; what stood before the mistake still counts.
func (x *execution) collect(p phase, files commandFiles, c *console, step *Step) {
	step.Outputs = x.pairs(files, "output", c).byName()
	step.State = x.pairs(files, "state", c).byName()
	if p.kind == "main" {
		x.state[p.id] = step.State
	}
	for _, variable := range x.pairs(files, "env", c) {
		x.export(variable, c)
	}
	for line := range strings.SplitSeq(x.text(files, "path", c), "\n") {
		if line != "" {
			x.path = slices.Insert(slices.DeleteFunc(x.path, func(known string) bool { return known == line }), 0, line)
		}
	}
	step.Summary = x.summary(files, c)
}

func (x *execution) text(files commandFiles, name string, c *console) string {
	text, err := files.read(name)
	if err != nil {
		misread(c, name, err)
		return ""
	}
	return text
}

func (x *execution) pairs(files commandFiles, name string, c *console) pairs {
	found, err := parsePairs(x.text(files, name, c))
	if err != nil {
		misread(c, name, err)
	}
	return found
}

func misread(c *console, name string, err error) {
	c.failed = true
	c.complain("error", "Unable to process file command '%s' successfully.", name)
	c.complain("error", "%v", err)
}

// export makes a variable part of the job's environment, unless its name is the runner's own.
func (x *execution) export(variable pair, c *console) {
	name := strings.ToUpper(variable.name)
	if name == "NODE_OPTIONS" || strings.HasPrefix(name, "GITHUB_") || strings.HasPrefix(name, "RUNNER_") {
		c.complain("error", "Can't store %s output parameter using '$GITHUB_ENV' command.", variable.name)
		return
	}
	x.env.set(variable.name, variable.value)
}

func (x *execution) summary(files commandFiles, c *console) string {
	text := x.text(files, "step_summary", c)
	if len(text) > maxSummary {
		c.complain("error", "$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of %dk, got %dk.", maxSummary>>10, len(text)>>10)
		return ""
	}
	return x.masks.mask(text)
}
