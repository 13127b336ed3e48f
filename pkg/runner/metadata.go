package runner

import "strings"

// metadata is the action.yml of a container action.
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax
type metadata struct {
	inputs           []input
	entrypoint, post string
	postIf           condition
}

type input struct {
	name     string
	fallback template
	warning  string
}

func readMetadata(path string) (*metadata, error) {
	top, err := readDocument(path)
	if err != nil {
		return nil, err
	}
	return parseMetadata(top)
}

func parseMetadata(top node) (*metadata, error) {
	m := &metadata{postIf: always}
	runs := top
	err := top.fields(map[string]field{
		"name":        ignored,
		"author":      ignored,
		"description": ignored,
		"branding":    ignored,
		"outputs":     ignored,
		"inputs":      func(n node) error { return n.each(m.readInput) },
		"runs":        func(n node) error { runs = n; return m.readRuns(n) },
	})
	if err == nil && runs.Node == top.Node {
		err = top.errorf("`runs` is missing")
	}
	return m, err
}

func (m *metadata) readInput(key, value node) error {
	in := input{name: key.Value}
	err := value.fields(map[string]field{
		"description":        ignored,
		"required":           ignored, // GitHub doesn't check it either
		"default":            templated(&in.fallback),
		"deprecationMessage": text(&in.warning),
	})
	m.inputs = append(m.inputs, in)
	return err
}

func (m *metadata) readRuns(n node) error {
	var using, image string
	var withoutArgs = refused("args go to every phase alike, so main and post can't be told apart by them; use entrypoint and post-entrypoint")
	err := n.fields(map[string]field{
		"using":           text(&using),
		"image":           text(&image),
		"entrypoint":      text(&m.entrypoint),
		"post-entrypoint": text(&m.post),
		"post-if":         conditional(&m.postIf),
		"args":            withoutArgs,
	})
	if err != nil {
		return err
	}
	switch {
	case using != "docker":
		return n.errorf("runs.using: only docker actions are supported, got %q", using)
	case image == "":
		return n.errorf("runs.image is missing")
	case strings.ContainsAny(m.entrypoint+m.post, " \t\n"):
		return n.errorf("an entrypoint is one program, without arguments")
	}
	return nil
}

func (m *metadata) hasPost() bool { return m.post != "" }
