// Package secret holds values that must not show, and seals them for storage.
//
// A [Text] redacts itself wherever Go would print it, so a token can't slip
// into a log, an error or a JSON document by accident; [Text.Reveal] is the
// only way to the value and easy to search for. A [Sealer] encrypts a Text for
// storage, bound to the id of the row it belongs to.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Text is a string that must not show. Its zero value is the empty string.
type Text struct{ value string }

// New wraps a value.
func New(value string) Text { return Text{value} }

// Reveal returns the value itself, for the one place that must use it.
func (t Text) Reveal() string { return t.value }

// Empty tells whether there is no value.
func (t Text) Empty() bool { return t.value == "" }

// Equal compares in constant time for values of equal length.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.value), []byte(other.value)) == 1
}

// Digest is the SHA-256 of the value, which may be stored and compared.
func (t Text) Digest() [sha256.Size]byte { return sha256.Sum256([]byte(t.value)) }

// DigestBase64 is the base64 of the SHA-256 of the value, as `hashed_token` in
// GitHub's audit log has it.
// https://docs.github.com/en/organizations/keeping-your-organization-secure/managing-security-settings-for-your-organization/identifying-audit-log-events-performed-by-an-access-token
func (t Text) DigestBase64() string {
	d := t.Digest()
	return base64.StdEncoding.EncodeToString(d[:])
}

// String redacts.
func (t Text) String() string { return redacted }

// GoString redacts.
func (t Text) GoString() string { return redacted }

// Format redacts for every verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText redacts, and with it JSON, YAML and XML.
func (t Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue redacts.
func (t Text) LogValue() slog.Value { return slog.StringValue(redacted) }
