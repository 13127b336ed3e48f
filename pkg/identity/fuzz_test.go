package identity

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/problem"
)

const fuzzIssuer = "https://issuer.example"

// offline answers for fuzzIssuer without a socket.
func offline(keys []byte) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		body := string(keys)
		if r.URL.Path != "/keys" {
			body = fmt.Sprintf(`{"issuer":%q,"jwks_uri":"%s/keys"}`, fuzzIssuer, fuzzIssuer)
		}
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})}
}

func fuzzVerifier(f *testing.F) *Verifier {
	f.Helper()
	keys := keySetText(jwkOf(goodKid, &goodKey().PublicKey))
	v, err := NewVerifier(Options{Issuers: []string{fuzzIssuer}, Audience: audience, HTTP: offline(keys), Now: atNoon})
	if err != nil {
		f.Fatal(err)
	}
	return v
}

// FuzzVerify: no text makes it panic, every refusal is a Problem that clients
// may see, and a token has one spelling only: one that is accepted is, letter
// for letter, what its parts encode to.
func FuzzVerify(f *testing.F) {
	v := fuzzVerifier(f)
	good := goodDraft(fuzzIssuer)
	raw := good.String()
	f.Add(raw)
	for _, trick := range append(append(spellings, headers...), payloads...) {
		if trick.name != "odd kid" && trick.name != "another issuer" {
			f.Add(trick.make(nil, goodDraft(fuzzIssuer)))
		}
	}
	f.Add("..")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := v.Verify(t.Context(), text)
		if err == nil {
			if text != raw {
				t.Fatalf("another spelling of the one good token is accepted: %q", text)
			}
			return
		}
		checkProblem(t, err)
	})
}

// FuzzSignedClaims: whatever an issuer signs, a workload that comes out is whole.
func FuzzSignedClaims(f *testing.F) {
	v := fuzzVerifier(f)
	good := goodDraft(fuzzIssuer)
	header := jsonText(good.header)
	f.Add(jsonText(good.payload))
	for _, trick := range append(append(payloads, timings...), contents...) {
		if trick.name == "another issuer" || trick.name == "bad signature" {
			continue
		}
		token, err := openToken(trick.make(nil, goodDraft(fuzzIssuer)))
		if err == nil {
			f.Add(string(token.payload))
		}
	}
	f.Fuzz(func(t *testing.T, payload string) {
		w, err := v.Verify(t.Context(), sign(header, payload, good.key))
		if err != nil {
			checkProblem(t, err)
			return
		}
		owner, _, _ := strings.Cut(w.Repository, "/")
		if w.Issuer != fuzzIssuer || w.Subject == "" || w.JTI == "" || len(w.JTI) > maxJTI || !strings.EqualFold(owner, w.RepositoryOwner) ||
			min(w.RepositoryID, w.RepositoryOwnerID, w.RunID, w.RunAttempt, w.ActorID) < 1 || w.CheckRunID < 0 || !w.Expires.After(noon) {
			t.Fatalf("accepted: %+v", w)
		}
	})
}

// FuzzKeySet: no key set makes it panic, and a key that is believed is a strong one.
func FuzzKeySet(f *testing.F) {
	good := jwkOf("k", &goodKey().PublicKey)
	f.Add(keySetText(good))
	f.Add(keySetText(good, good))
	f.Add(keySetText(with(good, "e", "AQ"), with(good, "kid", "../x"), with(good, "n", "AA")))
	f.Add([]byte(`{"keys":[1,null,{"kid":"k"},{"kid":2}]}`))
	f.Add([]byte(`{"keys":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeys(text, fuzzIssuer, audience)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for kid, k := range keys {
			if !isKeyID(kid) || k.usable() == (k.weakness != "") {
				t.Fatalf("kid %q, usable %v, weakness %q", kid, k.usable(), k.weakness)
			}
		}
	})
}

// checkProblem holds a refusal to what RFC 6749 section 5.2 lets a client see.
func checkProblem(t *testing.T, err error) {
	t.Helper()
	var p *problem.Problem
	if !errors.As(err, &p) {
		t.Fatalf("not a problem: %v", err)
	}
	if p.Detail == "" || len(p.Detail) > 300 || strings.ContainsAny(p.Detail, "\n\"\\") {
		t.Fatalf("detail %q", p.Detail)
	}
}
