package identity

import (
	"encoding/base64"
	"strings"

	"github.com/curfew-dev/curfew/pkg/problem"
)

const (
	maxToken = 16 << 10
	maxKeyID = 128
)

// A compactToken is a JWS in compact serialization (RFC 7515 section 7.1) in
// its only spelling, opened but not verified.
type compactToken struct {
	raw     string
	kid     string
	payload []byte
}

// openToken takes a token apart. Verifiers also read JSON serializations,
// embedded newlines and sloppy last characters, so that one token has several
// spellings; this takes one.
func openToken(raw string) (compactToken, error) {
	if len(raw) > maxToken {
		return compactToken{}, problem.New(problem.TooLarge, "the token is longer than %d bytes", maxToken)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return compactToken{}, problem.New(problem.Malformed,
			"the token has %d parts; a JWT in compact form has three, joined by dots", len(parts))
	}
	var decoded [3][]byte
	for i, name := range []string{"header", "payload", "signature"} {
		b, err := decodePart(name, parts[i])
		if err != nil {
			return compactToken{}, err
		}
		decoded[i] = b
	}
	kid, err := readHeader(decoded[0])
	if err != nil {
		return compactToken{}, err
	}
	return compactToken{raw: raw, kid: kid, payload: decoded[1]}, nil
}

// decodePart reverses base64url without padding (RFC 7515 section 2). The
// alphabet is checked apart because Go's decoder skips line ends.
func decodePart(name, part string) ([]byte, error) {
	if part == "" {
		return nil, problem.New(problem.Malformed, "the token's %s is empty", name)
	}
	if !inAlphabet(part) {
		return nil, problem.New(problem.Malformed, "the token's %s has a character other than A-Z a-z 0-9 - _", name)
	}
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, problem.New(problem.Malformed, "the token's %s is not base64url", name).WithCause(err)
	}
	if base64.RawURLEncoding.EncodeToString(b) != part {
		return nil, problem.New(problem.Malformed, "the token's %s does not encode back to the same characters", name)
	}
	return b, nil
}

// inAlphabet tells whether s holds only characters of base64url.
func inAlphabet(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// readHeader returns the key id of a JWS header. It takes the four members
// that GitHub sends and nothing else, so crit, jwk, jku, b64 and zip are refused unread.
func readHeader(text []byte) (kid string, err error) {
	header, err := parseObject(text, sameLimit)
	if err != nil {
		return "", problem.New(problem.Malformed, "the token's header %v", err)
	}
	for _, m := range header {
		switch m.name {
		case "alg", "kid", "typ", "x5t":
		default:
			return "", problem.New(problem.Malformed, "the token's header has the member '%s'; alg, kid, typ and x5t are accepted", clip(m.name))
		}
		if _, ok := m.value.(string); !ok {
			return "", problem.New(problem.Malformed, "the token's header has a %s that is not a string", m.name)
		}
	}
	if header.text("alg") != "RS256" {
		return "", problem.New(problem.Malformed, "the token's alg must be RS256")
	}
	if typ, present := header.get("typ"); present && typ != "JWT" {
		return "", problem.New(problem.Malformed, "the token's typ must be JWT or absent")
	}
	return readKeyID(header)
}

func readKeyID(header object) (string, error) {
	kid := header.text("kid")
	if _, present := header.get("kid"); !present {
		return "", problem.New(problem.Malformed, "the token names no key: kid is absent")
	}
	if !isKeyID(kid) {
		return "", problem.New(problem.Malformed, "the token's kid must be 1 to %d of A-Z a-z 0-9 - _", maxKeyID)
	}
	return kid, nil
}

func isKeyID(s string) bool { return s != "" && len(s) <= maxKeyID && inAlphabet(s) }
