package simulator

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" //nolint:gosec // git names its objects by SHA-1
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// gitObject is one blob, tree, commit or tag, without its header.
// https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
type gitObject struct {
	kind string
	body []byte
}

// objectStore holds a repository's objects: in memory what the API made, and
// below dir what git brought.
type objectStore struct {
	dir    string // the objects folder; empty until git is used
	made   map[string]gitObject
	unsent []string // made, and not below dir yet
}

// maxObject bounds what is read of one object that git brought.
const maxObject = 64 << 20

// header is what git puts before the body, also to compute the object's id.
func (o gitObject) header() string { return fmt.Sprintf("%s %d\x00", o.kind, len(o.body)) }

func (o gitObject) id() string {
	h := sha1.New()                       //nolint:gosec // as above
	_, _ = h.Write([]byte(o.header()))    // a hash never fails
	_, _ = h.Write(o.body)                // likewise
	return hex.EncodeToString(h.Sum(nil)) // 40 digits
}

// blobID is git's id of a file's content.
func blobID(content []byte) string { return gitObject{"blob", content}.id() }

func (s *objectStore) put(kind string, body []byte) string {
	o := gitObject{kind, body}
	id := o.id()
	if _, ok := s.made[id]; !ok {
		if s.made == nil {
			s.made = map[string]gitObject{}
		}
		s.made[id] = o
		s.unsent = append(s.unsent, id)
	}
	return id
}

// putTree stores files, by path, as nested trees and returns the root's id.
func (s *objectStore) putTree(files map[string][]byte) string {
	entries := map[string]string{} // the name a tree is sorted by, to mode and id
	folders := map[string]map[string][]byte{}
	for path, content := range files {
		if folder, rest, inside := strings.Cut(path, "/"); inside {
			if folders[folder] == nil {
				folders[folder] = map[string][]byte{}
			}
			folders[folder][rest] = content
		} else {
			entries[path] = "100644 " + s.put("blob", content)
		}
	}
	for folder, inside := range folders {
		entries[folder+"/"] = "40000 " + s.putTree(inside)
	}
	var tree bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		mode, id, _ := strings.Cut(entries[name], " ")
		raw, _ := hex.DecodeString(id) // it was encoded above
		fmt.Fprintf(&tree, "%s %s\x00%s", mode, strings.TrimSuffix(name, "/"), raw)
	}
	return s.put("tree", tree.Bytes())
}

// putCommit stores a commit of files; parent is empty for the first.
func (s *objectStore) putCommit(files map[string][]byte, parent string, at time.Time, message string) string {
	var c strings.Builder
	fmt.Fprintf(&c, "tree %s\n", s.putTree(files))
	if parent != "" {
		fmt.Fprintf(&c, "parent %s\n", parent)
	}
	for _, role := range []string{"author", "committer"} {
		fmt.Fprintf(&c, "%s octocat <octocat@users.noreply.github.com> %d +0000\n", role, at.Unix())
	}
	fmt.Fprintf(&c, "\n%s\n", message)
	return s.put("commit", []byte(c.String()))
}

// get finds an object; its kind is empty when there is none.
func (s *objectStore) get(id string) gitObject {
	if o, ok := s.made[id]; ok || s.dir == "" || len(id) != 40 {
		return o
	}
	o, err := readLoose(filepath.Join(s.dir, id[:2], id[2:]))
	if err != nil {
		return gitObject{}
	}
	return o
}

func readLoose(path string) (gitObject, error) {
	f, err := os.Open(path)
	if err != nil {
		return gitObject{}, err
	}
	defer func() { _ = f.Close() }() // read only
	z, err := zlib.NewReader(f)
	if err != nil {
		return gitObject{}, err
	}
	raw, err := io.ReadAll(io.LimitReader(z, maxObject))
	header, body, whole := bytes.Cut(raw, []byte{0})
	if err != nil || !whole {
		return gitObject{}, errors.Join(err, errors.New("no object"))
	}
	kind, _, _ := strings.Cut(string(header), " ")
	return gitObject{kind, body}, nil
}

// send writes what the API made below dir, where git sees it.
func (s *objectStore) send() error {
	for _, id := range s.unsent {
		if err := writeLoose(filepath.Join(s.dir, id[:2], id[2:]), s.made[id]); err != nil {
			return fmt.Errorf("give git object %s: %w", id, err)
		}
	}
	s.unsent = nil
	return nil
}

func writeLoose(path string, o gitObject) error {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, err := io.WriteString(z, o.header()+string(o.body))
	if err = errors.Join(err, z.Close(), os.MkdirAll(filepath.Dir(path), 0o700)); err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil // git brought the same
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// files reads the tree of a commit: path to content. Submodules are left out.
func (s *objectStore) files(commit string) map[string][]byte {
	files := map[string][]byte{}
	s.walk(s.header(commit, "tree"), "", files)
	return files
}

func (s *objectStore) walk(tree, prefix string, into map[string][]byte) {
	for rest := s.get(tree).body; len(rest) > 0; {
		entry, after, whole := bytes.Cut(rest, []byte{0})
		if !whole || len(after) < sha1.Size {
			return
		}
		id := hex.EncodeToString(after[:sha1.Size])
		rest = after[sha1.Size:]
		mode, name, _ := strings.Cut(string(entry), " ")
		switch {
		case mode == "40000":
			s.walk(id, prefix+name+"/", into)
		case s.get(id).kind == "blob":
			into[prefix+name] = s.get(id).body
		}
	}
}

// header reads the first header line of that name in a commit or tag.
func (s *objectStore) header(id, name string) string {
	head, _, _ := strings.Cut(string(s.get(id).body), "\n\n")
	for line := range strings.SplitSeq(head, "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value
		}
	}
	return ""
}

// commitOf follows tags to a commit; it is empty when they lead elsewhere.
func (s *objectStore) commitOf(id string) string {
	for s.get(id).kind == "tag" {
		id = s.header(id, "object")
	}
	if s.get(id).kind != "commit" {
		return ""
	}
	return id
}

// history lists a commit and its first parents, newest first.
func (s *objectStore) history(commit string) []string {
	var list []string
	for ; s.get(commit).kind == "commit"; commit = s.header(commit, "parent") {
		list = append(list, commit)
	}
	return list
}
