package simulator

import (
	"bytes"
	"fmt"
	"io/fs"
)

// PutFile commits one file to the default branch and returns its blob id.
// A webhook tells of the push.
func (g *GitHub) PutFile(owner, repo, path string, content []byte) (sha string, err error) {
	if !fs.ValidPath(path) || path == "." {
		return "", fmt.Errorf("path %q is not a file's path inside a repository", path)
	}
	err = g.push(owner, repo, func(r *repository) (object, error) {
		change := "added"
		if _, ok := r.files[path]; ok {
			change = "modified"
		}
		r.files[path] = bytes.Clone(content)
		return object{change: []string{path}}, nil
	})
	return blobID(content), err
}

// RemoveFile commits the removal of one file from the default branch.
func (g *GitHub) RemoveFile(owner, repo, path string) error {
	return g.push(owner, repo, func(r *repository) (object, error) {
		if _, ok := r.files[path]; !ok {
			return nil, fmt.Errorf("no file %s in %s", path, r.fullName())
		}
		delete(r.files, path)
		return object{"removed": []string{path}}, nil
	})
}

// push changes files, commits, and sends the event. The change returns which
// paths it touched.
func (g *GitHub) push(owner, name string, change func(*repository) (object, error)) error {
	g.mu.Lock()
	repo, err := g.repository(owner, name)
	var paths object
	if err == nil {
		paths, err = change(repo)
	}
	if err != nil {
		g.mu.Unlock()
		return err
	}
	before := repo.head()
	e := g.event("push", "", repo, g.pushShape(repo, "refs/heads/"+repo.DefaultBranch, before, repo.commit(g.now()), paths))
	g.mu.Unlock()
	g.hook.send(e)
	return nil
}

// File reads one file of the default branch, as the ground truth.
func (g *GitHub) File(owner, repo, path string) (content []byte, found bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, err := g.repository(owner, repo)
	if err != nil {
		return nil, false
	}
	content, found = r.files[path]
	return bytes.Clone(content), found
}

// Ref finds what a full ref such as refs/tags/v1 leads to: the id of a commit or
// of an annotated tag.
func (g *GitHub) Ref(owner, repo, ref string) (sha string, found bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, err := g.repository(owner, repo)
	if err != nil {
		return "", false
	}
	sha, found = r.refs[ref]
	return sha, found
}
