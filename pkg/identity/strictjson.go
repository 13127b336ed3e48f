package identity

import (
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

// An object is a JSON object that has one reading only. Its members stand in
// the order of the text, so that the same bytes always meet the same refusal.
type object []member

// A member's value is a string, json.Number, bool, nil, []any or object.
type member struct {
	name  string
	value any
}

func (o object) get(name string) (value any, present bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// text returns a member that is a string, else "".
func (o object) text(name string) string {
	value, _ := o.get(name)
	s, _ := value.(string)
	return s
}

// parseObject reads a JSON text whose every parser must agree on: UTF-8, no
// member twice in one object (not even in another case, which encoding/json
// would fold together), no trailing text, and bounded (RFC 8259 section 4,
// RFC 7493 section 2.3). limit gives the longest string, in bytes, that a
// member of the outermost object may hold.
func parseObject(text []byte, limit func(member string) int) (object, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not UTF-8")
	}
	if !json.Valid(text) {
		return nil, errors.New("is not JSON")
	}
	r := strictReader{text: string(text), limit: limit}
	if r.next() != '{' {
		return nil, errors.New("is not a JSON object")
	}
	return r.object(1, "")
}

// sameLimit bounds every string alike.
func sameLimit(string) int { return maxString }

// A strictReader walks over a text that is known to be JSON, and so never
// meets its end where something must follow.
type strictReader struct {
	text  string
	at    int
	limit func(member string) int
}

// next skips space and returns the character that follows, without passing it.
func (r *strictReader) next() byte {
	for {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
}

// value reads what follows; top is the outermost member that it belongs to.
func (r *strictReader) value(depth int, top string) (any, error) {
	switch c := r.next(); {
	case c == '"':
		return r.quoted(r.limit(top))
	case (c == '{' || c == '[') && depth == maxDepth:
		return nil, fmt.Errorf("is nested deeper than %d levels", maxDepth)
	case c == '{':
		return r.object(depth+1, top)
	case c == '[':
		return r.array(depth+1, top)
	}
	start := r.at
	r.at += strings.IndexAny(r.text[start:], ",]} \t\r\n")
	switch word := r.text[start:r.at]; word {
	case "null":
		return nil, nil
	case "true", "false":
		return word == "true", nil
	default:
		return json.Number(word), nil
	}
}

func (r *strictReader) object(depth int, top string) (object, error) {
	o := object{}
	for r.at++; r.next() != '}'; {
		if r.next() == ',' {
			r.at++
			r.next()
		}
		name, err := r.quoted(maxString)
		if err != nil {
			return nil, err
		}
		if err := o.mayTake(name); err != nil {
			return nil, err
		}
		if depth == 1 {
			top = name
		}
		r.next()
		r.at++ // the colon
		v, err := r.value(depth, top)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, v})
	}
	r.at++
	return o, nil
}

// mayTake refuses a name that is in o already, in whatever case.
func (o object) mayTake(name string) error {
	if len(o) == maxMembers {
		return fmt.Errorf("has an object of more than %d members", maxMembers)
	}
	for _, m := range o {
		if m.name == name {
			return fmt.Errorf("has the member '%s' twice", clip(name))
		}
		if strings.EqualFold(m.name, name) {
			return fmt.Errorf("has the member '%s' twice, in another case", clip(name))
		}
	}
	return nil
}

func (r *strictReader) array(depth int, top string) ([]any, error) {
	list := []any{}
	for r.at++; r.next() != ']'; {
		if r.next() == ',' {
			r.at++
		}
		v, err := r.value(depth, top)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	r.at++
	return list, nil
}

// quoted reads a string of at most limit bytes. It refuses what stores and logs
// would not give back as it was: a NUL, and U+FFFD, which is also what the
// decoder makes of half a surrogate pair.
func (r *strictReader) quoted(limit int) (string, error) {
	start, escaped := r.at, false
	for r.at++; r.text[r.at] != '"'; r.at++ {
		if r.text[r.at] == '\\' {
			escaped = true
			r.at++
		}
	}
	r.at++
	s := r.text[start+1 : r.at-1]
	if escaped {
		if err := json.Unmarshal([]byte(r.text[start:r.at]), &s); err != nil {
			return "", err
		}
	}
	if len(s) > limit {
		return "", fmt.Errorf("has a string of more than %d bytes", limit)
	}
	if strings.ContainsAny(s, "\x00\ufffd") {
		return "", errors.New("has a string with U+0000, U+FFFD or a lone surrogate")
	}
	return s, nil
}

// clip keeps what a stranger wrote short enough to repeat.
func clip(s string) string {
	const most = 48
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
