package runner

import (
	"sort"
	"strings"
)

// A workflow is what this runner reads of a workflow file. Of the keys it doesn't
// read, those that change nothing inside a job are passed over, the others refused.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
type workflow struct {
	name        string
	permissions permissions
	env         []setting
	jobs        map[string]*jobSpec
	place       node
}

// permissions is a `permissions` key; the job's replaces the workflow's as a whole.
type permissions struct {
	stated  bool
	idToken bool
}

type jobSpec struct {
	id          string
	permissions permissions
	env         []setting
	outputs     []setting
	steps       []*stepSpec
	timeout     int
}

type stepSpec struct {
	id              string
	name            template
	condition       condition
	uses            string
	script          template
	shell           string
	with            []setting
	env             []setting
	continueOnError bool
	timeout         int
	place           node
}

func readWorkflow(path string) (*workflow, error) {
	top, err := readDocument(path)
	if err != nil {
		return nil, err
	}
	return parseWorkflow(top)
}

func parseWorkflow(top node) (*workflow, error) {
	w := &workflow{jobs: map[string]*jobSpec{}, place: top}
	err := top.fields(map[string]field{
		"name":        text(&w.name),
		"run-name":    ignored,
		"on":          ignored,
		"concurrency": ignored,
		"permissions": w.permissions.read,
		"env":         settings(&w.env),
		"jobs": func(n node) error {
			return n.each(func(key, value node) error {
				job := &jobSpec{id: key.Value}
				w.jobs[job.id] = job
				return job.read(value)
			})
		},
	})
	return w, err
}

// job returns the job with that id; empty means the only one.
func (w *workflow) job(id string) (*jobSpec, error) {
	var ids []string
	for known, job := range w.jobs {
		if known == id || (id == "" && len(w.jobs) == 1) {
			return job, nil
		}
		ids = append(ids, known)
	}
	sort.Strings(ids)
	return nil, w.place.errorf("no job %q; the file has: %s", id, strings.Join(ids, ", "))
}

func (p *permissions) read(n node) error {
	p.stated = true
	if value, err := n.scalar(); err == nil && !n.absent() {
		p.idToken = value == "write-all"
		if value != "write-all" && value != "read-all" {
			return n.errorf("expected write-all, read-all or a mapping, got %q", value)
		}
		return nil
	}
	return n.each(func(key, value node) error {
		level, err := value.scalar()
		if err != nil {
			return err
		}
		if level != "read" && level != "write" && level != "none" {
			return value.errorf("permission %s: expected read, write or none, got %q", key.Value, level)
		}
		if key.Value == "id-token" {
			p.idToken = level == "write"
		}
		return nil
	})
}

func (j *jobSpec) read(n node) error {
	return n.fields(map[string]field{
		"name":            ignored,
		"needs":           ignored,
		"runs-on":         ignored,
		"environment":     ignored,
		"concurrency":     ignored,
		"permissions":     j.permissions.read,
		"env":             settings(&j.env),
		"outputs":         settings(&j.outputs),
		"timeout-minutes": minutes(&j.timeout),
		"steps":           j.readSteps,
	})
}

func (j *jobSpec) readSteps(n node) error {
	items, err := n.items()
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, item := range items {
		step := &stepSpec{place: item}
		if err := step.read(item); err != nil {
			return err
		}
		if step.id != "" && taken[strings.ToLower(step.id)] {
			return item.errorf("the step id %q is given twice", step.id)
		}
		taken[strings.ToLower(step.id)] = true
		j.steps = append(j.steps, step)
	}
	return nil
}

func (s *stepSpec) read(n node) error {
	err := n.fields(map[string]field{
		"id":                text(&s.id),
		"name":              templated(&s.name),
		"if":                conditional(&s.condition),
		"uses":              text(&s.uses),
		"run":               templated(&s.script),
		"shell":             text(&s.shell),
		"with":              settings(&s.with),
		"env":               settings(&s.env),
		"continue-on-error": flag(&s.continueOnError),
		"timeout-minutes":   minutes(&s.timeout),
	})
	if err != nil {
		return err
	}
	switch {
	case (s.uses == "") == (s.script == nil):
		return n.errorf("a step has either `uses` or `run`")
	case s.uses == "" && len(s.with) > 0:
		return n.errorf("`with` belongs to a step with `uses`")
	case s.uses != "" && s.shell != "":
		return n.errorf("`shell` belongs to a step with `run`")
	case s.shell != "" && s.shell != "bash" && s.shell != "sh":
		return n.errorf("shell: expected bash or sh, got %q", s.shell)
	}
	return nil
}
