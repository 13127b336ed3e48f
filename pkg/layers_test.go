// Package pkg_test holds the rooms to the table of pkg/README.md.
package pkg_test

import (
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/curfew-dev/curfew/"

// rooms reads the table: room to the rooms it may import; nil means anything.
func rooms(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\|[^|]*\\| ([^|]+) \\|$").FindAllStringSubmatch(string(text), -1) {
		switch row[2] {
		case "anything":
			table[row[1]] = nil
		case "–":
			table[row[1]] = []string{}
		default:
			table[row[1]] = strings.Fields(row[2])
		}
	}
	if len(table) < 15 {
		t.Fatalf("the table of pkg/README.md has %d rows only", len(table))
	}
	return table
}

// packages finds every Go package below cmd and pkg, with the imports of its
// files that are not tests, whatever their build tags.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	everything := build.Default
	everything.UseAllFiles = true
	for _, top := range []string{"../cmd", "."} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if d.Name() == "testdata" {
				return filepath.SkipDir
			}
			p, _ := everything.ImportDir(path, 0)
			if p == nil || len(p.GoFiles) == 0 {
				return nil
			}
			name := "pkg/" + filepath.ToSlash(path)
			if top == "../cmd" {
				name = strings.TrimPrefix(filepath.ToSlash(path), "../")
			}
			found[name] = p.Imports
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestRoomsImportOnlyWhatTheTableSays(t *testing.T) {
	table := rooms(t)
	found := packages(t)
	for name, imports := range found {
		allowed, listed := table[name]
		if !listed {
			t.Errorf("%s is not in the table of pkg/README.md", name)
			continue
		}
		for _, path := range imports {
			ours, isOurs := strings.CutPrefix(path, module)
			if !isOurs || allowed == nil {
				continue
			}
			if !slices.Contains(allowed, strings.TrimPrefix(ours, "pkg/")) {
				t.Errorf("%s imports %s, which the table of pkg/README.md does not allow", name, ours)
			}
		}
	}
	for name := range table {
		if _, exists := found[name]; !exists {
			t.Errorf("the table of pkg/README.md lists %s, which does not exist", name)
		}
	}
}

func TestWhatRoomsMustNotKnow(t *testing.T) {
	web, sql, system := "net/http", "database/sql", "os"
	forbidden := map[string][]string{
		"pkg/exchange": {web, sql, system},
		"pkg/policy":   {web, sql, system},
		"pkg/scope":    {web, sql, system},
		"pkg/lease":    {web, sql, system},
		"pkg/action":   {sql},
		"pkg/api":      {sql},
	}
	found := packages(t)
	for room, imports := range forbidden {
		for _, path := range imports {
			if slices.Contains(found[room], path) {
				t.Errorf("%s imports %s", room, path)
			}
		}
	}
}

func TestOnlyCommandsReadTheEnvironment(t *testing.T) {
	reads := regexp.MustCompile(`\bos\.(Getenv|LookupEnv|Environ|ExpandEnv)\b`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		// The emulator starts processes with the machine's own PATH, as the runner does.
		if strings.HasPrefix(path, "runner/") {
			return nil
		}
		text, err := os.ReadFile(path)
		if reads.Match(text) {
			t.Errorf("%s reads the environment; only cmd does", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheActionLinksNeitherSQLNorCEL(t *testing.T) {
	seen := map[string]bool{}
	var walk func(path string)
	walk = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		if strings.Contains(path, "cel-go") || strings.Contains(path, "database/sql") || strings.Contains(path, "sqlite") {
			t.Errorf("cmd/action links %s", path)
		}
		ours, isOurs := strings.CutPrefix(path, module)
		if !isOurs {
			return
		}
		p, err := build.ImportDir(filepath.Join("..", ours), 0)
		if err != nil {
			t.Fatalf("%s: %v", ours, err)
		}
		for _, next := range p.Imports {
			walk(next)
		}
	}
	walk(module + "cmd/action")
	if len(seen) < 5 {
		t.Errorf("only %d packages were looked at", len(seen))
	}
}
