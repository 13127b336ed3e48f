// Package githubapp is the only room that talks to GitHub. It is one GitHub
// App: it signs in as the App, finds its installations, mints installation
// tokens, ends them, proves that they are dead, and reads a file.
//
// Two rules shape it. A list that is left out of a mint request means "all" to
// GitHub, so every mint names its repositories and permissions. And a mint can
// not be taken back by asking again: it is repeated only when no byte of the
// request has left this machine, and [problem.MintIndeterminate] says that
// there may be a token that nobody knows.
//
// What GitHub writes into a body is read to decide, and never shown or logged.
package githubapp

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"
	"golang.org/x/sync/singleflight"
)

// Options say which App this is and where its GitHub lives.
type Options struct {
	// API is the base address: https://api.github.com, https://HOST/api/v3,
	// https://api.SUB.ghe.com, or http on a loopback address.
	API string
	// AppID is the App's client id or its numeric id.
	AppID string
	// Key signs for the App: RSA of at least 2048 bits, from [ParseKey] or a KMS.
	Key crypto.Signer
	// Roots are the certificate authorities to trust; nil means the system's.
	Roots *x509.CertPool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets what an operator must know; nil means slog.Default.
	Log *slog.Logger
	// UserAgent is what GitHub sees; empty means curfew.
	UserAgent string
}

// A Client is the App at work. It is safe for concurrent use.
type Client struct {
	api       *url.URL
	requests  *github.Client
	transport *http.Transport
	asApp     *http.Client // signs in as the App
	asToken   *http.Client // sends the token that the request carries
	signer    *appSigner
	skew      skew
	now       func() time.Time
	log       *slog.Logger

	installations installations
	lookups       singleflight.Group

	appMu sync.Mutex
	app   *App
}

// New checks the options and makes a client; it does not talk to GitHub yet.
func New(o Options) (*Client, error) {
	api, err := parseAPI(o.API)
	if err != nil {
		return nil, err
	}
	if o.AppID == "" || strings.ContainsFunc(o.AppID, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return nil, fmt.Errorf("the App id %q is neither a client id nor a number", o.AppID)
	}
	if err := checkKey(o.Key); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.UserAgent == "" {
		o.UserAgent = "curfew"
	}
	c := &Client{api: api, transport: newTransport(o.Roots), now: o.Now, log: o.Log}
	c.signer = &appSigner{appID: o.AppID, key: o.Key, now: o.Now}
	// The number in AppsTransport is unused: our signer writes the issuer itself, which may be a client id.
	app, err := ghinstallation.NewAppsTransportWithOptions(c.transport, 0, ghinstallation.WithSigner(c.signer))
	if err != nil {
		return nil, err
	}
	c.asApp = &http.Client{Transport: app, CheckRedirect: neverFollow}
	c.asToken = &http.Client{Transport: c.transport, CheckRedirect: neverFollow}
	c.requests = github.NewClient(nil)
	c.requests.BaseURL, c.requests.UserAgent = api, o.UserAgent
	return c, nil
}

// Close lets go of idle connections. Calls under way go on.
func (c *Client) Close(context.Context) { c.transport.CloseIdleConnections() }

// parseAPI reads the base address; what it returns ends in a slash.
func parseAPI(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the GitHub API address %q is not of the form https://HOST or https://HOST/api/v3", text)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("the GitHub API address %q must be https (http is for loopback addresses only)", text)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	return u, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// webHost is the host that people see in their browser: api.github.com and
// loopback stand for github.com, api.SUB.ghe.com for SUB.ghe.com.
func webHost(api *url.URL) string {
	host := strings.ToLower(api.Hostname())
	if loopback(host) || host == "api.github.com" {
		return "github.com"
	}
	if sub, found := strings.CutPrefix(host, "api."); found && strings.HasSuffix(sub, ".ghe.com") {
		return sub
	}
	return host
}

// neverFollow keeps credentials from travelling to where a redirect points.
func neverFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// errEmptyToken keeps a call without a token from being sent as the App.
var errEmptyToken = errors.New("there is no token to send")

// ErrTokenDead says that GitHub answers 401 to an installation token.
var ErrTokenDead = errors.New("GitHub answers 401 to this token")
