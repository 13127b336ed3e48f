package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Resources are named by GitHub's web pages, whose address follows from its API's.
func TestTheWebAddressFollowsFromTheAPIs(t *testing.T) {
	for github, want := range map[string]string{
		"https://api.github.com":             "https://github.com",
		"https://api.github.com/":            "https://github.com",
		"https://github.example.com/api/v3":  "https://github.example.com",
		"https://api.acme.ghe.com":           "https://acme.ghe.com",
		"https://api.github.example.com":     "https://api.github.example.com", // a server may be called so
		"https://GitHub.Example.com/api/v3/": "https://github.example.com",
		"http://127.0.0.1:8081/api/v3":       "http://127.0.0.1:8081",
		"http://github.example.com/api/v3":   "",
		"https://":                           "",
		"github.com":                         "",
		"ftp://github.com":                   "",
	} {
		r := resolved{settings: settings{GitHub: github}}
		if err := r.resolveWeb(); r.web != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q (%v), want %q", github, r.web, err, want)
		}
	}
}

func TestThePublicOriginIsCanonical(t *testing.T) {
	for url, want := range map[string]string{
		"https://Curfew.Example.com:443/": "https://curfew.example.com",
		"http://127.0.0.1:8080":           "http://127.0.0.1:8080",
		"http://127.0.0.1:0":              "http://127.0.0.1:0", // the listener's port comes later
		"http://example.com:0":            "",
		"":                                "",
	} {
		r := resolved{settings: settings{URL: url}}
		if err := r.resolveURL(); (err == nil) != (want != "") || err == nil && r.url != want {
			t.Errorf("%q: %q (%v), want %q", url, r.url, err, want)
		}
	}
}

func TestOperatorsTokensAreReadByTheLine(t *testing.T) {
	const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // of abc
	for content, want := range map[string]int{
		digest:                                   1,
		digest + "\n":                            1,
		"\n " + strings.ToUpper(digest) + "\r\n": 1,
		digest + "\n\n" + digest + "\n":          2,
		digest + "  -\n":                         0, // as sha256sum prints it
		digest[1:]:                               0,
		digest + "00":                            0,
		strings.Repeat("x", 64):                  0,
		"\n\n":                                   0,
		"":                                       0,
	} {
		path := filepath.Join(t.TempDir(), "operators")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		r := resolved{settings: settings{OperatorToken: path}}
		err := r.resolveOperators()
		if (err == nil) != (want > 0) || err == nil && len(r.operators) != want {
			t.Errorf("%q: %d tokens (%v), want %d", content, len(r.operators), err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "make one with: printf") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestTrustedProxies(t *testing.T) {
	r := resolved{settings: settings{TrustedProxy: []string{"10.1.2.3/8", "fd00::/8"}}}
	if err := r.resolveProxies(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range r.proxies {
		got = append(got, p.String())
	}
	if diff := cmp.Diff([]string{"10.0.0.0/8", "fd00::/8"}, got); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []string{"10.0.0.1", "10.0.0.0/33", "proxy.example.com", ""} {
		r := resolved{settings: settings{TrustedProxy: []string{wrong}}}
		if err := r.resolveProxies(); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
