package simulator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Mint is one token that GitHub made. Its maps and slices are shared: read them only.
type Mint struct {
	Seq            int               `json:"seq"` // from 1
	Time           time.Time         `json:"time"`
	Token          string            `json:"token"`
	AppID          int64             `json:"app_id"`
	InstallationID int64             `json:"installation_id"`
	Permissions    map[string]string `json:"permissions"`
	Repositories   []int64           `json:"repositories"` // ids; nil when Selection is all
	Selection      string            `json:"selection"`    // all or selected
	ExpiresAt      time.Time         `json:"expires_at"`
	Delivered      bool              `json:"delivered"`  // its bytes were sent in a whole, well-formed answer
	RevokedAt      time.Time         `json:"revoked_at"` // when it stopped working; zero when it wasn't revoked
}

// Delete is one revocation that GitHub carried out.
type Delete struct {
	Seq   int       `json:"seq"`  // from 1
	Mint  int       `json:"mint"` // Seq of the token's mint
	Time  time.Time `json:"time"`
	Token string    `json:"token"`
}

// Mints lists every token ever made, delivered or not, oldest first.
func (g *GitHub) Mints() []Mint {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Mint{}, g.mints...)
}

// Deletes lists every revocation, oldest first.
func (g *GitHub) Deletes() []Delete {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Delete{}, g.deletes...)
}

// Alive tells whether the token would work now.
func (g *GitHub) Alive(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, ok := g.tokens[token]
	return ok && g.alive(&g.mints[i])
}

// AliveTokens lists the mints whose tokens would work now. A suspended
// installation's count, since lifting the suspension revives them.
func (g *GitHub) AliveTokens() []Mint {
	g.mu.Lock()
	defer g.mu.Unlock()
	alive := []Mint{}
	for i := range g.mints {
		if g.alive(&g.mints[i]) {
			alive = append(alive, g.mints[i])
		}
	}
	return alive
}

func (g *GitHub) alive(m *Mint) bool {
	now := g.now()
	_, installed := g.installations[m.InstallationID]
	revoked := !m.RevokedAt.IsZero() && !now.Before(m.RevokedAt)
	return installed && !revoked && now.Before(m.ExpiresAt)
}

// reaches tells whether a token covers the repository.
func (g *GitHub) reaches(m *Mint, r *repository) bool {
	if m.Selection == "all" {
		in := g.installations[m.InstallationID]
		return in != nil && in.covers(r)
	}
	return slices.Contains(m.Repositories, r.ID)
}

// deliver notes that a token's bytes are about to be sent whole.
func (g *GitHub) deliver(q *request, a answer) {
	if a.minted == "" || q.Context().Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mints[g.tokens[a.minted]].Delivered = true
}

// SetTokenFormat chooses the shape of tokens to come: "short" is ghs_ and 36
// characters, "long" (the default) ghs_<app>_<JWT> of about 520. It panics on
// anything else.
func (g *GitHub) SetTokenFormat(format string) {
	if format != "short" && format != "long" {
		panic(fmt.Sprintf("simulator: token format %q is neither short nor long", format))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.longTokens = format == "long"
}

// SetTokenLifetime says how long tokens to come live; GitHub's, and the default, is one hour.
func (g *GitHub) SetTokenLifetime(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lifetime = d
}

// newToken makes a token's bytes. The long form's signature is random: nobody
// but GitHub could check it, and signing is slow.
func (g *GitHub) newToken(m *Mint) string {
	if !g.longTokens {
		var b [18]byte
		_, _ = rand.Read(b[:]) // crypto/rand never fails
		return "ghs_" + hex.EncodeToString(b[:])
	}
	var signature [256]byte
	_, _ = rand.Read(signature[:])
	encode := base64.RawURLEncoding.EncodeToString
	header := encode([]byte(`{"alg":"RS256","kid":"ghs-2026-01","typ":"JWT"}`))
	payload := encode(fmt.Appendf(nil, `{"exp":%d,"iat":%d,"iid":%d,"jti":"%x"}`,
		m.ExpiresAt.Unix(), m.Time.Unix(), m.InstallationID, signature[:8]))
	return fmt.Sprintf("ghs_%d_%s.%s.%s", m.AppID, header, payload, encode(signature[:]))
}
