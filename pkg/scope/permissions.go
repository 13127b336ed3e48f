package scope

import (
	"maps"
	"slices"
	"strings"
)

// A Level is how far a permission goes. Levels are ordered: each includes those below it.
type Level uint8

// The levels GitHub knows. None is the zero value and never part of a valid set.
const (
	None Level = iota
	Read
	Write
	Admin
)

var levelNames = [...]string{"none", "read", "write", "admin"}

// String is GitHub's word for the level.
func (l Level) String() string { return levelNames[l] }

// MarshalText writes GitHub's word.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Permissions maps permission names as GitHub's API spells them
// (`pull_requests`) to levels. A name that is not there is [None].
type Permissions map[string]Level

// Within tells whether every permission of p is allowed by outer.
func (p Permissions) Within(outer Permissions) bool { return len(p.Beyond(outer)) == 0 }

// Beyond lists, sorted, the names at which p goes further than outer.
func (p Permissions) Beyond(outer Permissions) []string {
	var beyond []string
	for name, level := range p {
		if level > outer[name] {
			beyond = append(beyond, name)
		}
	}
	slices.Sort(beyond)
	return beyond
}

// Names lists the names, sorted.
func (p Permissions) Names() []string { return slices.Sorted(maps.Keys(p)) }

// Writes tells whether any permission goes beyond read.
func (p Permissions) Writes() bool {
	for _, level := range p {
		if level > Read {
			return true
		}
	}
	return false
}

// String lists `name:level`, sorted and separated by spaces: the form of an
// OAuth scope (RFC 6749 section 3.3).
func (p Permissions) String() string {
	parts := make([]string, 0, len(p))
	for _, name := range p.Names() {
		parts = append(parts, name+":"+p[name].String())
	}
	return strings.Join(parts, " ")
}
