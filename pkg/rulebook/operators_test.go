package rulebook

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestServes(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		issuer string
		owner  int64
		want   bool
	}{
		{issuer, 1001, true},
		{issuer, 1003, true}, // a caller
		{issuer, 1002, false},
		{"https://ghes.example/_services/token", 1001, false},
		{"", 1001, false},
	} {
		if got := s.book.Serves(c.issuer, c.owner); got != c.want {
			t.Errorf("%s, %d: %v", c.issuer, c.owner, got)
		}
	}
}

func TestOpenNamesEveryMistake(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.yaml":       operatorFile,
		"b.yml":        "version: 1\nowner: { login: other, id: x }\n",
		"c.yaml":       "version: 2\n",
		"d.yaml":       "version: 1\nowner: { login: ACME, id: 5 }\n",
		"e.yaml":       "version: 1\nowner: { login: renamed, id: 1001 }\n",
		"f.yaml":       strings.Repeat("#", 64<<10+1),
		"g.yaml":       "version: 1\nowner: { login: acme, id: 1001, issuer: 'https://ghes.example/_services/token' }\n",
		".hidden.yaml": "nonsense",
		"README.md":    "nonsense",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	_, err := Open(Options{Dir: dir, DefaultIssuer: issuer})
	if err == nil {
		t.Fatal("it opens")
	}
	for _, want := range []string{"b.yml:2:28: owner.id", "c.yaml:1:", "d.yaml:1:1: owner: ACME", "e.yaml:1:1: owner: renamed", "f.yaml:1:1"} {
		if !strings.Contains(err.Error(), filepath.ToSlash(dir)+"/"+want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	for _, none := range []string{"a.yaml:", "g.yaml:", ".hidden", "README"} {
		if strings.Contains(err.Error(), none) {
			t.Errorf("%q is in:\n%v", none, err)
		}
	}
}

func TestOpenWantsADirectoryWithPolicies(t *testing.T) {
	if _, err := Open(Options{Dir: filepath.Join(t.TempDir(), "nothing")}); err == nil {
		t.Error("a directory that is not there opens")
	}
	if _, err := Open(Options{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no *.yaml") {
		t.Errorf("an empty directory: %v", err)
	}
}
