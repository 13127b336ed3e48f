package simulator

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"sync"
)

const (
	issuerPath  = "/_services/token"
	idTokenPath = "/_services/pipelines/jobs/{id}/idtoken"
)

// keyring holds the issuer's keys: the one that signs, and the one before it.
type keyring struct {
	mu   sync.Mutex
	keys []signingKey
}

type signingKey struct {
	*rsa.PrivateKey
	id, thumbprint string
}

func newSigningKey() (signingKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return signingKey{}, fmt.Errorf("make a signing key: %w", err)
	}
	sum := sha256.Sum256(key.N.Bytes())
	thumbprint := base64.RawURLEncoding.EncodeToString(sum[:20]) // as long as the SHA-1 of a certificate
	return signingKey{PrivateKey: key, id: newUUID(), thumbprint: thumbprint}, nil
}

// current lists the keys in the JWKS, the signing one first. The first key is
// made when it is first needed.
func (k *keyring) current() ([]signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) > 0 {
		return k.keys, nil
	}
	key, err := newSigningKey()
	if err == nil {
		k.keys = []signingKey{key}
	}
	return k.keys, err
}

// RotateKey makes the issuer sign with a new key, whose id it returns. The old
// key stays in the JWKS until the next rotation.
func (g *GitHub) RotateKey() (kid string, err error) {
	keys, err := g.keys.current()
	if err != nil {
		return "", err
	}
	key, err := newSigningKey()
	if err != nil {
		return "", err
	}
	g.keys.mu.Lock()
	defer g.keys.mu.Unlock()
	g.keys.keys = []signingKey{key, keys[0]}
	return key.id, nil
}

// SignJWT signs any claims with the issuer's current key. Members of the header
// take the place of the usual ones; nil leaves one out. The signature is RS256,
// whatever the header says.
func (g *GitHub) SignJWT(header, claims map[string]any) (string, error) {
	keys, err := g.keys.current()
	if err != nil {
		return "", err
	}
	key := keys[0]
	full := map[string]any{"alg": "RS256", "kid": key.id, "typ": "JWT", "x5t": key.thumbprint}
	maps.Copy(full, header)
	maps.DeleteFunc(full, func(_ string, v any) bool { return v == nil })
	signed, err := encodeParts(full, claims)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key.PrivateKey, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func encodeParts(header, claims map[string]any) (string, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("encode the header: %w", err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode the claims: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c), nil
}

// IDToken makes the OIDC token that the job would get for that audience; an
// empty one means GitHub's default. The edit, unless nil, may change any claim.
func (g *GitHub) IDToken(jobID int64, audience string, edit func(claims map[string]any)) (string, error) {
	g.mu.Lock()
	j, ok := g.jobs[jobID]
	if !ok {
		g.mu.Unlock()
		return "", fmt.Errorf("no job %d", jobID)
	}
	claims := g.claims(j, audience)
	g.mu.Unlock()
	if edit != nil {
		edit(claims)
	}
	return g.SignJWT(nil, claims)
}

// getIDToken answers the runner's request for a job's token.
// https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
func getIDToken(g *GitHub, q *request) answer {
	g.mu.Lock()
	j := g.jobs[q.id("id")]
	allowed := j != nil && j.mayAsk(q.credential(), g.now())
	g.mu.Unlock()
	if !allowed {
		return refuse(http.StatusUnauthorized, "Unauthorized")
	}
	token, err := g.IDToken(j.ID, q.URL.Query().Get("audience"), nil)
	if err != nil {
		return refuse(http.StatusInternalServerError, "Server Error")
	}
	return ok(object{"count": len(token), "value": token})
}

// getDiscovery answers with the issuer's metadata (OpenID Connect Discovery 1.0, section 4).
func getDiscovery(g *GitHub, q *request) answer {
	issuer := q.base + issuerPath
	return ok(object{
		"issuer":                                issuer,
		"jwks_uri":                              issuer + "/.well-known/jwks",
		"subject_types_supported":               []string{"public", "pairwise"},
		"response_types_supported":              []string{"id_token"},
		"claims_supported":                      []string{"sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref", "repository"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid"},
	})
}

// getJWKS answers with the issuer's public keys (RFC 7517).
func getJWKS(g *GitHub, _ *request) answer {
	keys, err := g.keys.current()
	if err != nil {
		return refuse(http.StatusInternalServerError, "Server Error")
	}
	encode := base64.RawURLEncoding.EncodeToString
	shapes := []object{}
	for _, key := range keys {
		shapes = append(shapes, object{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": key.id, "x5t": key.thumbprint,
			"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
		})
	}
	return ok(object{"keys": shapes})
}
