package policy

import (
	"slices"

	"github.com/curfew-dev/curfew/pkg/scope"
)

// A Set is all policy in force for one target.
type Set struct {
	target   scope.Scope
	owner    Owner   // zero without an operator's file: nobody is admitted
	files    []*File // in the order in which grants are looked for
	ceilings []*File // those of files that set one
}

// NewSet joins the files in force for a target: its owner and repositories with
// their ids, without permissions. A file that does not exist is nil. The
// repository's own counts only if [RepositoryPolicies] allows it and that
// repository is the whole target.
func NewSet(target scope.Scope, operator, organization, repository *File) *Set {
	s := &Set{target: target}
	s.target.Repositories = slices.Clone(target.Repositories)
	s.target.Permissions = nil
	if operator != nil {
		s.owner = operator.Owner
	}
	if len(target.Repositories) != 1 || !RepositoryPolicies(operator, organization) {
		repository = nil
	}
	for _, f := range []*File{operator, organization, repository} {
		if f == nil {
			continue
		}
		s.files = append(s.files, f)
		if f.Ceiling != nil {
			s.ceilings = append(s.ceilings, f)
		}
	}
	return s
}

// Target is what the set was made for, without permissions.
func (s *Set) Target() scope.Scope {
	t := s.target
	t.Repositories = slices.Clone(t.Repositories)
	return t
}

// Sources lists the files in force, in the order in which they are read.
func (s *Set) Sources() []Source {
	sources := make([]Source, len(s.files))
	for i, f := range s.files {
		sources[i] = f.Source
	}
	return sources
}
