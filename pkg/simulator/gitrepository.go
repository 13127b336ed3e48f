package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// gitHost lets git at the repositories. Each has a folder of its own, made when
// git first asks for it.
type gitHost struct {
	mu   sync.Mutex // one git at a time; taken before GitHub.mu
	root string     // a temporary folder; empty until it is needed
}

// errNoGit tells that this machine has no git.
var errNoGit = errors.New("git is not installed on the simulator's machine")

// Close removes the folders that git worked in.
func (g *GitHub) Close() {
	g.git.mu.Lock()
	defer g.git.mu.Unlock()
	if g.git.root != "" {
		_ = os.RemoveAll(g.git.root) // a temporary folder goes with the machine at the latest
	}
	g.git.root = ""
}

// git runs git in a folder, without the machine's own configuration.
func git(ctx context.Context, dir string, env []string, stdin []byte, arguments ...string) ([]byte, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, errNoGit
	}
	command := exec.CommandContext(ctx, path, arguments...)
	command.Dir, command.Stdin = dir, bytes.NewReader(stdin)
	command.Env = append([]string{"HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"}, env...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		return out, fmt.Errorf("git %s: %w: %s", arguments[0], err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out, nil
}

// share brings a repository's folder up to what the API shows.
func (g *GitHub) share(ctx context.Context, r *repository) error {
	if g.git.root == "" {
		root, err := os.MkdirTemp("", "simulator-git-")
		if err != nil {
			return err
		}
		g.git.root = root
	}
	if r.dir == "" || filepath.Dir(r.dir) != g.git.root {
		dir := filepath.Join(g.git.root, fmt.Sprintf("%d.git", r.ID))
		if _, err := git(ctx, g.git.root, nil, nil, "init", "--quiet", "--bare", "--template=", dir); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(gitConfig), 0o600); err != nil {
			return err
		}
		r.dir = dir
	}
	updates, err := g.send(r)
	if err != nil {
		return err
	}
	_, err = git(ctx, r.dir, nil, updates, "update-ref", "--stdin")
	return err
}

// send writes the objects that git lacks, and returns what update-ref is to do.
func (g *GitHub) send(r *repository) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.objects.dir = filepath.Join(r.dir, "objects")
	if err := r.objects.send(); err != nil {
		return nil, err
	}
	var updates bytes.Buffer
	for ref, id := range r.refs {
		if r.objects.get(id).kind != "" { // a job's commit can be a mere name
			fmt.Fprintf(&updates, "update %s %s\n", ref, id)
		}
	}
	head := []byte("ref: refs/heads/" + r.DefaultBranch + "\n")
	return updates.Bytes(), os.WriteFile(filepath.Join(r.dir, "HEAD"), head, 0o600)
}

// adopt makes the API show what git brought, and tells of each ref that moved.
func (g *GitHub) adopt(ctx context.Context, r *repository) error {
	out, err := git(ctx, r.dir, nil, nil, "for-each-ref", "--format=%(refname) %(objectname)")
	if err != nil {
		return err
	}
	now := map[string]string{}
	for line := range strings.Lines(string(out)) {
		ref, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		now[ref] = id
	}
	for _, e := range g.moveRefs(r, now) {
		g.hook.send(e)
	}
	return nil
}

// moveRefs takes git's refs for the repository's own; those that git can't know stay.
func (g *GitHub) moveRefs(r *repository, now map[string]string) []*event {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := maps.Clone(r.refs)
	for ref, id := range before {
		if r.objects.get(id).kind != "" {
			delete(r.refs, ref)
		}
	}
	maps.Copy(r.refs, now)
	var events []*event
	all := maps.Clone(before)
	maps.Copy(all, r.refs)
	for _, ref := range slices.Sorted(maps.Keys(all)) {
		if before[ref] != r.refs[ref] {
			r.know(r.refs[ref])
			events = append(events, g.event("push", "", r, g.pushShape(r, ref, before[ref], r.refs[ref], nil)))
		}
	}
	if r.head() != before["refs/heads/"+r.DefaultBranch] {
		r.files = r.objects.files(r.head())
	}
	return events
}

// know notes the commits that a ref leads to.
func (r *repository) know(id string) {
	for _, commit := range r.objects.history(r.objects.commitOf(id)) {
		if slices.Contains(r.commits, commit) {
			return
		}
		r.commits = append(r.commits, commit)
	}
}

// gitConfig keeps objects loose, so that the API reads what git brought, and
// lets a commit be fetched by its id, as GitHub does.
const gitConfig = `[core]
	repositoryformatversion = 0
	bare = true
[http]
	receivepack = true
	getanyfile = false
[receive]
	autogc = false
	unpackLimit = 1000000
[gc]
	auto = 0
[uploadpack]
	allowAnySHA1InWant = true
	allowFilter = true
`
