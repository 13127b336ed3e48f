package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/curfew-dev/curfew/pkg/scope"
)

// A reader takes values out of YAML nodes. It collects mistakes instead of
// stopping at the first, and remembers where each field stands.
type reader struct {
	path  string
	errs  Errors
	spots map[string]spot
}

// A spot is a place in a file; line and column count from 1.
type spot struct{ line, column int }

var start = spot{1, 1}

func spotOf(n *yaml.Node) spot { return spot{max(n.Line, 1), max(n.Column, 1)} }

// keys are those that a mapping may have.
type keys struct {
	read     fields
	required []string
	refused  map[string]string // keys that have no place here, and why
}

// fields says how the value of each key is read.
type fields map[string]func(value *yaml.Node, at string)

// mostErrors bounds what a file full of mistakes can make a log hold.
const mostErrors = 100

func (r *reader) add(at spot, field, format string, args ...any) {
	if len(r.errs) == mostErrors {
		return
	}
	r.errs = append(r.errs, Error{r.path, at.line, at.column, field, fmt.Sprintf(format, args...)})
}

func (r *reader) fail(n *yaml.Node, field, format string, args ...any) {
	r.add(spotOf(n), field, format, args...)
}

// mapping reads the values of a mapping in the order of the file, and complains
// of keys that it does not know and of those that are missing.
func (r *reader) mapping(n *yaml.Node, at string, known keys) {
	seen := map[string]bool{}
	r.entries(n, at, func(key, value *yaml.Node) {
		field := join(at, key.Value)
		if why, refused := known.refused[key.Value]; refused {
			r.fail(key, field, "%s; take it out", why)
		} else if read, ok := known.read[key.Value]; ok {
			seen[key.Value] = true
			r.spots[field] = spotOf(key)
			read(value, field)
		} else {
			r.unknown(key, at, known.read)
		}
	})
	if n.Kind != yaml.MappingNode {
		return
	}
	for _, key := range known.required {
		if !seen[key] {
			r.fail(n, at, "%s is missing", key)
		}
	}
}

// written tells whether the file has the field, be its value right or wrong.
func (r *reader) written(field string) bool {
	_, ok := r.spots[field]
	return ok
}

func (r *reader) entries(n *yaml.Node, at string, read func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, at, "got %s; a mapping of keys to values is meant", shown(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		read(n.Content[i], n.Content[i+1])
	}
}

func (r *reader) unknown(key *yaml.Node, at string, known fields) {
	names := slices.Sorted(maps.Keys(known))
	advice := "accepted are " + strings.Join(names, ", ")
	if near := scope.Nearest(strings.ToLower(key.Value), names); near != "" {
		advice = "did you mean " + near + "?"
	}
	r.fail(key, at, "%s is not a key here; %s", shown(key), advice)
}

// list reads the items of a list that has at least one and at most `most`.
func (r *reader) list(n *yaml.Node, at string, most int, read func(item *yaml.Node, at string)) {
	switch {
	case n.Kind != yaml.SequenceNode:
		r.fail(n, at, "got %s; a list is meant: put it in [ ]", shown(n))
		return
	case len(n.Content) == 0:
		r.fail(n, at, "the list is empty; name at least one")
		return
	case len(n.Content) > most:
		r.fail(n, at, "the list has %d items; at most %d are accepted", len(n.Content), most)
		return
	}
	for i, item := range n.Content {
		place := fmt.Sprintf("%s[%d]", at, i)
		r.spots[place] = spotOf(item)
		read(item, place)
	}
}

// ambiguous words are strings to YAML 1.2 and booleans to many of its readers.
var ambiguous = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off)$`)

// text reads a string that is meant as one.
func (r *reader) text(n *yaml.Node, at string) string {
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case n.Kind != yaml.ScalarNode:
		r.fail(n, at, "got %s; a string is meant", shown(n))
	case n.Tag == "!!null":
		r.fail(n, at, "is empty; give it a value, or take the key out")
	case n.Tag != "!!str", !quoted && ambiguous.MatchString(n.Value):
		r.fail(n, at, "got %s, which is not a string to every reader of YAML; quote it: %q", n.Value, n.Value)
	case strings.TrimSpace(n.Value) == "":
		r.fail(n, at, "is blank; give it a value")
	default:
		return n.Value
	}
	return ""
}

// form is what a string must look like, and the words that say so.
type form struct {
	pattern *regexp.Regexp
	meant   string
}

func (r *reader) formed(n *yaml.Node, at string, f form) string {
	text := r.text(n, at)
	if text != "" && !f.pattern.MatchString(text) {
		r.fail(n, at, "got %s; %s", shown(n), f.meant)
		return ""
	}
	return text
}

func (r *reader) choice(n *yaml.Node, at string, accepted ...string) string {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || !slices.Contains(accepted, n.Value) {
		r.fail(n, at, "got %s; accepted are %s", shown(n), strings.Join(accepted, ", "))
		return ""
	}
	return n.Value
}

func (r *reader) boolean(n *yaml.Node, at string) bool {
	if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" || n.Tag != "!!bool" {
		r.fail(n, at, "got %s; write true or false", shown(n))
		return false
	}
	return n.Value == "true"
}

var decimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,18})$`)

func (r *reader) number(n *yaml.Node, at string, least, most int64) int64 {
	value, err := strconv.ParseInt(n.Value, 10, 64)
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag != "!!int" || !decimal.MatchString(n.Value) || err != nil:
		r.fail(n, at, "got %s; a whole number in digits is meant, without quotes", shown(n))
		return 0
	case value < least || value > most:
		r.fail(n, at, "got %d; accepted are %d to %d", value, least, most)
		return 0
	}
	return value
}

func (r *reader) duration(n *yaml.Node, at string) time.Duration {
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float") {
		r.fail(n, at, "got %s; a duration has a unit, such as 90s, 15m or 1h", n.Value)
		return 0
	}
	text := r.text(n, at)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil || d%time.Second != 0:
		r.fail(n, at, "got %s; write a duration in whole seconds, such as 90s, 15m or 1h", shown(n))
		return 0
	case d < MinDuration || d > MaxDuration:
		r.fail(n, at, "got %s; accepted are 5s to 1h", shown(n))
		return 0
	}
	return d
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}
