package runner

import (
	"maps"
	"slices"
	"strings"
)

// pairs are named values in the order they were given.
type pairs []pair

// set replaces the value of that name in its place, or adds it at the end.
func (p *pairs) set(name, value string) {
	for i := range *p {
		if (*p)[i].name == name {
			(*p)[i].value = value
			return
		}
	}
	*p = append(*p, pair{name, value})
}

func (p pairs) byName() map[string]string {
	values := make(map[string]string, len(p))
	for _, one := range p {
		values[one.name] = one.value
	}
	return values
}

// stepEnv is the env context of a step: the job's, what earlier steps wrote, and the step's own.
func (x *execution) stepEnv(s *plannedStep) pairs {
	env := slices.Clone(x.env)
	value := x.values(s, env)
	for _, e := range s.env {
		env.set(e.name, e.value.evaluate(value))
	}
	return env
}

// inputs evaluates what a step was given, and the defaults of the rest. Names have no case.
func (x *execution) inputs(s *plannedStep, env pairs) (given, defaults pairs) {
	value := x.values(s, env)
	override := x.job.With[s.id]
	for _, in := range s.with {
		if _, overridden := lookUp(override, in.name); !overridden {
			given.set(in.name, in.value.evaluate(value))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(override)) {
		given.set(name, override[name])
	}
	for _, in := range s.metadata.inputs {
		if _, ok := lookUp(given.byName(), in.name); !ok {
			defaults.set(in.name, in.fallback.evaluate(value))
		}
	}
	return given, defaults
}

// values looks up the references of expressions. A value that isn't there is empty, as on GitHub.
func (x *execution) values(s *plannedStep, env pairs) func(path []string) string {
	return func(path []string) string {
		name := path[len(path)-1]
		var value string
		switch strings.ToLower(path[0]) {
		case "github":
			value = x.github(s)[strings.ToLower(name)]
		case "runner":
			value = x.machine()[strings.ToLower(name)]
		case "env":
			value = env.byName()[name]
		case "secrets":
			value, _ = lookUp(x.job.Secrets, name)
		case "steps":
			value = x.done[strings.ToLower(path[1])].value(path[2:])
		}
		return value
	}
}

// value looks up outputs.NAME, outcome or conclusion of a step that has run.
func (d done) value(path []string) string {
	switch strings.ToLower(path[0]) {
	case "outcome":
		return d.outcome
	case "conclusion":
		return d.conclusion
	}
	value, _ := lookUp(d.outputs, path[1])
	return value
}

// lookUp finds a name without regard to case.
func lookUp(values map[string]string, name string) (string, bool) {
	for known, value := range values {
		if strings.EqualFold(known, name) {
			return value, true
		}
	}
	return "", false
}
