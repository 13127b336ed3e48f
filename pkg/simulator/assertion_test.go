package simulator_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAssertionsOfAnApp(t *testing.T) {
	s := newStage(t)
	at := func(d time.Duration) int64 { return s.clock.Now().Add(d).Unix() }
	const (
		undecodable = "A JSON web token could not be decoded"
		issuedAt    = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
		expired     = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
		tooFar      = "'Expiration time' claim ('exp') is too far in the future"
	)
	for _, row := range []struct {
		about string
		edit  func(header, claims object)
		want  string // GitHub's message; empty when the App is let in
	}{
		{"the client id is an issuer", nil, ""},
		{"the app id is one too", func(_, c object) { c["iss"] = fmt.Sprint(s.app.ID) }, ""},
		{"also as a number", func(_, c object) { c["iss"] = s.app.ID }, ""},
		{"the slug is none", func(_, c object) { c["iss"] = s.app.Slug }, "Integration not found"},
		{"nor is nobody", func(_, c object) { delete(c, "iss") }, "Integration not found"},
		{"issued this second", func(_, c object) { c["iat"] = at(0) }, ""},
		{"issued in the future", func(_, c object) { c["iat"] = at(time.Second) }, issuedAt},
		{"issued at no time", func(_, c object) { delete(c, "iat") }, issuedAt},
		{"issued at a text", func(_, c object) { c["iat"] = "now" }, issuedAt},
		{"expires in ten minutes", func(_, c object) { c["exp"] = at(10 * time.Minute) }, ""},
		{"expires a second later", func(_, c object) { c["exp"] = at(10*time.Minute + time.Second) }, tooFar},
		{"expired", func(_, c object) { c["exp"] = at(0) }, expired},
		{"never expires", func(_, c object) { delete(c, "exp") }, expired},
		{"another algorithm", func(h, _ object) { h["alg"] = "HS256" }, undecodable},
		{"no algorithm", func(h, _ object) { h["alg"] = "none" }, undecodable},
	} {
		t.Run(row.about, func(t *testing.T) {
			r := s.ask("GET", "/app", s.assertion(row.edit), nil)
			if row.want == "" && r.StatusCode != http.StatusOK {
				t.Errorf("refused: %d %s", r.StatusCode, r.body)
			}
			if row.want != "" && (r.StatusCode != http.StatusUnauthorized || r.message() != row.want) {
				t.Errorf("got %d %q, want 401 %q", r.StatusCode, r.message(), row.want)
			}
		})
	}
}

func TestAssertionsThatTheAppDidNotSign(t *testing.T) {
	s := newStage(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	s.must(err)
	good := s.assertion(nil)
	parts := strings.Split(good, ".")
	now := s.clock.Now()
	forged := sign(stranger, object{"alg": "RS256"}, object{"iss": s.app.ClientID, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	for about, token := range map[string]string{
		"another key":           forged,
		"another's signature":   parts[0] + "." + parts[1] + "." + strings.Split(forged, ".")[2],
		"no signature":          parts[0] + "." + parts[1] + ".",
		"two parts":             parts[0] + "." + parts[1],
		"nothing":               "",
		"an installation token": s.mint(object{"contents": "read"}, "web"),
	} {
		if r := s.ask("GET", "/app", token, nil); r.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: got %d, want 401", about, r.StatusCode)
		}
	}
	if r := s.ask("GET", "/app", good, nil); r.StatusCode != http.StatusOK {
		t.Errorf("the good assertion: got %d, want 200", r.StatusCode)
	}
}

// An assertion is remembered by its bytes, and must be refused all the same
// when its time is over.
func TestARememberedAssertionExpires(t *testing.T) {
	s := newStage(t)
	token := s.assertion(nil)
	if r := s.ask("GET", "/app", token, nil); r.StatusCode != http.StatusOK {
		t.Fatalf("got %d, want 200", r.StatusCode)
	}
	s.clock.Add(9 * time.Minute)
	if r := s.ask("GET", "/app", token, nil); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("after its expiry: got %d, want 401", r.StatusCode)
	}
}

func TestBothSchemesCarryACredential(t *testing.T) {
	s := newStage(t)
	token := s.mint(object{"contents": "read"}, "web")
	for scheme, want := range map[string]int{"Bearer": 200, "bearer": 200, "token": 200, "Basic": 401} {
		r := s.ask("GET", "/installation/repositories", "", nil, "Authorization", scheme+" "+token)
		if r.StatusCode != want {
			t.Errorf("%s: got %d, want %d", scheme, r.StatusCode, want)
		}
	}
	if r := s.ask("GET", "/installation/repositories", s.assertion(nil), nil); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("an assertion in a token's place: got %d, want 401", r.StatusCode)
	}
}
