package githubapp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/secret"
)

const (
	// MaxFile is how many bytes a file may have to be read.
	MaxFile = 64 << 10
	// maxFileAnswer leaves room for base64, its line breaks and what stands around it.
	maxFileAnswer = 256 << 10
)

// ErrNotAFile says that a path holds something other than a file of at most
// [MaxFile] bytes: a directory, a link, a submodule, or a larger file.
var ErrNotAFile = fmt.Errorf("not a regular file of at most %d bytes", MaxFile)

// ErrHidden says that the token reaches no repository of that name: it has been
// renamed or transferred, or GitHub does not yet know a fresh token everywhere.
var ErrHidden = errors.New("the token reaches no repository of that name")

// A File is what a path on a repository's default branch holds.
type File struct {
	Content []byte
	// Blob is the git object id of the content.
	Blob string
	// ETag asks the next time whether the file has changed.
	ETag string
	// NotModified says that the file is as it was under the ETag given; the rest is empty then.
	NotModified bool
}

// ReadFile reads a file from the default branch. With the etag of an earlier
// answer GitHub says NotModified, at no cost to the rate limit, if nothing has
// changed. [problem.NotFound] means that the repository is there and the file is
// not. Everything else is [problem.GitHubError], [problem.RateLimited] or
// [problem.InstallationSuspended]; among them [ErrNotAFile], [ErrHidden] and
// [ErrTokenDead] can be told apart.
// https://docs.github.com/en/rest/repos/contents#get-repository-content
func (c *Client) ReadFile(ctx context.Context, token secret.Text, owner, repository, path, etag string) (File, error) {
	if token.Empty() {
		return File{}, noAnswer(errEmptyToken)
	}
	escaped, ok := escapePath(path)
	if !ok || !plainName(owner) || !plainName(repository) {
		return File{}, notAFile(errors.New("no name of a file"))
	}
	home := "repos/" + owner + "/" + repository
	ask := call{method: http.MethodGet, path: home + "/contents/" + escaped, token: token, etag: etag, limit: maxFileAnswer}
	a, err := c.do(ctx, ask)
	switch {
	case errors.Is(err, errOverlong):
		return File{}, notAFile(errOverlong)
	case err != nil:
		return File{}, noAnswer(err)
	case a.status == http.StatusNotModified && etag != "":
		return File{ETag: etag, NotModified: true}, nil
	case a.status == http.StatusNotFound:
		return File{}, c.absent(ctx, token, home, a)
	case a.status == http.StatusMovedPermanently:
		return File{}, hidden(a)
	case !a.ok():
		return File{}, c.refusal(a)
	}
	return readContent(a)
}

// absent tells a file that is not there from a repository that the token can't
// see: GitHub answers 404 to both, and to a token so fresh that not all of
// GitHub knows it yet.
func (c *Client) absent(ctx context.Context, token secret.Text, home string, missing answer) error {
	a, err := c.do(ctx, call{method: http.MethodGet, path: home, token: token})
	if err != nil {
		return noAnswer(err)
	}
	if a.status == http.StatusOK {
		return problem.New(problem.NotFound, "there is no such file in the repository").WithCause(asCause(missing))
	}
	if a.status == http.StatusNotFound || a.status == http.StatusMovedPermanently {
		return hidden(a)
	}
	return c.refusal(a)
}

func readContent(a answer) (File, error) {
	var body struct {
		Type, Encoding, Content, SHA string
		Size                         int64
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		if strings.HasPrefix(strings.TrimSpace(string(a.body)), "[") {
			return File{}, notAFile(errors.New("a directory"))
		}
		return File{}, unreadable(a)
	}
	if body.Type != "file" || body.Size > MaxFile {
		return File{}, notAFile(fmt.Errorf("another type, or %d bytes", body.Size))
	}
	content, err := base64.StdEncoding.DecodeString(body.Content) // skips line breaks
	if err != nil || body.Encoding != "base64" || int64(len(content)) != body.Size || body.SHA == "" {
		return File{}, unreadable(a)
	}
	return File{Content: content, Blob: body.SHA, ETag: a.header.Get("Etag")}, nil
}

func notAFile(cause error) *problem.Problem {
	return problem.New(problem.GitHubError, "the path holds something other than a file of at most %d bytes", MaxFile).
		WithCause(fmt.Errorf("%w: %w", ErrNotAFile, cause))
}

func hidden(a answer) *problem.Problem {
	return problem.New(problem.GitHubError, "GitHub does not show the repository").WithCause(fmt.Errorf("%w: %w", ErrHidden, asCause(a)))
}

// escapePath escapes each segment and keeps the slashes. It refuses segments
// that would lead elsewhere.
func escapePath(path string) (string, bool) {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if s == "" || s == "." || s == ".." {
			return "", false
		}
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/"), true
}
