package simulator

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// maxInlineFile is the size up to which GitHub puts a file's content into JSON.
const maxInlineFile = 1 << 20

// getRepository answers GET /repos/{owner}/{repo}.
// https://docs.github.com/en/rest/repos/repos#get-a-repository
func getRepository(g *GitHub, q *request) answer { return ok(g.repositoryShape(q.repo)) }

// getContents answers with a file, raw when asked so, or with a folder's listing.
// It knows the head of the default branch, and no other commit.
// https://docs.github.com/en/rest/repos/contents#get-repository-content
func getContents(_ *GitHub, q *request) answer {
	if ref := q.URL.Query().Get("ref"); !q.repo.isHead(ref) {
		return refuse(http.StatusNotFound, "No commit found for the ref "+ref)
	}
	name := strings.Trim(q.PathValue("path"), "/")
	if content, isFile := q.repo.files[name]; isFile {
		if strings.Contains(q.Header.Get("Accept"), ".raw") {
			a := ok(content)
			a.header.Set("Content-Type", "application/vnd.github.raw+json; charset=utf-8")
			return a
		}
		return ok(q.fileShape(name, content))
	}
	if entries := q.folder(name); len(entries) > 0 || name == "" {
		return ok(entries)
	}
	return notFound()
}

func (r *repository) isHead(ref string) bool {
	switch ref {
	case "", "HEAD", r.DefaultBranch, "heads/" + r.DefaultBranch, "refs/heads/" + r.DefaultBranch, r.head():
		return true
	}
	return false
}

// fileShape is a file with its content, in base64 with a line break each 60 characters.
func (q *request) fileShape(name string, content []byte) object {
	shape := q.entryShape(name, "file", blobID(content), len(content))
	encoded := base64.StdEncoding.EncodeToString(content)
	var lines strings.Builder
	for chunk := range slices.Chunk([]byte(encoded), 60) {
		lines.Write(append(chunk, '\n'))
	}
	shape["content"], shape["encoding"] = lines.String(), "base64"
	if len(content) > maxInlineFile {
		shape["content"], shape["encoding"] = "", "none"
	}
	return shape
}

// folder lists what lies directly in a folder; there is none when the list is empty.
func (q *request) folder(name string) []object {
	prefix := name + "/"
	if name == "" {
		prefix = ""
	}
	entries := map[string]object{}
	for file, content := range q.repo.files {
		rest, inside := strings.CutPrefix(file, prefix)
		if !inside {
			continue
		}
		child, _, deeper := strings.Cut(rest, "/")
		if deeper {
			entries[child] = q.entryShape(prefix+child, "dir", blobID([]byte(prefix+child)), 0)
		} else {
			entries[child] = q.entryShape(file, "file", blobID(content), len(content))
		}
	}
	list := []object{}
	for _, child := range slices.Sorted(maps.Keys(entries)) {
		list = append(list, entries[child])
	}
	return list
}

func (q *request) entryShape(name, kind, sha string, size int) object {
	branch := q.repo.DefaultBranch
	escaped := (&url.URL{Path: name}).EscapedPath()
	api := q.base + "/repos/" + q.repo.fullName()
	html := q.base + "/" + q.repo.fullName()
	self := api + "/contents/" + escaped + "?ref=" + branch
	git, page, download := api+"/git/blobs/"+sha, html+"/blob/"+branch+"/"+escaped, any(html+"/raw/"+branch+"/"+escaped)
	if kind == "dir" {
		git, page, download = api+"/git/trees/"+sha, html+"/tree/"+branch+"/"+escaped, nil
	}
	return object{
		"type": kind, "size": size, "name": path.Base(name), "path": name, "sha": sha,
		"url": self, "git_url": git, "html_url": page, "download_url": download,
		"_links": object{"self": self, "git": git, "html": page},
	}
}
