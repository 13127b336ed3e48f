package action

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// metadata is action.yml.
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax
type metadata struct {
	Name, Description, Author string
	Branding                  struct{ Icon, Color string }
	Inputs                    map[string]struct {
		Description string
		Required    bool
		Default     *string
	}
	Outputs map[string]struct{ Description string }
	Runs    map[string]string
}

func readMetadata(t *testing.T) metadata {
	t.Helper()
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var m metadata
	if err := yaml.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestActionYMLListsTheInputsThatTheCodeReads(t *testing.T) {
	m := readMetadata(t)
	if diff := cmp.Diff(inputConstants(t), slices.Sorted(maps.Keys(m.Inputs))); diff != "" {
		t.Errorf("(-code +action.yml)\n%s", diff)
	}
	for name, input := range m.Inputs {
		if required := name == inputServer || name == inputGrant; input.Required != required {
			t.Errorf("%s: required is %v", name, input.Required)
		}
		if input.Default != nil || input.Description == "" {
			t.Errorf("%s has a default, which hides what was really asked, or no description", name)
		}
	}
}

// inputConstants are the values of the constants inputX of input.go.
func inputConstants(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), "input.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "input") {
			name, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			names = append(names, name)
		}
		return true
	})
	slices.Sort(names)
	return names
}

func TestActionYMLListsTheOutputsThatTheCodeWrites(t *testing.T) {
	written, err := outputs(answer())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range written {
		names = append(names, p.name)
	}
	slices.Sort(names)
	m := readMetadata(t)
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(m.Outputs))); diff != "" {
		t.Errorf("(-code +action.yml)\n%s", diff)
	}
	for name, output := range m.Outputs {
		if output.Description == "" {
			t.Errorf("%s has no description", name)
		}
	}
}

func TestActionYMLRunsTwoPhasesWithoutArguments(t *testing.T) {
	m := readMetadata(t)
	want := map[string]string{
		"using": "docker", "image": "Dockerfile",
		"entrypoint": "/curfew-main", "post-entrypoint": "/curfew-post", "post-if": "always()",
	}
	if diff := cmp.Diff(want, m.Runs); diff != "" {
		t.Error(diff)
	}
	if m.Name == "" || m.Description == "" || len(m.Description) > 125 || m.Author == "" || m.Branding.Icon != "lock" || m.Branding.Color == "" {
		t.Error("the Marketplace wants a name, a description of at most 125 characters, an author and branding")
	}
}
