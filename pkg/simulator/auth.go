package simulator

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxAssertion is how far in the future an App's assertion may expire.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
const maxAssertion = 10 * time.Minute

// assertion is the part of an App's JWT that GitHub reads.
type assertion struct {
	Issuer   any `json:"iss"`
	IssuedAt any `json:"iat"`
	Expires  any `json:"exp"`
}

// assertionCache spares checking a signature twice: the same bytes stay signed.
type assertionCache struct {
	mu     sync.Mutex
	signed map[string]verified
}

type verified struct {
	app       *app
	assertion assertion
}

const maxCachedAssertions = 1024

func (c *assertionCache) get(token string) (verified, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.signed[token]
	return v, ok
}

func (c *assertionCache) put(token string, v verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signed == nil || len(c.signed) >= maxCachedAssertions {
		c.signed = map[string]verified{}
	}
	c.signed[token] = v
}

func unauthorized(message string) *answer {
	a := refuse(http.StatusUnauthorized, message)
	return &a
}

// admitApp checks the assertion of an App: signature first, then times.
func (g *GitHub) admitApp(q *request) *answer {
	token := q.credential()
	v, ok := g.checks.get(token)
	if !ok {
		var refused *answer
		if v, refused = g.verify(token); refused != nil {
			return refused
		}
		g.checks.put(token, v)
	}
	now := g.now()
	issued, ok := v.assertion.IssuedAt.(float64)
	if !ok || time.Unix(int64(issued), 0).After(now) {
		return unauthorized("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	expires, ok := v.assertion.Expires.(float64)
	if !ok || !time.Unix(int64(expires), 0).After(now) {
		return unauthorized("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	}
	if time.Unix(int64(expires), 0).After(now.Add(maxAssertion)) {
		return unauthorized("'Expiration time' claim ('exp') is too far in the future")
	}
	q.app = v.app
	return nil
}

// verify checks that the App named as the issuer signed the assertion.
func (g *GitHub) verify(token string) (verified, *answer) {
	undecodable := unauthorized("A JSON web token could not be decoded")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return verified{}, undecodable
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims assertion
	if !decodePart(parts[0], &header) || !decodePart(parts[1], &claims) || header.Algorithm != "RS256" {
		return verified{}, undecodable
	}
	a := g.appNamed(claims.Issuer)
	if a == nil {
		return verified{}, unauthorized("Integration not found")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(a.key, crypto.SHA256, sum[:], signature) != nil {
		return verified{}, undecodable
	}
	return verified{app: a, assertion: claims}, nil
}

func decodePart(part string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, into) == nil
}

// appNamed finds the App of an iss claim, a client id or an app id, as a string or a number.
func (g *GitHub) appNamed(issuer any) *app {
	name := ""
	switch iss := issuer.(type) {
	case string:
		name = iss
	case float64:
		name = fmt.Sprintf("%.0f", iss)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.appOf(name)
}

// admitToken checks that an installation token is alive.
func (g *GitHub) admitToken(q *request) *answer {
	i, ok := g.tokens[q.credential()]
	if !ok || !g.alive(&g.mints[i]) {
		return unauthorized("Bad credentials")
	}
	m := g.mints[i]
	q.token, q.app, q.in = &m, g.apps[m.AppID], g.installations[m.InstallationID]
	if !q.in.suspended.IsZero() {
		a := refuse(http.StatusForbidden, "This installation has been suspended")
		return &a
	}
	return nil
}

// admitRepository finds the repository in the path. A former name answers 301;
// what the token doesn't reach, does not exist for it.
func (g *GitHub) admitRepository(q *request) *answer {
	repo := g.names[nameKey(q.PathValue("owner"), q.PathValue("repo"))]
	a := notFound()
	if repo == nil || (q.token != nil && !g.reaches(q.token, repo)) {
		return &a
	}
	q.repo = repo
	if repo.goesBy(q.PathValue("repo")) {
		return nil
	}
	_, rest, _ := strings.Cut(q.URL.Path, "/repos/"+q.PathValue("owner")+"/"+q.PathValue("repo"))
	a = movedTo(fmt.Sprintf("%s/repositories/%d%s", q.base, repo.ID, rest), q.URL.RawQuery)
	return &a
}

// movedTo answers for a repository that was renamed.
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
func movedTo(location, query string) answer {
	if query != "" {
		location += "?" + query
	}
	a := reply(http.StatusMovedPermanently, object{
		"message":           "Moved Permanently",
		"url":               location,
		"documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
	})
	a.header.Set("Location", location)
	return a
}
