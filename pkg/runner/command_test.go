package runner

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWorkflowCommands(t *testing.T) {
	type properties = map[string]string
	found := func(name string, p properties, message string) *command { return &command{name, p, message} }
	for _, row := range []struct {
		why, line string
		want      *command
	}{
		{"a command starts the line", "::error::no", found("error", properties{}, "no")},
		{"spaces and tabs before it don't count", " \t::error::no", found("error", properties{}, "no")},
		{"text before it makes it text", "x ::error::no", nil},
		{"it needs the second ::", "::error no", nil},
		{"an unknown name is text", "::erorr::no", nil},
		{"a name has no case", "::ERROR::no", found("error", properties{}, "no")},
		{"properties follow the name", "::error title=a b,file=c::no", found("error", properties{"title": "a b", "file": "c"}, "no")},
		{"an empty property counts for nothing", "::error title=,=x,,y::no", found("error", properties{}, "no")},
		{"a message is decoded", "::error::1%0A2%0D3%254%3A", found("error", properties{}, "1\n2\r3%4%3A")},
		{"it is decoded once", "::error::%250A", found("error", properties{}, "%0A")},
		{"lower-case escapes are text", "::error::%0a", found("error", properties{}, "%0a")},
		{"a property is decoded with colon and comma", "::error title=1%2C2%3A3%0A::no", found("error", properties{"title": "1,2:3\n"}, "no")},
		{"a message may hold ::", "::error::a::b", found("error", properties{}, "a::b")},
		{"the legacy form starts anywhere", "ok ##[error]no", found("error", properties{}, "no")},
		{"the legacy form has its own escapes", "##[error title=1%3B2;file=c]a%5D%0Ab", found("error", properties{"title": "1;2", "file": "c"}, "a]\nb")},
		{"an unknown name leaves the line to the legacy form", "::x::##[error]no", found("error", properties{}, "no")},
		{"an unknown legacy name is text", "##[x]no", nil},
		{"the legacy form needs its bracket", "##[error no", nil},
		{"only its first place counts", "##[x] ##[error]no", nil},
		{"nothing is nothing", "", nil},
	} {
		t.Run(row.why, func(t *testing.T) {
			c, ok := parseCommand(row.line, isCommand)
			if ok != (row.want != nil) {
				t.Fatalf("found %v in %q", ok, row.line)
			}
			if ok {
				if diff := cmp.Diff(*row.want, c, cmp.AllowUnexported(command{})); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func isCommand(name string) bool { return slices.Contains(commands, name) }

// FuzzWorkflowCommands holds that any line is read without a panic, that only known
// commands come out, and that what is encoded as GitHub's toolkit does comes back.
func FuzzWorkflowCommands(f *testing.F) {
	for _, seed := range []string{"", "::error::x", "::error title=a,b=c::x%0A", "x ##[warning a=b;c=d]y%5D", "::::", "##[]", "##[error", "::add-mask::%25"} {
		f.Add(seed)
	}
	message := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	f.Fuzz(func(t *testing.T, line string) {
		if c, ok := parseCommand(line, isCommand); ok && !isCommand(c.name) {
			t.Errorf("%q is no command", c.name)
		}
		if strings.TrimSpace(line) != line || line == "" {
			t.Skip("spaces around a property are not kept")
		}
		c, ok := parseCommand("::error title="+property.Replace(line)+"::"+message.Replace(line), isCommand)
		if !ok || c.message != line || c.properties["title"] != line {
			t.Errorf("%q came back as %+v", line, c)
		}
	})
}
