package simulator

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// maxGitTime is how long git may take over one request.
const maxGitTime = time.Minute

// shareGit answers git's smart HTTP protocol with git's own server, once the
// token is found to allow it.
// https://git-scm.com/docs/http-protocol
func shareGit(g *GitHub, q *request) answer {
	service := q.gitService()
	if service == "" {
		return gitRefusal(http.StatusForbidden, "Please upgrade your git client.")
	}
	g.mu.Lock()
	refused := g.admitGit(q, service)
	g.mu.Unlock()
	if refused != nil {
		return *refused
	}
	g.git.mu.Lock()
	defer g.git.mu.Unlock()
	a, err := g.runGit(q, service)
	switch {
	case errors.Is(err, errNoGit):
		return gitRefusal(http.StatusNotImplemented, err.Error())
	case err != nil:
		return gitRefusal(http.StatusInternalServerError, err.Error())
	}
	return a
}

// gitService is what git came for; empty with the dumb protocol, which GitHub
// doesn't speak.
func (q *request) gitService() string {
	service := q.URL.Query().Get("service")
	if q.Method == http.MethodPost {
		service = q.URL.Path[strings.LastIndex(q.URL.Path, "/")+1:]
	}
	if service != "git-upload-pack" && service != "git-receive-pack" {
		return ""
	}
	return service
}

// gitRefusal is a text that git shows after "remote:".
func gitRefusal(status int, message string) answer {
	a := reply(status, []byte(message+"\n"))
	a.header.Set("Content-Type", "text/plain; charset=utf-8")
	if status == http.StatusUnauthorized {
		a.header.Set("WWW-Authenticate", `Basic realm="GitHub"`)
	}
	return a
}

// admitGit checks the token and its permission for a repository. A token that
// can only read is told whom it stands for, one that can't even read is not.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation#using-an-installation-access-token-to-authenticate-for-http-based-git-access
func (g *GitHub) admitGit(q *request, service string) *answer {
	refuse := func(status int, message string) *answer {
		a := gitRefusal(status, message)
		return &a
	}
	if _, _, basic := q.BasicAuth(); !basic {
		return refuse(http.StatusUnauthorized, "Repository not found.")
	}
	if refused := g.admitToken(q); refused != nil && refused.status == http.StatusForbidden {
		return refuse(http.StatusForbidden, "This installation has been suspended.")
	} else if refused != nil {
		return refuse(http.StatusUnauthorized, "Invalid username or token. Password authentication is not supported for Git operations.")
	}
	owner, name := q.PathValue("owner"), strings.TrimSuffix(q.PathValue("repo"), ".git")
	repo := g.names[nameKey(owner, name)]
	if repo == nil || !g.reaches(q.token, repo) {
		return refuse(http.StatusNotFound, "Repository not found.")
	}
	q.repo = repo
	held := q.token.Permissions["contents"]
	switch {
	case !atLeast(held, "read"):
		return refuse(http.StatusForbidden, "Write access to repository not granted.")
	case service == "git-receive-pack" && !atLeast(held, "write"):
		return refuse(http.StatusForbidden, fmt.Sprintf("Permission to %s.git denied to %s.", repo.fullName(), q.app.bot.Login))
	case !repo.goesBy(name):
		_, rest, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"+owner+"/"), "/")
		a := movedTo(q.base+"/"+repo.fullName()+".git/"+rest, q.URL.RawQuery)
		return &a
	}
	return nil
}

// runGit lets git's CGI program answer, and takes over what was pushed.
func (g *GitHub) runGit(q *request, service string) (answer, error) {
	// A client that leaves must not leave a push half taken over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.Context()), maxGitTime)
	defer cancel()
	if err := g.share(ctx, q.repo); err != nil {
		return answer{}, err
	}
	_, rest, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"+q.PathValue("owner")+"/"), "/")
	out, err := git(ctx, q.repo.dir, []string{
		"GIT_PROJECT_ROOT=" + q.repo.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + q.app.bot.Login,
		"PATH_INFO=/" + rest, "REQUEST_METHOD=" + q.Method, "QUERY_STRING=" + q.URL.RawQuery,
		"CONTENT_TYPE=" + q.Header.Get("Content-Type"), "CONTENT_LENGTH=" + strconv.Itoa(len(q.body)),
		"HTTP_CONTENT_ENCODING=" + q.Header.Get("Content-Encoding"), "GIT_PROTOCOL=" + q.Header.Get("Git-Protocol"),
	}, q.body, "http-backend")
	if err != nil {
		return answer{}, err
	}
	if service == "git-receive-pack" && q.Method == http.MethodPost {
		if err := g.adopt(ctx, q.repo); err != nil {
			return answer{}, err
		}
	}
	return readCGI(out)
}

// readCGI reads what a CGI program wrote.
// RFC 3875, section 6
func readCGI(out []byte) (answer, error) {
	r := bufio.NewReader(bytes.NewReader(out))
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		return answer{}, fmt.Errorf("read the header of git's answer: %w", err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return answer{}, err
	}
	a := reply(http.StatusOK, body)
	if code, _, _ := strings.Cut(header.Get("Status"), " "); code != "" {
		if a.status, err = strconv.Atoi(code); err != nil {
			return answer{}, fmt.Errorf("git's answer has the status %q", code)
		}
	}
	header.Del("Status")
	for name, values := range header {
		a.header[name] = values
	}
	return a, nil
}
