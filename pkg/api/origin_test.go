package api_test

import (
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/api"
)

func TestOriginHasOneSpelling(t *testing.T) {
	for raw, want := range map[string]string{
		"https://curfew.example.com":        "https://curfew.example.com",
		"https://curfew.example.com/":       "https://curfew.example.com",
		"HTTPS://Curfew.Example.COM":        "https://curfew.example.com",
		"https://curfew.example.com:443":    "https://curfew.example.com",
		"https://curfew.example.com:0443/":  "https://curfew.example.com",
		"https://curfew.example.com:8443":   "https://curfew.example.com:8443",
		"https://curfew.example.com:80":     "https://curfew.example.com:80",
		"http://127.0.0.1:8080":             "http://127.0.0.1:8080",
		"http://localhost:80/":              "http://localhost",
		"http://[::1]:8080":                 "http://[::1]:8080",
		"http://[::1]":                      "http://[::1]",
		"https://[2001:DB8:0::1]:443":       "https://[2001:db8::1]",
		"https://xn--bcher-kva.example:444": "https://xn--bcher-kva.example:444",
	} {
		if got, err := api.Origin(raw); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", raw, got, err, want)
		}
	}
}

func TestOriginRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"nothing":                       "",
		"a host alone":                  "curfew.example.com",
		"plain http to another machine": "http://curfew.example.com",
		"http to a name like loopback":  "http://localhost.example.com",
		"http to 128.0.0.1":             "http://128.0.0.1",
		"another scheme":                "ftp://curfew.example.com",
		"a path":                        "https://curfew.example.com/v1",
		"a query":                       "https://curfew.example.com?a=b",
		"an empty query":                "https://curfew.example.com?",
		"a fragment":                    "https://curfew.example.com#a",
		"an empty fragment":             "https://curfew.example.com#",
		"a user":                        "https://me:hunter2@curfew.example.com",
		"no host":                       "https://",
		"a port alone":                  "https://:8080",
		"port 0":                        "https://curfew.example.com:0",
		"port 65536":                    "https://curfew.example.com:65536",
		"an umlaut":                     "https://bücher.example",
		"a newline":                     "https://curfew.example.com\n",
		"an escaped slash":              "https://curfew.example.com%2fevil",
		"an IPv6 zone":                  "https://[fe80::1%25eth0]",
		"a broken URL with a password":  "https://me:hunter2@a b",
	} {
		got, err := api.Origin(raw)
		if err == nil {
			t.Errorf("%s is taken as %q", name, got)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats a password: %v", name, err)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{"https://a.example:443/", "http://[::1]:80", "https://A", "http://localhost", "//", "https://a:b@c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once, err := api.Origin(raw)
		if err != nil {
			return
		}
		if twice, err := api.Origin(once); err != nil || twice != once {
			t.Errorf("%q becomes %q, then %q (%v)", raw, once, twice, err)
		}
		if once != strings.ToLower(once) || strings.ContainsAny(once, " \r\n@?#") || strings.Count(once, "/") != 2 {
			t.Errorf("%q becomes %q", raw, once)
		}
	})
}
