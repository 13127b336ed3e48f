package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxDepth is how deep a policy may nest; the grammar needs half of it.
const maxDepth = 16

// plainTags are those that YAML gives to values that carry none in the file.
var plainTags = []string{"!!map", "!!seq", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp"}

// document reads the one document of a policy file, in the small part of YAML
// that means the same to everybody: no anchors, aliases, tags or merge keys,
// and keys that are strings and stand once. It returns nil for an empty file.
func (r *reader) document(content []byte) *yaml.Node {
	if len(content) > MaxFileSize {
		r.add(start, "", "the file has %d bytes; a policy has at most %d", len(content), MaxFileSize)
		return nil
	}
	if !r.readable(content) {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(content), yaml.WithPlugin(depthLimit{}))
	if err != nil {
		r.add(start, "", "%v", err)
		return nil
	}
	var document, second yaml.Node
	if err := loader.Load(&document); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		r.unparsable(err)
		return nil
	}
	if err := loader.Load(&second); err == nil {
		r.fail(&second, "", "a second document starts here; a policy is one document")
	} else if !errors.Is(err, io.EOF) {
		r.unparsable(err)
	}
	root := document.Content[0]
	r.strict(root)
	if len(r.errs) > 0 || root.Tag == "!!null" {
		return nil
	}
	return root
}

// readable refuses what the parser would reject without saying where or take
// for another encoding, and what can show a person other lines than it reads.
func (r *reader) readable(content []byte) bool {
	line, column := 1, 1
	for at := 0; at < len(content); {
		c, size := utf8.DecodeRune(content[at:])
		switch {
		case c == utf8.RuneError && size == 1:
			r.add(spot{line, column}, "", "byte %#02x is not UTF-8; save the file as UTF-8", content[at])
			return false
		case c == '\n':
			line, column = line+1, 0
		case c == '\t', c == '\r' && bytes.HasPrefix(content[at:], []byte("\r\n")):
		case unicode.In(c, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control), c == '\ufeff':
			r.add(spot{line, column}, "", "the character U+%04X does not belong in a policy; remove it", c)
			return false
		}
		at, column = at+size, column+1
	}
	return true
}

func (r *reader) unparsable(err error) {
	var at *yaml.LoadError
	if !errors.As(err, &at) {
		r.add(start, "", "this is not YAML: %v", err)
		return
	}
	message := at.Message
	if at.ContextMsg != "" {
		message += " " + at.ContextMsg
	}
	r.add(spot{max(at.Mark.Line, 1), max(at.Mark.Column, 1)}, "", "this is not YAML: %s", message)
}

// strict refuses, all over the tree, what makes YAML mean more than it shows.
func (r *reader) strict(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.fail(n, "", "an alias (*%s) is not accepted; write the value out", n.Value)
		return
	case n.Anchor != "":
		r.fail(n, "", "an anchor (&%s) is not accepted; remove it", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0 || n.Tag != "!!merge" && !slices.Contains(plainTags, n.Tag):
		r.fail(n, "", "a tag (%s) is not accepted; remove it", n.Tag)
	}
	if n.Kind == yaml.MappingNode {
		r.strictKeys(n)
	}
	for _, child := range n.Content {
		r.strict(child)
	}
}

func (r *reader) strictKeys(mapping *yaml.Node) {
	first := map[string]*yaml.Node{}
	for i := 0; i < len(mapping.Content); i += 2 {
		key := mapping.Content[i]
		switch {
		case key.Tag == "!!merge":
			r.fail(key, "", "a merge key (<<) is not accepted; write the keys out")
			continue
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str":
			r.fail(key, "", "%s is not a key; keys are plain words", shown(key))
			continue
		}
		folded := strings.ToLower(key.Value)
		if before, twice := first[folded]; twice {
			r.fail(key, "", "the key %s stands in line %d already; each key stands once, in one spelling", key.Value, before.Line)
			continue
		}
		first[folded] = key
	}
}

// shown is a node as an error tells it.
func shown(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	const most = 64
	text := n.Value
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	if n.Tag == "!!str" {
		return fmt.Sprintf("%q", text)
	}
	return text
}

type depthLimit struct{}

func (depthLimit) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	return nil
}

func (depthLimit) CheckAlias(int, int) error { return nil }
