package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// A miss is a comparison that failed, and how to put it right; "" where only the author can know.
type miss struct {
	problem.Mismatch
	hint string
}

// A trial is one entry of an offer, held against the workload.
type trial struct {
	entry  int // -1: the grant does not cover the target
	misses []miss
}

// admit finds the first offer that covers the target and has an entry that
// the workload meets. It decides: what it does not give, a later file's grant of
// the same name does not add. Each trial joins the decision's trace.
func (s *Set) admit(w *identity.Workload, offers []offer, d *Decision) (offer, *problem.Problem) {
	var failed []trial
	for _, o := range offers {
		for t := range s.trials(w, o) {
			d.Trace = append(d.Trace, Candidate{o.file.Source, o.grant.Name, o.grant.Line, t.entry, t.mismatches()})
			if len(t.misses) == 0 {
				return o, nil
			}
			failed = append(failed, t)
		}
	}
	return offer{}, noGrantMatches(d.Grant, failed)
}

// trials yields the trials of one offer in order: that of its repositories
// if they fail, else that of each entry.
func (s *Set) trials(w *identity.Workload, o offer) func(func(trial) bool) {
	return func(yield func(trial) bool) {
		if misses := s.uncovered(o); len(misses) > 0 {
			yield(trial{-1, misses})
			return
		}
		for i := range o.grant.Allow {
			if !yield(trial{i, s.compare(w, o, i)}) {
				return
			}
		}
	}
}

func (t trial) mismatches() []problem.Mismatch {
	var all []problem.Mismatch
	for _, m := range t.misses {
		all = append(all, m.Mismatch)
	}
	return all
}

// uncovered tells which requested repositories the grant does not name; nothing
// if it names all. A repository's own file is in force for that repository alone.
func (s *Set) uncovered(o offer) []miss {
	var names []string
	for _, r := range s.target.Repositories {
		if o.file.Source.Origin != RepositoryOf && !o.grant.names(r) {
			names = append(names, r.Name)
		}
	}
	hint := "the grant " + o.grant.Name + " does not cover them all; add what is missing to repositories, or ask for less"
	if len(s.target.Repositories) == 0 {
		names, hint = []string{"none"}, "ask for at least one repository"
	}
	if len(names) == 0 {
		return nil
	}
	return []miss{{problem.Mismatch{
		Rule:     o.file.rule(o.field("repositories")),
		Claim:    "repositories",
		Expected: strings.Join(o.grant.Repositories, ", "),
		Got:      strings.Join(names, ", "),
	}, hint}}
}

func (g *Grant) names(r scope.Repository) bool {
	name := strings.ToLower(r.Name)
	return slices.ContainsFunc(g.Repositories, func(glob string) bool {
		return match(strings.ToLower(glob), name)
	})
}

// noGrantMatches tells the nearest trial first: one that covers the target,
// with the fewest misses.
func noGrantMatches(grant string, failed []trial) *problem.Problem {
	const mostMismatches = 32
	slices.SortStableFunc(failed, func(a, b trial) int {
		return cmp.Or(cmp.Compare(min(b.entry, 0), min(a.entry, 0)), cmp.Compare(len(a.misses), len(b.misses)))
	})
	refusal := problem.New(problem.NoGrantMatches, "no grant named %s admits this job here", grant)
	var mismatches []problem.Mismatch
	for i, t := range failed {
		if i == 0 {
			refusal = refusal.WithHint("%s", t.hint())
		}
		if i == 0 || len(mismatches)+len(t.misses) <= mostMismatches {
			mismatches = append(mismatches, t.mismatches()...)
		}
	}
	return refusal.WithMismatches(mismatches...)
}

// hint joins the first few hints of a trial.
func (t trial) hint() string {
	const most = 3
	var hints []string
	for _, m := range t.misses {
		if m.hint != "" && len(hints) < most && !slices.Contains(hints, m.hint) {
			hints = append(hints, m.hint)
		}
	}
	return strings.Join(hints, "; ")
}
