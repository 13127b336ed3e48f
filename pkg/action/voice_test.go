package action

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/sethvargo/go-githubactions"
)

func TestInert(t *testing.T) {
	for text, want := range map[string]string{
		"plain text: a_b-c/d 15%":   "plain text: a_b-c/d 15%",
		"Umlaute äöü und 漢字":        "Umlaute äöü und 漢字",
		"two\nlines\r\n":            `two\nlines\r\n`,
		"::error::x":                "'::error::x",
		"  ::error::x":              "'  ::error::x",
		"a ::error::x":              "a ::error::x",
		"##[error]x":                "# #[error]x",
		"a ###[error]x":             "a ## #[error]x",
		"#\u200b#[error]x":          `#\u200b#[error]x`,
		"#\u00ad#[error]x":          `#\u00ad#[error]x`,
		"#\u3164#[error]x":          `#\u3164#[error]x`,
		"\u200b::error::x":          `\u200b::error::x`,
		"\u00a0::error::x":          `\u00a0::error::x`,
		"\x1b[31mred":               `\u001b[31mred`,
		"right \u202e left":         `right \u202e left`,
		"line\u2028paragraph\u2029": `line\u2028paragraph\u2029`,
	} {
		if got := inert(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// FuzzLog holds every text that the log may be given against what the runner
// takes for a command.
func FuzzLog(f *testing.F) {
	for _, seed := range []string{"::error::x", "\n::add-mask::x", "##[group]", "%0A::x::", "\r", "#\u200d#[x]", " ::x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		v := voice{githubactions.New(githubactions.WithWriter(&out)), nil}
		v.say("%s", text)
		v.warn("%s", text)
		v.fail(text, text)
		lines := strings.Split(out.String(), "\n")
		if len(lines) != 4 {
			t.Fatalf("%d lines in %q", len(lines), out.String())
		}
		if strings.HasPrefix(strings.TrimSpace(lines[0]), "::") || strings.Contains(out.String(), "##[") || strings.Contains(out.String(), "\r") {
			t.Errorf("a command in %q", out.String())
		}
		if !strings.HasPrefix(lines[1], "::warning title=Curfew::") || !strings.HasPrefix(lines[2], "::error title=Curfew::") {
			t.Errorf("got %q", out.String())
		}
	})
}

func TestHeredocKeepsEachValueWhole(t *testing.T) {
	s := newStage(t)
	p := begin(s.outside())
	want := map[string]string{"a": "one\ntwo\nb<<x", "b": "", "c": "curfew_\ncurfew_X"}
	for name, value := range want {
		if err := p.record(outputFile, []pair{{name, value}}); err != nil {
			t.Fatal(err)
		}
	}
	got := s.file(outputFile)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
	for _, p := range []pair{{"a\nb", "x"}, {"a<<EOF", "x"}, {"a=b", "x"}, {"a", "x\nEOF\ntoken<<EOF\ny"}} {
		if text, err := heredoc("EOF", []pair{p}); err == nil {
			t.Errorf("%q is written as %q", p, text)
		}
	}
}

func TestHeredocDelimiterCannotBeGuessed(t *testing.T) {
	delimiters := map[string]bool{}
	for range 3 {
		s := newStage(t)
		s.main()
		text, err := os.ReadFile(s.env[outputFile])
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		delimiters[strings.TrimPrefix(first, "token<<")] = true
	}
	for delimiter := range delimiters {
		if len(delimiters) != 3 || len(delimiter) < 26 {
			t.Errorf("got %q", delimiter)
		}
	}
}
