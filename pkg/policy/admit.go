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

// A trial is one entry of a candidate that was held against the workload.
type trial struct {
	entry  int // -1: the grant does not cover the target
	misses []miss
}

// admit finds the first candidate that covers the target and has an entry that
// the workload meets. Each trial joins the decision's trace.
func (s *Set) admit(w *identity.Workload, candidates []candidate, d *Decision) (candidate, *problem.Problem) {
	var failed []trial
	for _, c := range candidates {
		for t := range s.trials(w, c) {
			d.Trace = append(d.Trace, Candidate{c.file.Source, c.grant.Name, c.grant.Line, t.entry, t.mismatches()})
			if len(t.misses) == 0 {
				return c, nil
			}
			failed = append(failed, t)
		}
	}
	return candidate{}, noGrantMatches(d.Grant, failed)
}

// trials yields the trials of one candidate in order: that of its repositories
// if they fail, else that of each entry.
func (s *Set) trials(w *identity.Workload, c candidate) func(func(trial) bool) {
	return func(yield func(trial) bool) {
		if misses := s.uncovered(c); len(misses) > 0 {
			yield(trial{-1, misses})
			return
		}
		for i := range c.grant.Allow {
			if !yield(trial{i, s.compare(w, c, i)}) {
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

// uncovered lists the requested repositories that the grant does not name. A
// repository's own file is in force for that repository alone.
func (s *Set) uncovered(c candidate) []miss {
	rule, expected := c.file.rule(c.field("repositories")), strings.Join(c.grant.Repositories, ", ")
	if len(s.target.Repositories) == 0 {
		return []miss{{problem.Mismatch{Rule: rule, Claim: "repositories", Expected: expected, Got: "none"}, "name a repository"}}
	}
	if c.file.Source.Origin == RepositoryOf {
		return nil
	}
	var misses []miss
	for _, r := range s.target.Repositories {
		if !c.grant.names(r) {
			misses = append(misses, miss{
				problem.Mismatch{Rule: rule, Claim: "repositories", Expected: expected, Got: r.Name},
				"the grant " + c.grant.Name + " does not cover " + r.Name + "; add it to repositories, or leave it out of the request",
			})
		}
	}
	return misses
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
	const mostMismatches, mostHints = 32, 3
	slices.SortStableFunc(failed, func(a, b trial) int {
		return cmp.Or(cmp.Compare(min(b.entry, 0), min(a.entry, 0)), cmp.Compare(len(a.misses), len(b.misses)))
	})
	var mismatches []problem.Mismatch
	for i, t := range failed {
		if i == 0 || len(mismatches)+len(t.misses) <= mostMismatches {
			mismatches = append(mismatches, t.mismatches()...)
		}
	}
	var hints []string
	for _, m := range failed[0].misses {
		if m.hint != "" && len(hints) < mostHints && !slices.Contains(hints, m.hint) {
			hints = append(hints, m.hint)
		}
	}
	return problem.New(problem.NoGrantMatches, "no grant named %s admits this job here", grant).
		WithHint("%s", strings.Join(hints, "; ")).WithMismatches(mismatches...)
}
