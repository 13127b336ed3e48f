package api

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/secret"
)

// A Client speaks to one server. It follows no redirects and makes each request once.
type Client struct {
	origin string
	http   *http.Client
}

// NewClient makes a client for the server at the given address, which is
// brought into the form of [Origin]. Transport and time-out are those of hc.
func NewClient(server string, hc *http.Client) (*Client, error) {
	origin, err := Origin(server)
	if err != nil {
		return nil, err
	}
	still := *hc
	still.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{origin, &still}, nil
}

// Origin is the server's address, which is also the audience that its OIDC tokens need.
func (c *Client) Origin() string { return c.origin }

// Exchange trades an OIDC token for a GitHub token. The error is an [*Error], a
// [*NoAnswer] or a [*RefusedAnswer]; [Retryable] tells them apart. The OIDC
// token is used up whatever comes back.
func (c *Client) Exchange(ctx context.Context, r TokenRequest) (TokenResponse, error) {
	header := http.Header{}
	if r.IdempotencyKey != "" {
		header.Set(HeaderIdempotencyKey, r.IdempotencyKey)
	}
	body, err := c.post(ctx, PathToken, r.Form(), header)
	if err != nil {
		return TokenResponse{}, err
	}
	response, err := parseTokenResponse(body)
	if err == nil {
		err = response.validate(r)
	}
	if err != nil {
		return TokenResponse{}, &RefusedAnswer{http.StatusOK, err.Error(), salvage(body)}
	}
	return response, nil
}

// Revoke ends the lease of a token or handle (RFC 7009). It also succeeds for one
// that is unknown or already dead.
func (c *Client) Revoke(ctx context.Context, token secret.Text) error {
	_, err := c.post(ctx, PathRevoke, RevokeRequest{token}.Form(), http.Header{})
	return err
}

// EndJob ends all leases of the job that the OIDC token names, and tells how many.
func (c *Client) EndJob(ctx context.Context, oidc secret.Text) (int, error) {
	header := http.Header{"Authorization": {"Bearer " + oidc.Reveal()}}
	body, err := c.post(ctx, PathJobsEnd, url.Values{}, header)
	if err != nil {
		return 0, err
	}
	var answer JobsEnded
	if err := decode(body, &answer); err != nil {
		return 0, &RefusedAnswer{Status: http.StatusOK, Reason: err.Error()}
	}
	return answer.Ended, nil
}

// post sends a form and returns the body of a 200.
func (c *Client) post(ctx context.Context, path string, form url.Values, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	// net/http would repeat a request with an Idempotency-Key on its own, and with
	// it an OIDC token that is good only once.
	req.GetBody = nil
	req.Header = header
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "curfew-action")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &NoAnswer{err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return nil, &NoAnswer{err}
	}
	return judge(resp, body, path)
}

// judge returns the body of a 200 and turns everything else into an error.
func judge(resp *http.Response, body []byte, path string) ([]byte, error) {
	status := resp.StatusCode
	switch {
	case len(body) > MaxBody:
		return nil, &RefusedAnswer{status, "it is longer than 64 KiB", salvage(body)}
	case status >= 300 && status < 400:
		return nil, &RefusedAnswer{Status: status, Reason: "it is a redirect, and a credential is not carried elsewhere"}
	case status == http.StatusOK && path == PathRevoke:
		return nil, nil // RFC 7009 section 2.2: the body means nothing
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case err != nil || kind != "application/json":
		return nil, &RefusedAnswer{status, "it is not application/json", salvage(body)}
	case status == http.StatusOK:
		return body, nil
	case status < 400:
		return nil, &RefusedAnswer{status, "its status is unknown here", salvage(body)}
	}
	return nil, parseError(resp, body)
}

func parseError(resp *http.Response, body []byte) error {
	refusal := &Error{Status: resp.StatusCode}
	if err := decode(body, &refusal.Body); err != nil {
		return &RefusedAnswer{Status: resp.StatusCode, Reason: err.Error()}
	}
	if refusal.Body.Error == "" || refusal.Body.Code == "" {
		return &RefusedAnswer{Status: resp.StatusCode, Reason: "it names no error and code"}
	}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		refusal.RetryAfter = time.Duration(seconds) * time.Second
	}
	return refusal
}
