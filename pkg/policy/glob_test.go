package policy

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	for _, row := range []struct {
		pattern, text string
		want          bool
	}{
		{"refs/heads/main", "refs/heads/main", true},
		{"refs/heads/main", "refs/heads/main2", false},
		{"refs/heads/main", "refs/heads/mai", false},
		{"refs/heads/*", "refs/heads/main", true},
		{"refs/heads/*", "refs/heads/a/b", false},
		{"refs/heads/*", "refs/heads/", true},
		{"refs/*/main", "refs/tags/main", true},
		{"refs/heads/**", "refs/heads/a/b", true},
		{"refs/heads/**", "refs/heads", false},
		{"refs/**/fix", "refs/heads/a/b/fix", true},
		{"refs/**/fix", "refs/fix", false},
		{"**", "refs/heads/main", true},
		{"**", "", true},
		{"*", "a/b", false},
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"a*b*c", "abbcbc", true},
		{"a*b*c", "abbcb", false},
		{"***", "a/b", true},
		{"*/**", "a/b/c", true},
		{"a.c", "abc", false},
		{"[a]", "a", false},
		{"ä*", "äö", true},
	} {
		if got := match(row.pattern, row.text); got != row.want {
			t.Errorf("match(%q, %q) = %v", row.pattern, row.text, got)
		}
	}
}

// A backtracking matcher needs longer than the universe has for these.
func TestMatchDoesNotBacktrack(t *testing.T) {
	start := time.Now()
	pattern, text := strings.Repeat("*a", maxPattern/2), strings.Repeat("a", 1<<10)+"b"
	for range 10 {
		if match(pattern, text) || match(strings.Repeat("**a", maxPattern/3), text) {
			t.Fatal("matched")
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("20 patterns took %v", took)
	}
}

// FuzzGlob holds the matcher against regular expressions of the same meaning.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"refs/heads/*", "refs/heads/main"}, {"refs/**", "refs/a/b"}, {"a*b**c", "a/b/c"}, {"***", "x"}, {"", ""}, {"*\xff", "\xff"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > maxPattern || len(text) > 1<<10 {
			return
		}
		// Latin-1 gives the regular expression a rune for each byte.
		want := regexp.MustCompile(expression(latin1(pattern))).MatchString(latin1(text))
		if got := match(pattern, text); got != want {
			t.Fatalf("match(%q, %q) = %v", pattern, text, got)
		}
	})
}

func expression(pattern string) string {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(quoted, `\*\*`, `(?s:.*)`)
	return `\A` + strings.ReplaceAll(quoted, `\*`, `[^/]*`) + `\z`
}

func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
