package githubapp

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// The App JWT looks a minute back, because clocks differ, and ends within nine
// of the ten minutes that GitHub allows.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
const (
	jwtBack  = time.Minute
	jwtAhead = 8 * time.Minute
	jwtSpare = time.Minute // what a reused JWT still has to live
)

// appSigner makes the App JWT once and reuses it until it nears its end:
// signing costs a hundred times what the rest of a mint does.
type appSigner struct {
	appID string
	key   crypto.Signer
	now   func() time.Time

	mu         sync.Mutex
	signed     string
	from, till time.Time
}

// Sign implements [ghinstallation.Signer]. The claims it is given have the
// wrong clock and can't hold a client id, so it writes its own.
func (s *appSigner) Sign(jwt.Claims) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.signed != "" && !now.Before(s.from) && now.Before(s.till.Add(-jwtSpare)) {
		return s.signed, nil
	}
	from, till := now.Add(-jwtBack).Truncate(time.Second), now.Add(jwtAhead).Truncate(time.Second)
	signed, err := s.sign(from, till)
	if err != nil {
		return "", err
	}
	s.signed, s.from, s.till = signed, from, till
	return signed, nil
}

// forget makes the next call sign anew, for GitHub did not take the last JWT.
func (s *appSigner) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed = ""
}

var jwtHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`))

func (s *appSigner) sign(from, till time.Time) (string, error) {
	claims := fmt.Sprintf(`{"iat":%d,"exp":%d,"iss":%s}`, from.Unix(), till.Unix(), strconv.Quote(s.appID))
	signing := jwtHeader + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	digest := sha256.Sum256([]byte(signing))
	signature, err := s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing the App JWT: %w", err)
	}
	return signing + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
