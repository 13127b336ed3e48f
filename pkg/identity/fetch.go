package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	fetchTime = 5 * time.Second // for discovery and key set together
	maxBody   = 1 << 20
)

// A source reads one issuer's key set over HTTP.
type source struct {
	issuer *url.URL
	client *http.Client
}

// newSource borrows client's transport, but follows no redirect and keeps no cookie.
func newSource(issuer *url.URL, client *http.Client) source {
	own := http.Client{
		Transport:     client.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return source{issuer, &own}
}

// fetch asks the issuer where its keys are (OpenID Connect Discovery 1.0
// section 4) and returns the key set as it came. It takes fetchTime at most.
func (s source) fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	text, err := s.get(ctx, s.issuer.String()+"/.well-known/openid-configuration")
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	address, err := s.keysAddress(text)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	keys, err := s.get(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	return keys, nil
}

// keysAddress believes a discovery document only of its own issuer, and only
// an address on the issuer's own scheme and host.
func (s source) keysAddress(discovery []byte) (string, error) {
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(discovery, &document); err != nil {
		return "", err
	}
	if document.Issuer != s.issuer.String() {
		return "", fmt.Errorf("is of another issuer, %q", clip(document.Issuer))
	}
	u, err := url.Parse(document.JWKSURI)
	if err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	if u.Scheme != s.issuer.Scheme || !strings.EqualFold(u.Host, s.issuer.Host) || u.User != nil {
		return "", fmt.Errorf("jwks_uri %q is not on the issuer's host", clip(document.JWKSURI))
	}
	return u.String(), nil
}

func (s source) get(ctx context.Context, address string) (body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", address, response.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("%s answered more than %d bytes", address, maxBody)
	}
	return body, nil
}
