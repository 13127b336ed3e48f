package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxDocument bounds a workflow or metadata file; GitHub's own limit for a workflow is 500 KiB.
const maxDocument = 512 << 10

// A node is a place in a YAML file that knows the file's path, so that every
// complaint can say file:line:column.
type node struct {
	*yaml.Node
	path string
}

// A field reads the value of one key.
type field func(node) error

// readDocument reads the one document of a YAML file.
func readDocument(path string) (node, error) {
	f, err := os.Open(path)
	if err != nil {
		return node{}, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return node{}, err
	}
	return parseDocument(path, text)
}

func parseDocument(path string, text []byte) (node, error) {
	top := node{&yaml.Node{Line: 1, Column: 1}, path}
	if len(text) > maxDocument {
		return top, top.errorf("the file is larger than %d bytes", maxDocument)
	}
	var document yaml.Node
	if err := yaml.Load(text, &document); err != nil {
		return top, syntaxError(top, err)
	}
	if len(document.Content) != 1 {
		return top, top.errorf("the file is empty")
	}
	return node{document.Content[0], path}, nil
}

func syntaxError(top node, err error) error {
	if bad, ok := errors.AsType[*yaml.LoadError](err); ok {
		top.Line, top.Column = max(bad.Mark.Line, 1), max(bad.Mark.Column, 1)
		return top.errorf("%s", strings.TrimPrefix(bad.Message, "yaml: "))
	}
	return top.errorf("%v", err)
}

// errorf makes an error that says where in the file it was decided.
func (n node) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", n.path, n.Line, n.Column, fmt.Sprintf(format, args...))
}

// fields reads a mapping strictly: a key that isn't in known, or comes twice, is an error.
func (n node) fields(known map[string]field) error {
	return n.each(func(key, value node) error {
		read, ok := known[key.Value]
		if !ok {
			return key.errorf("%q is not known here, or not supported by this runner", key.Value)
		}
		return read(value)
	})
}

// each visits the pairs of a mapping in order. Nothing at all counts as an empty mapping.
func (n node) each(visit func(key, value node) error) error {
	if n.absent() {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return n.errorf("expected a mapping")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := node{n.Content[i], n.path}, node{n.Content[i+1], n.path}
		name, err := key.scalar()
		if err != nil {
			return err
		}
		if seen[name] {
			return key.errorf("%q is given twice", name)
		}
		seen[name] = true
		if err := visit(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (n node) items() ([]node, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, n.errorf("expected a list")
	}
	list := make([]node, len(n.Content))
	for i, item := range n.Content {
		list[i] = node{item, n.path}
	}
	return list, nil
}

func (n node) absent() bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// scalar returns a scalar as it is written, as GitHub does with numbers and booleans.
func (n node) scalar() (string, error) {
	if n.Kind == yaml.AliasNode {
		return "", n.errorf("anchors and aliases are not supported by this runner")
	}
	if n.Kind != yaml.ScalarNode {
		return "", n.errorf("expected a single value")
	}
	if n.absent() {
		return "", nil
	}
	return n.Value, nil
}

func ignored(node) error { return nil }

func refused(why string) field {
	return func(n node) error { return n.errorf("%s", why) }
}

func text(into *string) field {
	return func(n node) (err error) {
		*into, err = n.scalar()
		return err
	}
}

func flag(into *bool) field {
	return func(n node) error {
		value, err := n.scalar()
		if err != nil {
			return err
		}
		if value != "true" && value != "false" {
			return n.errorf("expected true or false, got %q", value)
		}
		*into = value == "true"
		return nil
	}
}

func minutes(into *int) field {
	return func(n node) error {
		value, err := n.scalar()
		if err != nil {
			return err
		}
		count, err := strconv.Atoi(value)
		if err != nil || count < 1 || count > 24*60 {
			return n.errorf("expected a number of minutes from 1 to 1440, got %q", value)
		}
		*into = count
		return nil
	}
}

func templated(into *template) field {
	return func(n node) error {
		value, err := n.scalar()
		if err != nil {
			return err
		}
		parsed, err := parseTemplate(value)
		if err != nil {
			return n.errorf("%v", err)
		}
		*into = parsed
		return nil
	}
}

func conditional(into *condition) field {
	return func(n node) error {
		value, err := n.scalar()
		if err != nil {
			return err
		}
		parsed, err := parseCondition(value)
		if err != nil {
			return n.errorf("%v", err)
		}
		*into = parsed
		return nil
	}
}

// A setting is a named template, as in `env`, `with` and `outputs`.
type setting struct {
	name  string
	value template
}

func settings(into *[]setting) field {
	return func(n node) error {
		return n.each(func(key, value node) error {
			s := setting{name: key.Value}
			err := templated(&s.value)(value)
			*into = append(*into, s)
			return err
		})
	}
}
