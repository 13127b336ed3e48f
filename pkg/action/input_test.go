package action

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/scope"
)

func TestEachBadInputIsOneError(t *testing.T) {
	for name, row := range map[string]struct {
		input, value string
		wants        []string
	}{
		"no server":                   {"server", "", []string{"input server: got nothing", "the https address"}},
		"plain http":                  {"server", "http://curfew.example.com", []string{`got "http://curfew.example.com"`, "must be https"}},
		"a server with a path":        {"server", "https://curfew.example.com/v1", []string{"scheme, host and port alone"}},
		"no grant":                    {"grant", "", []string{"input grant: got nothing", "the name of a grant"}},
		"a grant in capitals":         {"grant", "Release", []string{`got "Release"`}},
		"a grant that starts with 1":  {"grant", "1release", []string{`got "1release"`}},
		"an owner with a slash":       {"owner", "acme/web", []string{"input owner", "one organisation or user"}},
		"another owner's repository":  {"repositories", "evil/web", []string{`got "evil/web"`, "repositories of acme"}},
		"a repository with a space":   {"repositories", "web api", []string{`got "web api"`, "separated by commas"}},
		"a repository called ..":      {"repositories", "..", []string{`got ".."`}},
		"none among others":           {"repositories", "web, none", []string{`got "none"`, "none alone"}},
		"another owner, nothing more": {"owner", "other", []string{"input repositories: got nothing", "repositories of other"}},
		"501 repositories":            {"repositories", many(501), []string{"500 repositories at most"}},
		"a misspelt permission":       {"permissions", "contnets: write", []string{`got "contnets: write"`, "did you mean contents"}},
		"a level that is none":        {"permissions", "contents: own", []string{`got "contents: own"`, "contents accepts: read, write"}},
		"a permission twice":          {"permissions", "pull-requests: read\npull_requests: write", []string{"stands twice"}},
		"a YAML list":                 {"permissions", "- contents", []string{`got "- contents"`, "name: level"}},
		"an empty map":                {"permissions", "{}", []string{`got "{}"`, "leave it out"}},
		"write-all":                   {"permissions", "write-all", []string{`got "write-all"`, "name: level"}},
		"a user's permission":         {"permissions", "profile: write", []string{"can't be part of an installation token"}},
		"two hours":                   {"duration", "2h", []string{`input duration: got "2h"`, "from 5s to 1h"}},
		"four seconds":                {"duration", "4s", []string{`got "4s"`}},
		"a second more than an hour":  {"duration", "1h1s", []string{`got "1h1s"`}},
		"half a second":               {"duration", "5500ms", []string{"whole seconds"}},
		"a number without a unit":     {"duration", "900", []string{`got "900"`, "such as 15m"}},
		"less than nothing":           {"duration", "-5m", []string{`got "-5m"`}},
		"an endless reason":           {"reason", strings.Repeat("x", 1025), []string{"input reason", "1024 bytes"}},
		"a certificate that is none":  {"ca-certificate", "hello", []string{"input ca-certificate", "PEM"}},
		"a variable of GitHub":        {"export-env", "GITHUB_TOKEN", []string{`got "GITHUB_TOKEN"`, "such as GH_TOKEN"}},
		"a variable of the runner":    {"export-env", "GH_TOKEN\nrunner_tool", []string{`got "runner_tool"`}},
		"a variable with a heredoc":   {"export-env", "A<<B", []string{`got "A<<B"`}},
		"Node's options":              {"export-env", "NODE_OPTIONS", []string{`got "NODE_OPTIONS"`}},
		"a command in a value":        {"duration", "1\n::stop-commands::x\n##[error]x%0A", []string{`got "1\n::stop-commands::x\n# #[error]x%250A"`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.env["INPUT_"+strings.ToUpper(row.input)] = row.value
			if code := s.main(); code != 1 || s.errorsShown() != 1 {
				t.Errorf("exit %d:\n%s", code, s.out.String())
			}
			s.wants(row.wants...)
			if s.tokens > 0 || len(s.asked) > 0 {
				t.Error("somebody is asked for something")
			}
			if lines := strings.Count(s.out.String(), "\n"); lines != 1 {
				t.Errorf("%d lines:\n%s", lines, s.out.String())
			}
			s.post()
			if s.tokens > 0 || len(s.ended) > 0 {
				t.Error("post asks to end what was never opened")
			}
		})
	}
}

func many(n int) string {
	var names []string
	for i := range n {
		names = append(names, "r"+strings.Repeat("x", i%90)+string(rune('a'+i/90)))
	}
	return strings.Join(names, ",")
}

func TestAllBadInputsAreToldAtOnce(t *testing.T) {
	s := newStage(t)
	s.env["INPUT_SERVER"], s.env["INPUT_GRANT"], s.env["INPUT_DURATION"] = "", "", "2h"
	if code := s.main(); code != 1 || s.errorsShown() != 3 {
		t.Errorf("exit %d:\n%s", code, s.out.String())
	}
}

func TestPermissionsAreReadInTheFormsPeopleWrite(t *testing.T) {
	want := scope.Permissions{"contents": scope.Write, "pull_requests": scope.Read}
	for name, text := range map[string]string{
		"lines":               "contents: write\npull_requests: read\n",
		"hyphens":             "contents: write\npull-requests: read",
		"Windows line ends":   "contents: write\r\npull-requests: read\r\n",
		"indented, with gaps": "\n  contents:   write\n\n  pull-requests: read\n",
		"comments":            "# for tags\ncontents: write # and releases\npull-requests: read",
		"no space":            "contents:write\npull-requests:read",
		"a flow map":          "{ contents: write, pull-requests: read }",
		"a flow map of lines": "{\n  contents: write,\n  pull-requests: read,\n}",
		"JSON":                `{"contents":"write","pull_requests":"read"}`,
		"quotes":              "'contents': \"write\"\npull-requests: 'read'",
	} {
		got, err := parsePermissions(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestPermissionsRefuseWhatElseYAMLKnows(t *testing.T) {
	for name, text := range map[string]string{
		"an anchor":       "contents: &a write",
		"an alias":        "contents: *a",
		"a tag":           "contents: !!str write",
		"a merge key":     "<<: *defaults",
		"a document":      "---\ncontents: write",
		"nested maps":     "{contents: {a: write}}",
		"an open brace":   "{contents: write",
		"a closing brace": "contents: write}",
		"an unequal pair": `contents: "write'`,
		"no level":        "contents:",
		"no name":         ": write",
		"capitals":        "Contents: write",
		"two on a line":   "contents: write, issues: read",
	} {
		if got, err := parsePermissions(text); err == nil {
			t.Errorf("%s is read as %v", name, got)
		}
	}
}

func FuzzPermissions(f *testing.F) {
	for _, seed := range []string{"contents: write", "{a: b, c: d}", "# x", "'contents': \"read\"", "{\"issues\":\"read\"}", "a:b:c", "{,}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		permissions, err := parsePermissions(text)
		if err != nil {
			return
		}
		if len(permissions) == 0 {
			t.Error("nothing is read as something")
		}
		for name, level := range permissions {
			if !scope.Valid(name, level) {
				t.Errorf("%s:%s is taken", name, level)
			}
		}
		if again, err := scope.ParseScope(permissions.String()); err != nil || !cmp.Equal(again, permissions) {
			t.Errorf("%v does not survive the wire: %v", permissions, err)
		}
	})
}
