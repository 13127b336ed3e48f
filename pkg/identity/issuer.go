package identity

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

// parseIssuer checks that an issuer is written the one way that a token's iss
// can be compared with byte for byte.
func parseIssuer(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("issuer %q: %w", raw, err)
	}
	if reason := issuerFault(raw, u); reason != "" {
		return nil, fmt.Errorf("issuer %q: %s", raw, reason)
	}
	return u, nil
}

func issuerFault(raw string, u *url.URL) string {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "must start with https://"
	case u.Hostname() == "":
		return "has no host"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "must be https; http is for loopback only"
	case u.User != nil:
		return "must not hold a user"
	case strings.ContainsAny(raw, "?#%"):
		return "must not hold a query, a fragment or an escape"
	case u.Host != strings.ToLower(u.Host):
		return "must have its host in lower case"
	case u.Port() == "443" && u.Scheme == "https", u.Port() == "80" && u.Scheme == "http", strings.HasSuffix(u.Host, ":"):
		return "must not name the default port"
	case u.Path != "" && (u.Path != path.Clean(u.Path) || u.Path == "/"):
		return "must not end in a slash, nor hold empty or dot segments"
	case u.String() != raw:
		return "is not in canonical form"
	}
	return ""
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
