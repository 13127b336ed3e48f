package policy

import (
	"slices"
	"strings"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// Decide answers one request of a verified workload. Equal arguments give equal
// decisions. A workload of another owner is refused as Denied, without hint and
// details; the refusal's cause tells the log what stood in its way.
func (s *Set) Decide(w identity.Workload, r Request) Decision {
	d := Decision{Grant: r.Grant, Policies: s.Sources()}
	d.Refusal = s.judge(&w, r, &d)
	if d.Refusal != nil && !s.owns(&w) {
		d.Refusal = problem.New(problem.Denied, "this workload may not have what it asks for").WithCause(d.Refusal)
	}
	return d
}

// judge fills in the decision as far as it gets.
func (s *Set) judge(w *identity.Workload, r Request, d *Decision) *problem.Problem {
	if !s.owns(w) && !s.calls(w) {
		return problem.New(problem.Denied, "the workload belongs neither to the owner nor to a caller of every ceiling")
	}
	offers := s.named(r.Grant)
	if len(offers) == 0 {
		return s.noSuchGrant(r.Grant)
	}
	chosen, refusal := s.admit(w, offers, d)
	if refusal != nil {
		return refusal
	}
	d.Granter = chosen.file.Source
	asked := chosen.fill(r)
	if refusal := s.bound(chosen, asked); refusal != nil {
		return refusal
	}
	d.Scope = s.Target()
	d.Scope.Permissions = asked.Permissions
	d.Curfew = asked.Duration
	d.LeasesPerJob = chosen.grant.LeasesPerJob
	return nil
}

// owns tells whether the workload is of the target's own owner: the same id of
// the same issuer.
func (s *Set) owns(w *identity.Workload) bool {
	return s.speaks(w) && w.RepositoryOwnerID == s.owner.ID
}

// calls tells whether every ceiling names the workload's owner as a caller.
func (s *Set) calls(w *identity.Workload) bool {
	for _, f := range s.ceilings {
		if !slices.ContainsFunc(f.Ceiling.Callers, func(c Caller) bool { return c.ID == w.RepositoryOwnerID }) {
			return false
		}
	}
	return s.speaks(w) && len(s.ceilings) > 0
}

// speaks tells whether the operator's file is for the target's owner, and the
// workload's ids are of the same issuer as the owner's.
func (s *Set) speaks(w *identity.Workload) bool {
	return s.owner.ID > 0 && s.owner.ID == s.target.OwnerID && s.owner.Issuer != "" && w.Issuer == s.owner.Issuer
}

// An offer is a grant of the name asked for, and the file it stands in.
type offer struct {
	file  *File
	grant *Grant
}

func (o offer) field(name string) string { return "grants." + o.grant.Name + "." + name }

func (s *Set) named(name string) []offer {
	var found []offer
	for _, f := range s.files {
		if g := f.grant(name); g != nil {
			found = append(found, offer{f, g})
		}
	}
	return found
}

func (s *Set) noSuchGrant(name string) *problem.Problem {
	refusal := problem.New(problem.NoSuchGrant, "no policy has a grant named %.64q", name)
	var names []string
	for _, f := range s.files {
		for _, g := range f.Grants {
			names = append(names, g.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return refusal.WithHint("no policy in force for %s has any grant yet", s.described())
	}
	if near := scope.Nearest(name, names); near != "" {
		return refusal.WithHint("did you mean %s?", near)
	}
	const most = 10
	listed := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		listed += ", ..."
	}
	return refusal.WithHint("the grants for %s are: %s", s.described(), listed)
}

// described names the target as an error tells it.
func (s *Set) described() string {
	switch n := len(s.target.Repositories); n {
	case 0:
		return s.target.Owner
	case 1:
		return s.target.Owner + "/" + s.target.Repositories[0].Name
	default:
		return "these repositories of " + s.target.Owner
	}
}
