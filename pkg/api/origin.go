package api

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Origin reads the address of a server and writes it in the one form in which
// addresses are compared and audiences named: `scheme://host[:port]`, lower
// case, without a default port or a slash (RFC 6454 section 6.2). The scheme is
// https, or http where the host is this machine's loopback. The error names
// what was wrong, not what was got.
func Origin(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("it is not a URL") // the parser's error would repeat what may hold a password
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(raw, "#") || (u.Path != "" && u.Path != "/") {
		return "", errors.New("it must be scheme, host and port alone")
	}
	host, err := canonicalHost(u.Hostname())
	if err != nil {
		return "", err
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "https" && (scheme != "http" || !Loopback(host)) {
		return "", errors.New("it must be https (http only for 127.0.0.1, [::1] or localhost)")
	}
	port, err := canonicalPort(u)
	if err != nil {
		return "", err
	}
	switch {
	case port != "":
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return scheme + "://" + host, nil
}

// Loopback tells whether a host name or address is this machine's own.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func canonicalHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		return ip.String(), nil
	}
	host = strings.ToLower(host)
	if host == "" || len(host) > 253 {
		return "", errors.New("it names no host")
	}
	for _, c := range host {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return "", fmt.Errorf("its host holds %q; write names of other alphabets in their xn-- form", c)
		}
	}
	return host, nil
}

// canonicalPort is "" for the scheme's own port.
func canonicalPort(u *url.URL) (string, error) {
	text := u.Port()
	if text == "" {
		return "", nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return "", errors.New("its port is not between 1 and 65535")
	}
	if strings.EqualFold(u.Scheme, "https") && port == 443 || strings.EqualFold(u.Scheme, "http") && port == 80 {
		return "", nil
	}
	return strconv.FormatUint(port, 10), nil
}
