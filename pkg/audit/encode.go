package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/curfew-dev/curfew/pkg/scope"
)

// MaxRecord bounds an encoded record in bytes. It leaves room for a scope of
// [scope.MaxRepositories] repositories with the longest names GitHub allows, asked for and allowed.
const MaxRecord = 256 << 10

// Encode writes the record as one line of JSON without the line's end. Equal
// records give equal bytes: members in fixed order, map keys sorted, times in
// UTC. It fails for text that is not valid UTF-8 and for more than [MaxRecord] bytes.
func (r Record) Encode() ([]byte, error) {
	r.Time = r.Time.UTC()
	if r.ExpiresAt != nil {
		utc := r.ExpiresAt.UTC()
		r.ExpiresAt = &utc
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("encode the %s record: %w", r.Event, err)
	}
	encoded := bytes.TrimSuffix(line.Bytes(), []byte("\n"))
	if len(encoded) > MaxRecord {
		return nil, fmt.Errorf("the %s record has %d bytes, more than %d", r.Event, len(encoded), MaxRecord)
	}
	if replaced(encoded) {
		return nil, fmt.Errorf("the %s record holds text that is not UTF-8", r.Event)
	}
	return encoded, nil
}

// replaced tells whether encoding/json replaced bytes that are not UTF-8. It
// writes them as the escape \ufffd, but a U+FFFD that was really there as itself.
func replaced(encoded []byte) bool {
	escape := []byte(`\ufffd`)
	for rest := encoded; ; {
		i := bytes.Index(rest, escape)
		if i < 0 {
			return false
		}
		before := rest[:i]
		slashes := len(before) - len(bytes.TrimRight(before, `\`))
		if slashes%2 == 0 {
			return true
		}
		rest = rest[i+len(escape):]
	}
}

// Decode reads what [Record.Encode] wrote, and nothing else: unknown, doubled or
// reordered members, other spacing and other spellings of the same record fail.
func Decode(line []byte) (Record, error) {
	if len(line) > MaxRecord {
		return Record{}, fmt.Errorf("the record has %d bytes, more than %d", len(line), MaxRecord)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var w wire
	if err := dec.Decode(&w); err != nil {
		return Record{}, fmt.Errorf("decode a record: %w", err)
	}
	r := w.record()
	canonical, err := r.Encode()
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(canonical, line) {
		return Record{}, errors.New("the record is not in its canonical form")
	}
	return r, nil
}

// wire reads the three members of a Record that hold permission levels, which package scope can only write.
type wire struct {
	Record
	Requested *struct {
		Request
		Permissions levels `json:"permissions"`
	} `json:"requested"`
	Allowed *wireScope `json:"allowed"`
	Granted *wireScope `json:"granted"`
}

type wireScope struct {
	scope.Scope
	Permissions levels `json:"permissions"`
}

func (w wire) record() Record {
	r := w.Record
	if w.Requested != nil {
		r.Requested = &w.Requested.Request
		r.Requested.Permissions = w.Requested.Permissions.permissions()
	}
	r.Allowed, r.Granted = w.Allowed.scope(), w.Granted.scope()
	return r
}

func (w *wireScope) scope() *scope.Scope {
	if w == nil {
		return nil
	}
	w.Scope.Permissions = w.Permissions.permissions()
	return &w.Scope
}

type levels map[string]level

func (l levels) permissions() scope.Permissions {
	if l == nil {
		return nil
	}
	p := make(scope.Permissions, len(l))
	for name, level := range l {
		p[name] = scope.Level(level)
	}
	return p
}

type level scope.Level

// UnmarshalText reads GitHub's word for a level.
func (l *level) UnmarshalText(text []byte) error {
	for known := scope.None; known <= scope.Admin; known++ {
		if known.String() == string(text) {
			*l = level(known)
			return nil
		}
	}
	return fmt.Errorf("there is no level %q", text)
}
