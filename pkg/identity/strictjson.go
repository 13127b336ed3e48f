package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth      = 8
	maxMembers    = 64
	maxString     = 1 << 10
	maxLongString = 4 << 10
)

// An object is a JSON object that has one reading only. Its values are string,
// json.Number, bool, nil, []any and object.
type object struct {
	names   []string // in the order of the text, so that the same bytes give the same refusal
	members map[string]any
}

// parseObject reads a JSON text whose every parser must agree on: UTF-8, no
// member twice in one object (not even in another case, which encoding/json
// would fold together), no trailing text, and bounded (RFC 8259 section 4,
// RFC 7493 section 2.3). limit gives the longest string, in bytes, that a
// member of the outermost object may hold.
func parseObject(text []byte, limit func(member string) int) (object, error) {
	if !utf8.Valid(text) {
		return object{}, errors.New("is not UTF-8")
	}
	if !json.Valid(text) {
		return object{}, errors.New("is not JSON")
	}
	p := strictParser{dec: json.NewDecoder(bytes.NewReader(text)), limit: limit}
	p.dec.UseNumber()
	v, err := p.value(0, "")
	if err != nil {
		return object{}, err
	}
	o, ok := v.(object)
	if !ok {
		return object{}, errors.New("is not a JSON object")
	}
	return o, nil
}

// sameLimit bounds every string alike.
func sameLimit(string) int { return maxString }

type strictParser struct {
	dec   *json.Decoder
	limit func(member string) int
}

// value reads the next value; top is the outermost member that it belongs to.
func (p *strictParser) value(depth int, top string) (any, error) {
	token, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, fmt.Errorf("is nested deeper than %d levels", maxDepth)
		}
		if t == '[' {
			return p.array(depth+1, top)
		}
		return p.object(depth+1, top)
	case string:
		return t, checkString(t, p.limit(top))
	}
	return token, nil
}

func (p *strictParser) object(depth int, top string) (any, error) {
	o := object{members: make(map[string]any, maxMembers)}
	seen := make(map[string]bool, maxMembers)
	for p.dec.More() {
		token, err := p.dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, errors.New("is not JSON")
		}
		if err := checkString(name, maxString); err != nil {
			return nil, err
		}
		if _, twice := o.members[name]; twice {
			return nil, fmt.Errorf("has the member %q twice", clip(name))
		}
		if seen[fold(name)] {
			return nil, fmt.Errorf("has the member %q twice, in another case", clip(name))
		}
		if len(o.names) == maxMembers {
			return nil, fmt.Errorf("has an object of more than %d members", maxMembers)
		}
		if depth == 1 {
			top = name
		}
		v, err := p.value(depth, top)
		if err != nil {
			return nil, err
		}
		seen[fold(name)] = true
		o.names = append(o.names, name)
		o.members[name] = v
	}
	_, err := p.dec.Token()
	return o, err
}

func (p *strictParser) array(depth int, top string) (any, error) {
	list := []any{}
	for p.dec.More() {
		v, err := p.value(depth, top)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := p.dec.Token()
	return list, err
}

// checkString refuses what stores and logs would not give back as it was: a
// NUL, and U+FFFD, which is also what the decoder makes of half a surrogate pair.
func checkString(s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("has a string of more than %d bytes", limit)
	}
	if strings.ContainsAny(s, "\x00\ufffd") {
		return errors.New("has a string with U+0000, U+FFFD or a lone surrogate")
	}
	return nil
}

// fold maps names that encoding/json would take for the same to one; upper
// case first, because U+017F and U+212A only meet s and k on that way.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// clip keeps what a stranger wrote short enough to repeat.
func clip(s string) string {
	const most = 48
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
