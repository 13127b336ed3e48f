package rulebook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// repositoryPath is where a repository keeps its own policy.
const repositoryPath = ".github/curfew.yaml"

// A document is what was found at the place of a policy file: a policy, a
// refusal to take it as one, or, with neither, nothing.
type document struct {
	source  policy.Source // without a digest if there is nothing
	etag    string
	file    *policy.File
	refusal *problem.Problem
}

// That there is no file is remembered for a shorter time, and never without GitHub's word.
func (d *document) freshness() freshness {
	if d.absent() {
		return freshness{20 * time.Second, 30 * time.Second, 30 * time.Second}
	}
	return freshness{45 * time.Second, time.Minute, 5 * time.Minute}
}

func (d *document) absent() bool { return d.file == nil && d.refusal == nil }

// policy is the file, or nil where there is none.
func (d *document) policy() *policy.File {
	if d == nil {
		return nil
	}
	return d.file
}

// organization reads the organisation's policy, nil where the operator names no place for it.
func (t *target) organization(ctx context.Context) (*document, error) {
	place := t.operator.OrganizationPolicy
	if place == nil {
		return nil, nil
	}
	d, err := t.document(ctx, policy.Organization, place.Repository, place.Path)
	if err != nil || !d.absent() || !place.Required {
		return d, err
	}
	return nil, problem.New(problem.PolicyInvalid, "the organisation's policy is required and not there").
		WithHint("add %s to the default branch of %s, or set organization_policy.required to false in %s", place.Path, d.source.Repository, t.operator.Source.Path)
}

// document returns one file, which all targets of the owner share.
func (t *target) document(ctx context.Context, origin policy.Origin, repository, path string) (*document, error) {
	source := policy.Source{Origin: origin, Repository: t.operator.Owner.Login + "/" + repository, Path: path}
	key := t.operator.Owner.Issuer + "\n" + strings.ToLower(source.Repository) + "\n" + string(origin) + "\n" + path
	shared := t.book.documents.get(key, t.book.now(), func() *reading[*document] {
		return &reading[*document]{work: &t.book.work, now: t.book.now, ahead: t.book.ahead, dropped: func(*document, bool) {}}
	})
	d, err := shared.get(ctx, func(ctx context.Context, old *document, held bool) (*document, error) {
		return t.readDocument(ctx, source, repository, old, held)
	})
	if err != nil {
		return nil, unavailable("the "+string(origin)+"'s policy", err)
	}
	if d.refusal != nil {
		return nil, d.refusal
	}
	return d, nil
}

// readDocument asks GitHub for a file, or whether it has changed.
func (t *target) readDocument(ctx context.Context, source policy.Source, repository string, old *document, held bool) (*document, error) {
	etag := ""
	if held {
		etag = old.etag
	}
	file, err := t.reads(ctx, repository, source.Path, etag)
	if err == nil && file.NotModified && held {
		return old, nil
	}
	d, err := understand(source, file, err)
	if err != nil {
		return nil, err
	}
	if held && old.source.Digest != d.source.Digest {
		t.book.log.Info("a policy has changed", "repository", source.Repository, "path", source.Path, "blob", d.source.Blob, "valid", d.refusal == nil)
		t.book.onChange(d.source)
	}
	return d, nil
}

// understand turns what ReadFile returned into a document. Its error means that nothing is known.
func understand(source policy.Source, file githubapp.File, err error) (*document, error) {
	switch {
	case problem.Is(err, problem.NotFound):
		return &document{source: source}, nil
	case errors.Is(err, githubapp.ErrNotAFile):
		refusal := problem.New(problem.PolicyInvalid, "the %s's policy %s/%s is not a file of at most %d bytes", source.Origin, source.Repository, source.Path, githubapp.MaxFile)
		return &document{source: source, refusal: refusal.WithCause(err)}, nil
	case err != nil:
		return nil, err
	case file.NotModified:
		return nil, errors.New("GitHub says that a file is unchanged which was never read")
	}
	digest := sha256.Sum256(file.Content)
	source.Blob, source.Digest = file.Blob, "sha256:"+hex.EncodeToString(digest[:])
	d := &document{source: source, etag: file.ETag}
	d.file, err = policy.Parse(source.Origin, source, file.Content)
	if err != nil {
		d.refusal = problem.From(err)
	}
	return d, nil
}
