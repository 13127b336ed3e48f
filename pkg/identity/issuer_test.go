package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

const (
	audience = "https://curfew.example.com"
	goodKid  = "Key_1-a"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

// goodKey is shared, for making one takes longer than most tests.
var goodKey = sync.OnceValue(func() *rsa.PrivateKey { return mustKey(2048) })

func mustKey(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

// An issuer is a small OIDC issuer on loopback that tests bend as they need.
type issuer struct {
	*httptest.Server
	mu        sync.Mutex
	keys      []map[string]any
	fetches   int // of the key set
	discovery func(w http.ResponseWriter, r *http.Request)
	keySet    func(w http.ResponseWriter, r *http.Request)
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{keys: []map[string]any{jwkOf(goodKid, &goodKey().PublicKey)}}
	i.discovery = func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "response_types_supported": []string{"id_token"}})
	}
	i.keySet = func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]any{"keys": i.keys}) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.discovery(w, r)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.fetches++
		i.keySet(w, r)
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// publish adds a key to the set.
func (i *issuer) publish(keys ...map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, keys...)
}

func (i *issuer) verifier(t testing.TB, now func() time.Time) *Verifier {
	t.Helper()
	v, err := NewVerifier(Options{Issuers: []string{i.URL}, Audience: audience, HTTP: i.Client(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func writeJSON(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

func jwkOf(kid string, k *rsa.PublicKey) map[string]any {
	return map[string]any{
		"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
		"n": encode(k.N.Bytes()), "e": encode(big.NewInt(int64(k.E)).Bytes()),
	}
}

// with returns a copy of a JWK with one member set, or dropped when value is nil.
func with(jwk map[string]any, name string, value any) map[string]any {
	c := map[string]any{}
	for k, v := range jwk {
		c[k] = v
	}
	c[name] = value
	if value == nil {
		delete(c, name)
	}
	return c
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// A draft is a token before it is signed: members in order, values as raw JSON.
type draft struct {
	header, payload []line
	key             *rsa.PrivateKey
}

type line struct{ name, value string }

// draft starts from a token as github.com makes them.
func (i *issuer) draft() *draft { return goodDraft(i.URL) }

func goodDraft(issuer string) *draft {
	d := &draft{key: goodKey()}
	for _, m := range []line{{"typ", "JWT"}, {"alg", "RS256"}, {"x5t", goodKid}, {"kid", goodKid}} {
		d.header = append(d.header, line{m.name, quote(m.value)})
	}
	iat := noon.Add(-10 * time.Second).Unix()
	d.payload = []line{
		{"iat", fmt.Sprint(iat)}, {"exp", fmt.Sprint(iat + 300)}, {"nbf", fmt.Sprint(iat - 600)},
	}
	for _, m := range []line{
		{"iss", issuer},
		{"sub", "repo:acme@1001/web@3002:ref:refs/heads/main"},
		{"aud", audience},
		{"jti", "6f4e2a52-4f0b-4c5b-8f41-b1a0f5ad4c11"},
		{"actor", "mona"},
		{"actor_id", "77"},
		{"base_ref", ""},
		{"check_run_id", "5005"},
		{"event_name", "push"},
		{"head_ref", ""},
		{"job_workflow_ref", "acme/web/.github/workflows/release.yml@refs/heads/main"},
		{"job_workflow_sha", "0123456789012345678901234567890123456789"},
		{"ref", "refs/heads/main"},
		{"ref_protected", "true"},
		{"ref_type", "branch"},
		{"repository", "acme/web"},
		{"repository_id", "3002"},
		{"repository_owner", "acme"},
		{"repository_owner_id", "1001"},
		{"repository_visibility", "private"},
		{"repo_property_tier", "gold"},
		{"run_attempt", "2"},
		{"run_id", "4004"},
		{"run_number", "31"},
		{"runner_environment", "github-hosted"},
		{"sha", "0123456789012345678901234567890123456789"},
		{"workflow", "Release"},
		{"workflow_ref", "acme/web/.github/workflows/release.yml@refs/heads/main"},
		{"workflow_sha", "0123456789012345678901234567890123456789"},
	} {
		d.payload = append(d.payload, line{m.name, quote(m.value)})
	}
	return d
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// head sets a member of the header to a raw JSON value; "" drops it.
func (d *draft) head(name, raw string) *draft {
	d.header = edit(d.header, name, raw)
	return d
}

// claim sets a claim to a raw JSON value; "" drops it.
func (d *draft) claim(name, raw string) *draft {
	d.payload = edit(d.payload, name, raw)
	return d
}

// signedBy names the key and signs with it.
func (d *draft) signedBy(kid string, k *rsa.PrivateKey) *draft {
	d.key = k
	return d.head("kid", quote(kid))
}

func edit(list []line, name, raw string) []line {
	var edited []line
	found := false
	for _, m := range list {
		if m.name == name {
			found = true
			m.value = raw
		}
		if m.value != "" {
			edited = append(edited, m)
		}
	}
	if !found && raw != "" {
		edited = append(edited, line{name, raw})
	}
	return edited
}

func jsonText(list []line) string {
	parts := make([]string, len(list))
	for i, m := range list {
		parts[i] = quote(m.name) + ":" + m.value
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (d *draft) String() string { return sign(jsonText(d.header), jsonText(d.payload), d.key) }

func sign(header, payload string, k *rsa.PrivateKey) string {
	signed := encode([]byte(header)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + encode(signature)
}

// refused checks that err is a refusal of that code and returns its detail.
func refused(t testing.TB, err error, code problem.Code) string {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want %s", code)
	}
	p := problem.From(err)
	if p.Code != code {
		t.Fatalf("refused as %q, want code %s", err, code)
	}
	if len(p.Detail) > 300 {
		t.Errorf("the detail is %d characters long: %s", len(p.Detail), p.Detail)
	}
	return p.Detail
}
