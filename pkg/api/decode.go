package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const maxDepth = 8

// decode reads one JSON document and refuses what two readers could read in two
// ways: invalid UTF-8, a member that stands twice in whatever case, and anything
// behind the document. Members that v does not know are passed over (RFC 6749
// section 5.1).
func decode(body []byte, v any) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := unambiguous(d, maxDepth); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON document")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return errors.New("a member has another type") // the cause could repeat a secret
	}
	return nil
}

func unambiguous(d *json.Decoder, depth int) error {
	token, err := d.Token()
	if err != nil {
		return errors.New("it is not JSON")
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	if depth == 0 {
		return fmt.Errorf("its JSON is nested more than %d deep", maxDepth)
	}
	seen := map[string]bool{}
	for d.More() {
		if delim == '{' {
			if err := freshMember(d, seen); err != nil {
				return err
			}
		}
		if err := unambiguous(d, depth-1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("it is not JSON")
	}
	return nil
}

func freshMember(d *json.Decoder, seen map[string]bool) error {
	token, err := d.Token()
	name, isName := token.(string)
	if err != nil || !isName {
		return errors.New("it is not JSON")
	}
	folded := strings.ToLower(name)
	if seen[folded] {
		return errors.New("a member stands twice")
	}
	seen[folded] = true
	return nil
}
