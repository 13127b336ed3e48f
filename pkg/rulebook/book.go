// Package rulebook knows which policy is in force for a target.
//
// The operator's files are read once, at the start, and say which owners are
// served. The organisation's and the repositories' files are read from GitHub
// through a reader token: `contents: read` on just the target and the policy
// repository. Whatever is read is kept and kept fresh:
//
//	new      up to 45 s: served
//	fresh    up to 60 s: served, while it is asked for again behind the caller's back
//	stale    up to 5 min: served only if GitHub fails
//	old      not served: problem.PolicyUnavailable
//
// A file that GitHub says is not there is remembered for 30 s. Nothing else
// counts as "not there": an answer that did not come, a repository that is not
// shown and a file that can't be read are unknown, and unknown denies.
package rulebook

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// Reader is what is asked of GitHub. [*githubapp.Client] is one.
type Reader interface {
	Installation(ctx context.Context, owner, repository string) (githubapp.Installation, error)
	Reader(ctx context.Context, owner string, repositories []string, permissions scope.Permissions) (secret.Text, scope.Granted, error)
	ReadFile(ctx context.Context, token secret.Text, owner, repository, path, etag string) (githubapp.File, error)
	Revoke(ctx context.Context, token secret.Text) (status int, err error)
}

// Options say whom the book serves and where it reads.
type Options struct {
	// Dir is the operator's directory: one *.yaml or *.yml file for each owner. Names that begin with a dot are passed over.
	Dir string
	// DefaultIssuer is the issuer of owners whose file names none.
	DefaultIssuer string
	// GitHub reads the files of organisations and repositories.
	GitHub Reader
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets what an operator must know; nil means slog.Default.
	Log *slog.Logger
	// OnChange is told when a file of an organisation or a repository is not what
	// it was when last read; an empty digest means that it is no longer there. Nil means nobody.
	OnChange func(policy.Source)
}

// maxKept bounds the targets, and likewise the files, that are kept.
const maxKept = 10_000

// A Book is safe for concurrent use.
type Book struct {
	operators map[string]*policy.File // by issuer and login, see ownerKey
	served    map[ownerID]bool

	github   Reader
	now      func() time.Time
	log      *slog.Logger
	onChange func(policy.Source)

	targets   kept[*target]
	documents kept[*reading[*document]]
	work      work
	ahead     chan struct{}
	retired   retired
}

type ownerID struct {
	issuer string
	id     int64
}

// Open reads the operator's directory. Its error names every mistake in every
// file as file:line:column.
func Open(o Options) (*Book, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.OnChange == nil {
		o.OnChange = func(policy.Source) {}
	}
	files, err := readOperators(o.Dir, o.DefaultIssuer)
	if err != nil {
		return nil, err
	}
	b := &Book{
		operators: map[string]*policy.File{}, served: map[ownerID]bool{},
		github: o.GitHub, now: o.Now, log: o.Log, onChange: o.OnChange,
		ahead: make(chan struct{}, maxAhead),
	}
	b.targets.evict = func(t *target) { b.retire(t.reader.close()) }
	b.documents.evict = func(*reading[*document]) {}
	for _, f := range files {
		b.operators[ownerKey(f.Owner.Issuer, f.Owner.Login)] = f
		b.served[ownerID{f.Owner.Issuer, f.Owner.ID}] = true
		if f.Ceiling == nil {
			continue
		}
		for _, caller := range f.Ceiling.Callers {
			b.served[ownerID{f.Owner.Issuer, caller.ID}] = true
		}
	}
	return b, nil
}

// Serves tells whether workloads of that owner may ask at all: the operator
// serves the owner, or names it as a caller of one.
func (b *Book) Serves(issuer string, owner int64) bool { return b.served[ownerID{issuer, owner}] }

// Rules returns the policy in force for a target, with the ids of its
// repositories. While everything is fresh it asks GitHub nothing. Refusals:
// [problem.OwnerNotServed] and [problem.TooManyRepositories] before any call;
// [problem.NotInstalled], [problem.InstallationSuspended],
// [problem.NotGrantedToApp]; [problem.PolicyInvalid] for what is there and can't
// be used; [problem.PolicyUnavailable] for what could not be read.
func (b *Book) Rules(ctx context.Context, issuer string, t policy.Target) (*policy.Set, error) {
	operator := b.operators[ownerKey(issuer, t.Owner)]
	if operator == nil {
		return nil, problem.New(problem.OwnerNotServed, "this server does not serve the owner asked for").
			WithHint("an operator of the server adds a policy file for the owner")
	}
	if len(t.Repositories) > scope.MaxRepositories {
		return nil, problem.New(problem.TooManyRepositories, "a token can name at most %d repositories", scope.MaxRepositories)
	}
	names, err := canonical(t.Repositories)
	if err != nil {
		return nil, err
	}
	return b.rules(ctx, operator, names)
}

// rules finds or makes the target. One that was let go while it was being read
// is made anew; one that came to nothing is not kept.
func (b *Book) rules(ctx context.Context, operator *policy.File, names []string) (*policy.Set, error) {
	const most = 3
	key := ownerKey(operator.Owner.Issuer, operator.Owner.Login) + "\n" + strings.Join(names, "\n")
	for try := 1; ; try++ {
		if b.work.over() {
			return nil, draining()
		}
		t := b.targets.get(key, b.now(), func() *target { return newTarget(b, operator, names) })
		set, err := t.rules(ctx)
		if errors.Is(err, errClosed) && try < most {
			continue
		}
		if err != nil && t.reader.abandon() {
			b.targets.remove(key, t)
		}
		return set, err
	}
}

// canonical puts names into lower case and order, each once.
func canonical(names []string) ([]string, error) {
	const longest = 100 // GitHub's limit
	sorted := make([]string, len(names))
	for i, name := range names {
		if name == "" || len(name) > longest || strings.ContainsAny(name, "/\n") {
			return nil, problem.New(problem.NotInstalled, "there is no repository of that name").
				WithHint("names of repositories have at most %d letters, digits, dots, hyphens and underscores", longest)
		}
		sorted[i] = strings.ToLower(name)
	}
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	if len(sorted) == 0 {
		return nil, problem.New(problem.Malformed, "no repository is asked for")
	}
	return sorted, nil
}

func draining() *problem.Problem {
	return problem.New(problem.Draining, "the server is shutting down")
}

// Close waits for reads under way and revokes the reader tokens, as far as ctx
// allows. What could not be revoked ends within GitHub's hour, and is logged.
func (b *Book) Close(ctx context.Context) {
	b.work.close(ctx)
	for _, t := range b.targets.all() {
		b.retired.add(t.reader.close())
	}
	if left := b.revokeRetired(ctx); left > 0 {
		b.log.Warn("reader tokens could not be revoked; they end within an hour", "tokens", left)
	}
}

func ownerKey(issuer, login string) string { return issuer + "\n" + strings.ToLower(login) }
