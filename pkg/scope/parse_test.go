package scope

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/problem"
)

func TestParsePermissionAccepts(t *testing.T) {
	for _, row := range []struct {
		name, level string
		want        string
		wantLevel   Level
	}{
		{"contents", "read", "contents", Read},
		{"contents", "write", "contents", Write},
		{"pull-requests", "write", "pull_requests", Write},
		{"pull_requests", "write", "pull_requests", Write},
		{"repository-projects", "admin", "repository_projects", Admin},
		{"workflows", "write", "workflows", Write},
		{"members", "read", "members", Read},
	} {
		name, level, err := ParsePermission(row.name, row.level)
		if err != nil || name != row.want || level != row.wantLevel {
			t.Errorf("ParsePermission(%q, %q) = %q, %v, %v; want %q, %v", row.name, row.level, name, level, err, row.want, row.wantLevel)
		}
	}
}

func TestParsePermissionRefuses(t *testing.T) {
	for _, row := range []struct{ why, name, level, detail, hint string }{
		{"a typo", "contnts", "write", "there is no GitHub App permission 'contnts'", "did you mean contents?"},
		{"another case", "Contents", "write", "there is no GitHub App permission 'Contents'", "did you mean contents?"},
		{"a hyphen too many", "pull--requests", "read", "there is no GitHub App permission 'pull--requests'", "did you mean pull_requests?"},
		{"an invention", "everything", "write", "there is no GitHub App permission 'everything'", "names are those of GitHub's REST API, such as contents, issues, pull_requests"},
		{"no name", "", "write", "there is no GitHub App permission ''", "names are those of GitHub's REST API, such as contents, issues, pull_requests"},
		{"a workflow permission that Apps lack", "id-token", "write", "there is no GitHub App permission 'id-token'", "names are those of GitHub's REST API, such as contents, issues, pull_requests"},
		{"a level above the table's", "contents", "admin", "contents has no level 'admin'", "contents accepts: read, write"},
		{"a level below the table's", "workflows", "read", "workflows has no level 'read'", "workflows accepts: write"},
		{"a level of GITHUB_TOKEN", "contents", "none", "contents has no level 'none'", "contents accepts: read, write"},
		{"a level in another case", "contents", "Write", "contents has no level 'Write'", "contents accepts: read, write"},
		{"no level", "contents", "", "contents has no level ''", "contents accepts: read, write"},
		{"a permission of users", "profile", "write", "profile can't be part of an installation token", "use permissions of repositories or organisations"},
		{"a permission of enterprises", "enterprise_custom_properties_for_organizations", "read",
			"enterprise_custom_properties_for_organizations can't be part of an installation token", "use permissions of repositories or organisations"},
	} {
		name, level, err := ParsePermission(row.name, row.level)
		refused(t, row.why, err, row.detail, row.hint)
		if name != "" || level != None {
			t.Errorf("%s: got %q, %v beside the refusal", row.why, name, level)
		}
	}
}

func TestParsePermissionClipsHostileNames(t *testing.T) {
	_, _, err := ParsePermission(strings.Repeat("a", 1<<16), "read")
	if p := problem.From(err); len(p.Detail) > 200 {
		t.Errorf("the detail has %d bytes", len(p.Detail))
	}
}

func TestParseScopeAccepts(t *testing.T) {
	got, err := ParseScope("contents:write pull-requests:read")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Permissions{"contents": Write, "pull_requests": Read}, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseScopeRefuses(t *testing.T) {
	const form = "separate the parts by one space: contents:write issues:read"
	for _, row := range []struct{ why, text, detail, hint string }{
		{"nothing", "", "'' is not of the form name:level", form},
		{"a name alone", "contents", "'contents' is not of the form name:level", form},
		{"two spaces", "contents:write  issues:read", "'' is not of the form name:level", form},
		{"a space at the end", "contents:write ", "'' is not of the form name:level", form},
		{"a second colon", "contents:write:read", "contents has no level 'write:read'", "contents accepts: read, write"},
		{"a name twice", "contents:write contents:read", "contents stands twice", "name each permission once"},
		{"a name twice in two spellings", "pull_requests:read pull-requests:read", "pull_requests stands twice", "name each permission once"},
	} {
		_, err := ParseScope(row.text)
		refused(t, row.why, err, row.detail, row.hint)
	}
}

func refused(t *testing.T, why string, err error, detail, hint string) {
	t.Helper()
	var p *problem.Problem
	if !errors.As(err, &p) {
		t.Errorf("%s: got %v; want a refusal", why, err)
		return
	}
	got := []string{string(p.Code), p.Detail, p.Hint}
	if diff := cmp.Diff([]string{string(problem.UnknownPermission), detail, hint}, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", why, diff)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"release", "deploy", "hotfix", "hotfux"}
	for _, row := range []struct{ why, misspelt, want string }{
		{"a letter missing", "relese", "release"},
		{"two letters swapped", "delpoy", "deploy"},
		{"half of it wrong", "reboots", ""},
		{"too short to guess from", "de", ""},
		{"nothing", "", ""},
		{"two words as near: the first in the alphabet", "hotfax", "hotfix"},
		{"far too long", strings.Repeat("release", 10), ""},
	} {
		if got := Nearest(row.misspelt, words); got != row.want {
			t.Errorf("%s: Nearest(%q) = %q; want %q", row.why, row.misspelt, got, row.want)
		}
	}
}

func FuzzParsePermission(f *testing.F) {
	for _, seed := range [][2]string{{"contents", "write"}, {"pull-requests", "read"}, {"contnts", "wirte"}, {"", ""}, {"\xff", "\x00"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, level string) {
		canonical, l, err := ParsePermission(name, level)
		if err != nil {
			if p := problem.From(err); p.Code != problem.UnknownPermission || len(p.Detail) > 300 {
				t.Fatalf("refused oddly: %v", err)
			}
			return
		}
		if !Valid(canonical, l) || l == None || l.String() != level {
			t.Fatalf("ParsePermission(%q, %q) = %q, %v, which is no permission", name, level, canonical, l)
		}
	})
}

func FuzzParseScope(f *testing.F) {
	for _, seed := range []string{"contents:write issues:read", "contents", " ", "a:b:c", "pull-requests:read pull_requests:read"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := ParseScope(text)
		if err != nil {
			return
		}
		again, err := ParseScope(parsed.String())
		if err != nil || !cmp.Equal(parsed, again) {
			t.Fatalf("%q reads as %v, which reads as %v, %v", text, parsed, again, err)
		}
	})
}
