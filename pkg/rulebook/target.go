package rulebook

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// A target is repositories of one owner that were asked for together.
type target struct {
	book     *Book
	operator *policy.File
	names    []string // in lower case, sorted
	reader   reading[*reader]
	last     atomic.Pointer[compiled]
}

// A reader is a token that reads policies, and what its making told: the ids behind the names.
type reader struct {
	token  secret.Text
	made   time.Time
	target scope.Scope
}

// A reader is made anew well before GitHub's hour is over.
func (*reader) freshness() freshness {
	return freshness{45 * time.Minute, 50 * time.Minute, 55 * time.Minute}
}

// compiled is the set made last, with what it was made of.
type compiled struct {
	reader                   *reader
	organization, repository *document
	set                      *policy.Set
}

func newTarget(b *Book, operator *policy.File, names []string) *target {
	t := &target{book: b, operator: operator, names: names}
	t.reader.work, t.reader.now, t.reader.ahead, t.reader.dropped = &b.work, b.now, b.ahead, b.retire
	return t
}

// rules joins the three files. The repository's own is read only where the
// other two let it count.
func (t *target) rules(ctx context.Context) (*policy.Set, error) {
	r, err := t.reader.get(ctx, t.newReader)
	if err != nil {
		return nil, unavailable("the target's repositories", err)
	}
	organization, err := t.organization(ctx)
	if err != nil {
		return nil, err
	}
	var repository *document
	if len(t.names) == 1 && policy.RepositoryPolicies(t.operator, organization.policy()) {
		repository, err = t.document(ctx, policy.RepositoryOf, r.target.Repositories[0].Name, repositoryPath)
		if err != nil {
			return nil, err
		}
	}
	last := t.last.Load()
	if last != nil && last.reader == r && last.organization == organization && last.repository == repository {
		return last.set, nil
	}
	set := policy.NewSet(r.target, t.operator, organization.policy(), repository.policy())
	t.last.Store(&compiled{r, organization, repository, set})
	return set, nil
}

// newReader mints a reader token and holds the names to the ids that the
// operator wrote down: a login or a repository that changed hands is refused.
func (t *target) newReader(ctx context.Context, old *reader, held bool) (*reader, error) {
	owner, made := t.operator.Owner, t.book.now()
	at, err := t.book.github.Installation(ctx, owner.Login, t.names[0])
	if err != nil {
		return nil, err
	}
	if at.OwnerID != owner.ID {
		return nil, t.wrongID("owner", owner.Login, owner.ID, at.OwnerID)
	}
	names := t.names
	place := t.operator.OrganizationPolicy
	if place != nil {
		names = append(slices.Clone(names), place.Repository)
	}
	token, got, err := t.book.github.Reader(ctx, owner.Login, names, scope.Permissions{"contents": scope.Read})
	if err != nil {
		return nil, err
	}
	fresh := &reader{token: token, made: made, target: scope.Scope{Owner: got.Owner, OwnerID: got.OwnerID}}
	if err := t.identify(fresh, got); err != nil {
		t.book.retire(fresh, true)
		return nil, err
	}
	t.book.retire(old, held)
	return fresh, nil
}

// identify notes the ids of the target's repositories and checks those that the operator wrote down.
func (t *target) identify(r *reader, got scope.Granted) error {
	if got.OwnerID != t.operator.Owner.ID {
		return t.wrongID("owner", t.operator.Owner.Login, t.operator.Owner.ID, got.OwnerID)
	}
	for _, name := range t.names {
		found, ok := named(got.Repositories, name)
		if !ok {
			return problem.New(problem.GitHubError, "GitHub's answer lacks a repository that was asked for")
		}
		r.target.Repositories = append(r.target.Repositories, found)
	}
	place := t.operator.OrganizationPolicy
	if place == nil {
		return nil
	}
	if found, _ := named(got.Repositories, place.Repository); found.ID != place.RepositoryID {
		return t.wrongID("organization_policy.repository", place.Repository, place.RepositoryID, found.ID)
	}
	return nil
}

func named(repositories []scope.Repository, name string) (scope.Repository, bool) {
	i := slices.IndexFunc(repositories, func(r scope.Repository) bool { return strings.EqualFold(r.Name, name) })
	if i < 0 {
		return scope.Repository{}, false
	}
	return repositories[i], true
}

func (t *target) wrongID(field, name string, want, got int64) error {
	return problem.New(problem.PolicyInvalid, "the operator's policy names %s with id %d, and GitHub has it with another id", name, want).
		WithHint("%s: %s in %s: GitHub's id is %d; either the name has changed hands, or the id is mistyped", t.operator.Source.Path, field, t.operator.Owner.Login, got)
}

// reads reads a file with the reader token. A token that proves dead is made
// anew, and so is one that has worked before and no longer reaches the
// repository, for then a name has moved; both once.
func (t *target) reads(ctx context.Context, repository, path, etag string) (githubapp.File, error) {
	for again := false; ; again = true {
		r, err := t.reader.get(ctx, t.newReader)
		if err != nil {
			return githubapp.File{}, err
		}
		file, err := t.book.github.ReadFile(ctx, r.token, r.target.Owner, repository, path, etag)
		moved := errors.Is(err, githubapp.ErrHidden) && t.book.now().Sub(r.made) >= settled
		if again || !moved && !errors.Is(err, githubapp.ErrTokenDead) {
			return file, err
		}
		t.reader.drop(func(current *reader) bool { return current == r })
		t.book.retire(r, moved)
	}
}

// settled is when a fresh token is known to all of GitHub.
const settled = time.Minute

// unavailable is the refusal for what could not be read; an answer passes as it is.
func unavailable(what string, err error) error {
	if !passing(err) {
		return err
	}
	return problem.New(problem.PolicyUnavailable, "%s could not be read from GitHub", what).
		WithRetryAfter(problem.From(err).RetryAfter).WithCause(err)
}
