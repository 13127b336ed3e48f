package identity

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// A key is what an issuer's key set holds under one kid: a key that verifies,
// or the reason why it is not believed, in words that follow "the key".
type key struct {
	verifier *oidc.IDTokenVerifier
	weakness string
}

// usable tells whether k can verify; the zero key can't.
func (k key) usable() bool { return k.verifier != nil }

// newKey pairs an RSA key with go-oidc's verifier for one issuer and audience.
// Times are checked before, with less leeway than go-oidc gives.
func newKey(issuer, audience string, public *rsa.PublicKey) key {
	config := &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{oidc.RS256}, SkipExpiryCheck: true}
	return key{verifier: oidc.NewVerifier(issuer, signer{public}, config)}
}

// A signer is the key set that go-oidc sees: the one key that kid named.
type signer struct{ public *rsa.PublicKey }

// VerifySignature checks RS256 (RFC 7518 section 3.3) over a compact token and returns its payload.
func (s signer) VerifySignature(_ context.Context, jwt string) ([]byte, error) {
	dot := strings.LastIndexByte(jwt, '.')
	signed := jwt[:dot]
	_, payload, _ := strings.Cut(signed, ".")
	proof, err := base64.RawURLEncoding.DecodeString(jwt[dot+1:])
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(signed))
	if err := rsa.VerifyPKCS1v15(s.public, crypto.SHA256, digest[:], proof); err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.DecodeString(payload)
}

// parseKeys reads a JWK set (RFC 7517 section 5) into keys by kid. A key that
// is not believed stays, with its reason; a kid that stands twice is no key. A
// member without a kid of our alphabet is passed over: no token can name it.
func parseKeys(text []byte, issuer, audience string) (map[string]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys := map[string]key{}
	for _, member := range set.Keys {
		jwk, err := parseObject(member, func(string) int { return maxToken })
		if err != nil {
			continue
		}
		kid := jwk.text("kid")
		if !isKeyID(kid) {
			continue
		}
		if _, twice := keys[kid]; twice {
			keys[kid] = key{weakness: "stands twice in the key set"}
			continue
		}
		public, weakness := readKey(jwk)
		if weakness != "" {
			keys[kid] = key{weakness: weakness}
			continue
		}
		keys[kid] = newKey(issuer, audience, public)
	}
	if len(keys) == 0 {
		return nil, errors.New("key set: holds no key that a token could name")
	}
	return keys, nil
}

// readKey takes a JWK that is an RSA key meant for checking RS256 signatures
// (RFC 7517 section 4, RFC 7518 section 6.3.1).
func readKey(jwk object) (public *rsa.PublicKey, weakness string) {
	if jwk.text("kty") != "RSA" {
		return nil, "is not an RSA key"
	}
	if use, present := jwk.get("use"); present && use != "sig" {
		return nil, "has a use other than sig"
	}
	if ops, present := jwk.get("key_ops"); present && !holds(ops, "verify") {
		return nil, "has key_ops without verify"
	}
	if alg, present := jwk.get("alg"); present && alg != "RS256" {
		return nil, "is for an alg other than RS256"
	}
	n, okN := readUint(jwk, "n")
	e, okE := readUint(jwk, "e")
	if !okN || !okE {
		return nil, "has no readable modulus and exponent"
	}
	return publicKey(n, e)
}

func holds(list any, want string) bool {
	members, _ := list.([]any)
	for _, m := range members {
		if m == want {
			return true
		}
	}
	return false
}

// readUint reads a Base64urlUInt (RFC 7518 section 2).
func readUint(jwk object, name string) (*big.Int, bool) {
	text := jwk.text(name)
	if !inAlphabet(text) {
		return nil, false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, false
	}
	return new(big.Int).SetBytes(b), true
}
