package runner

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandFiles(t *testing.T) {
	for _, row := range []struct {
		why, text string
		want      pairs
		err       string
	}{
		{"an empty file says nothing", "", nil, ""},
		{"a line names a value", "a=1\n", pairs{{"a", "1"}}, ""},
		{"the last line needs no end", "a=1", pairs{{"a", "1"}}, ""},
		{"empty lines count for nothing", "\n\na=1\n\n", pairs{{"a", "1"}}, ""},
		{"a value may be empty", "a=\n", pairs{{"a", ""}}, ""},
		{"a value may hold =, << and a carriage return", "a=b=c<<d\r\n", pairs{{"a", "b=c<<d\r"}}, ""},
		{"spaces belong to name and value", " a = 1 \n", pairs{{" a ", " 1 "}}, ""},
		{"a name must not be empty", "=1\n", nil, "the name must not be empty"},
		{"a line needs = or <<", "a=1\ntoken\nb=2\n", pairs{{"a", "1"}}, "invalid format 'token'"},
		{"a block holds several lines", "a<<X\n1\n2\nX\nb=3\n", pairs{{"a", "1\n2"}, {"b", "3"}}, ""},
		{"a block may be empty", "a<<X\nX\n", pairs{{"a", ""}}, ""},
		{"a block keeps its empty lines", "a<<X\n\n1\n\nX\n", pairs{{"a", "\n1\n"}}, ""},
		{"the delimiter may end the file", "a<<X\n1\nX", pairs{{"a", "1"}}, ""},
		{"a delimiter inside a line ends nothing", "a<<X\nnot X\nX not\nX\n", pairs{{"a", "not X\nX not"}}, ""},
		{"a delimiter with a space after it ends nothing", "a<<X\n1\nX \nX\n", pairs{{"a", "1\nX "}}, ""},
		{"a value that holds the delimiter as a line is cut there", "a<<X\n1\nX\nevil=1\nX\n", pairs{{"a", "1"}, {"evil", "1"}}, "invalid format 'X'"},
		{"a delimiter may hold =", "a<<X=Y\n1\nX=Y\n", pairs{{"a", "1"}}, ""},
		{"a missing delimiter is an error, and what stood before counts", "a=1\nb<<X\n2\n", pairs{{"a", "1"}}, "matching delimiter not found 'X'"},
		{"a block without a delimiter is an error", "a<<\n1\n", nil, "the delimiter must not be empty"},
		{"a block without a name is an error", "<<X\n1\nX\n", nil, "the name must not be empty"},
	} {
		t.Run(row.why, func(t *testing.T) {
			got, err := parsePairs(row.text)
			if diff := cmp.Diff(row.want, got, cmp.AllowUnexported(pair{})); diff != "" {
				t.Errorf("pairs (-want +got):\n%s", diff)
			}
			checkError(t, err, row.err)
		})
	}
}

func TestReplacedCommandFiles(t *testing.T) {
	for _, row := range []struct {
		why   string
		spoil func(path string) error
		err   string
	}{
		{"one that is left alone is empty", func(string) error { return nil }, ""},
		{"one that was removed is empty", os.Remove, ""},
		{"one that became a folder is an error", func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o755))
		}, "no longer a regular file"},
		{"one that became a pipe doesn't block", func(path string) error {
			return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o644))
		}, "no longer a regular file"},
		{"one that is too large is an error", func(path string) error { return os.Truncate(path, maxCommandFile+1) }, "larger than"},
	} {
		t.Run(row.why, func(t *testing.T) {
			files, err := makeCommandFiles(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if err := row.spoil(files.path("output")); err != nil {
				t.Fatal(err)
			}
			_, err = files.read("output")
			checkError(t, err, row.err)
		})
	}
}

// FuzzCommandFiles holds that any text is read without a panic, that no name is
// empty, and that a value comes back as it was written under a fresh delimiter.
func FuzzCommandFiles(f *testing.F) {
	for _, seed := range []string{"", "a=1\n", "a<<X\n1\nX\n", "a<<X\n1\n", "<<", "=", "a<<X\nX", "a=b<<c\n\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, _ := parsePairs(text)
		for _, p := range found {
			if p.name == "" {
				t.Errorf("an empty name from %q", text)
			}
		}
		const delimiter = "8c1f-delimiter"
		if strings.Contains(text, delimiter) {
			t.Skip()
		}
		back, err := parsePairs("name<<" + delimiter + "\n" + text + "\n" + delimiter + "\nnext=1")
		if err != nil {
			t.Fatal(err)
		}
		want := pairs{{"name", text}, {"next", "1"}}
		if diff := cmp.Diff(want, back, cmp.AllowUnexported(pair{})); diff != "" {
			t.Error(diff)
		}
	})
}

// checkError wants an error with that text in it; none if it is empty.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil {
		t.Errorf("unexpected error: %v", err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("error\n got %v\nwant %s", err, want)
	}
}
