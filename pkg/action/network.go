package action

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
)

// perRequest bounds one request from dialling to the last byte of its answer.
const perRequest = 20 * time.Second

// newClient makes the one client for the server, the id-token address and
// GitHub's API. It follows no redirects: each request carries a credential.
func newClient(roots *x509.CertPool, ca []byte, getenv func(string) string) *http.Client {
	trusted := roots.Clone()
	trusted.AppendCertsFromPEM(ca)
	return &http.Client{
		Timeout:       perRequest,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  func(r *http.Request) (*url.URL, error) { return proxyFor(r.URL, getenv) },
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true,
			DisableKeepAlives:      true, // each request is the last to its host, or a retry that wants a fresh connection
		},
	}
}

// proxyFor names the proxy on the way to u, or nil. Earlier steps can set it, so
// it only ever carries CONNECT, and with it TLS that it can't read.
func proxyFor(u *url.URL, getenv func(string) string) (*url.URL, error) {
	raw := either(getenv, "HTTPS_PROXY", "https_proxy")
	if u.Scheme != "https" || raw == "" || api.Loopback(u.Hostname()) || passesBy(u, either(getenv, "NO_PROXY", "no_proxy")) {
		return nil, nil
	}
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	proxy, err := url.Parse(raw)
	if err != nil || proxy.Host == "" || (proxy.Scheme != "http" && proxy.Scheme != "https") {
		return nil, errors.New("HTTPS_PROXY is not the http or https address of a proxy") // it may hold a password: not repeated
	}
	return proxy, nil
}

// passesBy tells whether NO_PROXY excepts u: by `*`, a domain with everything
// below it, an address, or a network; each may carry a port.
func passesBy(u *url.URL, exceptions string) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	port := u.Port()
	if port == "" {
		port = "443"
	}
	ip, _ := netip.ParseAddr(host)
	for exception := range strings.SplitSeq(strings.ToLower(exceptions), ",") {
		exception = strings.TrimSpace(exception)
		if network, err := netip.ParsePrefix(exception); err == nil {
			if network.Contains(ip) {
				return true
			}
			continue
		}
		if name, only, err := net.SplitHostPort(exception); err == nil {
			if only != port {
				continue
			}
			exception = name
		}
		domain := strings.TrimPrefix(strings.TrimPrefix(exception, "*"), ".")
		if exception == "*" || domain != "" && (host == domain || strings.HasSuffix(host, "."+domain)) {
			return true
		}
	}
	return false
}

func either(getenv func(string) string, names ...string) string {
	for _, name := range names {
		if value := getenv(name); value != "" {
			return value
		}
	}
	return ""
}
