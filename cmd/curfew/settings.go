package main

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// settings is `curfew serve` as configured: flags, or CURFEW_* variables.
type settings struct {
	URL            string   `name:"url" help:"This server's public https origin, and the only OIDC audience it accepts (http only on loopback; there, port 0 takes the port of --listen)." placeholder:"ORIGIN"`
	Listen         string   `default:"127.0.0.1:8080" help:"Address of the public face; port 0 picks one, logged as listening url=..."`
	TLSCertificate string   `name:"tls-certificate" help:"PEM file: serve TLS with this certificate." type:"path" placeholder:"FILE"`
	TLSKey         string   `name:"tls-key" help:"PEM file: the key of --tls-certificate." type:"path" placeholder:"FILE"`
	TrustedProxy   []string `name:"trusted-proxy" help:"Network (CIDR) of proxies whose X-Forwarded-For is believed; repeatable." placeholder:"CIDR"`
	AppID          string   `name:"app-id" help:"The GitHub App: client id or app id." placeholder:"ID"`
	AppKey         string   `name:"app-key" help:"PEM file of the App's private key, not readable by everybody; or CURFEW_APP_KEY_PEM holds its content." type:"path" placeholder:"FILE"`
	Issuer         []string `default:"https://token.actions.githubusercontent.com" help:"Accepted OIDC issuer; repeatable (https, or http on loopback)."`
	GitHub         string   `name:"github" default:"https://api.github.com" help:"GitHub's API (GitHub Enterprise Server: https://HOST/api/v3)."`
	CACertificate  string   `name:"ca-certificate" help:"PEM file of further roots for issuer and API." type:"path" placeholder:"FILE"`
	Policy         string   `help:"The operator's policy directory: one file per owner served." type:"path" placeholder:"DIR"`
	Database       string   `default:"sqlite:curfew.db" help:"The ledger: sqlite:PATH."`
	SealKey        string   `name:"seal-key" help:"File of the key that seals tokens at rest; made beside the SQLite file if not given." type:"path" placeholder:"FILE"`
	AuditKey       string   `name:"audit-key" help:"File of the key that signs the audit log; made beside the SQLite file if not given." type:"path" placeholder:"FILE"`
	OperatorToken  string   `name:"operator-token" help:"File with the SHA-256 (hex, one a line) of the tokens that may use the operators' routes." type:"path" placeholder:"FILE"`
	Log            string   `default:"info,json" help:"Level (debug, info, warn, error) and format (json, text)."`
}

// resolved is what settings come to once files are read and values parsed.
type resolved struct {
	settings
	url       string
	web       string
	appKey    crypto.Signer
	roots     *x509.CertPool
	operators [][32]byte
	proxies   []netip.Prefix
	sqlite    string
	now       func() time.Time
}

// appKeyVariable holds the App's key itself, for containers without files.
const appKeyVariable = "CURFEW_APP_KEY_PEM"

// resolve checks every setting and names all that are missing or wrong at once.
func (s settings) resolve(getenv func(string) string) (resolved, error) {
	r := resolved{settings: s, now: time.Now}
	var wrong faults
	wrong.note("--url", r.resolveURL())
	wrong.note("--listen", checkListen(s.Listen))
	wrong.note("--tls-certificate", r.checkTLS())
	wrong.note("--app-id", required(s.AppID, "the App's client id or app id, from the App's settings page"))
	wrong.note("--app-key", r.resolveAppKey(getenv))
	wrong.note("--policy", r.checkPolicy())
	wrong.note("--github", r.resolveWeb())
	wrong.note("--ca-certificate", r.resolveRoots())
	wrong.note("--database", r.resolveDatabase())
	wrong.note("--operator-token", r.resolveOperators())
	wrong.note("--trusted-proxy", r.resolveProxies())
	if _, err := newLog(io.Discard, s.Log); err != nil {
		wrong.note("--log", err)
	}
	return r, wrong.err()
}

// faults gathers what is wrong, a line each.
type faults []string

func (f *faults) note(flag string, err error) {
	if err != nil {
		*f = append(*f, flag+": "+err.Error())
	}
}

func (f faults) err() error {
	switch len(f) {
	case 0:
		return nil
	case 1:
		return wrongUse{errors.New(f[0])}
	}
	return wrongUse{fmt.Errorf("%d settings are missing or wrong:\n  %s", len(f), strings.Join(f, "\n  "))}
}

func required(value, what string) error {
	if value == "" {
		return errors.New("missing; give " + what)
	}
	return nil
}

func (r *resolved) resolveURL() (err error) {
	if err := required(r.URL, "this server's public origin, such as https://curfew.example.com"); err != nil {
		return err
	}
	if host, ok := strings.CutSuffix(r.URL, ":0"); ok {
		_, err = api.Origin(host) // the port comes from the listener
		r.url = r.URL
	} else {
		r.url, err = api.Origin(r.URL)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", redactURL(r.URL), err)
	}
	return nil
}

func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not of the form HOST:PORT, such as 127.0.0.1:8080", address)
	}
	return nil
}

// checkTLS finds out before the first client does whether certificate and key fit.
func (r *resolved) checkTLS() error {
	if r.TLSCertificate == "" && r.TLSKey == "" {
		return nil
	}
	if r.TLSCertificate == "" || r.TLSKey == "" {
		return errors.New("--tls-certificate and --tls-key are given together or not at all")
	}
	certificate, err := os.ReadFile(r.TLSCertificate)
	if err != nil {
		return err
	}
	key, err := secret.ReadFile(r.TLSKey)
	if err != nil {
		return fmt.Errorf("--tls-key: %w", err)
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		return fmt.Errorf("%s and %s are no certificate and its key in PEM: %w", r.TLSCertificate, r.TLSKey, err)
	}
	return nil
}

func (r *resolved) resolveAppKey(getenv func(string) string) error {
	pem := []byte(getenv(appKeyVariable))
	switch {
	case r.AppKey != "" && len(pem) > 0:
		return fmt.Errorf("both --app-key and %s are set; keep one", appKeyVariable)
	case len(pem) > 0:
	case r.AppKey == "":
		return fmt.Errorf("missing; give the PEM file that GitHub made for the App, or its content in %s", appKeyVariable)
	default:
		var err error
		if pem, err = secret.ReadFile(r.AppKey); err != nil {
			return err
		}
	}
	var err error
	r.appKey, err = githubapp.ParseKey(pem)
	return err
}

func (r *resolved) checkPolicy() error {
	if err := required(r.Policy, "the directory with one policy file per owner served"); err != nil {
		return err
	}
	st, err := os.Stat(r.Policy)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no directory %s", r.Policy)
	case err == nil && !st.IsDir():
		return fmt.Errorf("%s is not a directory", r.Policy)
	}
	return err
}

// resolveWeb finds the web pages' origin that belongs to the API: that is how resources are named.
func (r *resolved) resolveWeb() error {
	u, err := url.Parse(r.GitHub)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is not of the form https://HOST or https://HOST/api/v3", redactURL(r.GitHub))
	}
	host := u.Host
	switch sub, isData := strings.CutPrefix(u.Hostname(), "api."); {
	case host == "api.github.com":
		host = "github.com"
	case isData && strings.HasSuffix(sub, ".ghe.com"):
		host = sub
	}
	if r.web, err = api.Origin(u.Scheme + "://" + host); err != nil {
		return fmt.Errorf("%q: %w", r.GitHub, err)
	}
	return nil
}

func (r *resolved) resolveRoots() error {
	if r.CACertificate == "" {
		return nil
	}
	pem, err := os.ReadFile(r.CACertificate)
	if err != nil {
		return err
	}
	if r.roots, err = x509.SystemCertPool(); err != nil {
		r.roots = x509.NewCertPool()
	}
	if !r.roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no PEM certificate", r.CACertificate)
	}
	return nil
}

func (r *resolved) resolveDatabase() error {
	path, ok := strings.CutPrefix(r.Database, "sqlite:")
	if !ok || path == "" {
		return fmt.Errorf("%q is not of the form sqlite:PATH", redactURL(r.Database))
	}
	r.sqlite = path
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if st, err := os.Stat(filepath.Dir(path)); err != nil || !st.IsDir() {
		return fmt.Errorf("there is no directory %s to make the file in", filepath.Dir(path))
	}
	return nil
}

// redactURL keeps a password in a database URL out of the error.
func redactURL(text string) string {
	if u, err := url.Parse(text); err == nil {
		return u.Redacted()
	}
	return "the value"
}

func (r *resolved) resolveOperators() error {
	if r.OperatorToken == "" {
		return nil
	}
	content, err := os.ReadFile(r.OperatorToken)
	if err != nil {
		return err
	}
	n := 0
	for line := range bytes.Lines(content) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		digest, err := hex.DecodeString(string(line))
		if err != nil || len(digest) != sha256.Size {
			return fmt.Errorf("%s:%d is not a SHA-256 in hex; make one with: %s", r.OperatorToken, n, makeDigest)
		}
		r.operators = append(r.operators, [sha256.Size]byte(digest))
	}
	if len(r.operators) == 0 {
		return fmt.Errorf("%s holds no SHA-256 in hex; make one with: %s", r.OperatorToken, makeDigest)
	}
	return nil
}

const makeDigest = `printf %s "$TOKEN" | sha256sum | cut -d' ' -f1`

func (r *resolved) resolveProxies() error {
	for _, text := range r.TrustedProxy {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("%q is not a network such as 10.0.0.0/8", text)
		}
		r.proxies = append(r.proxies, network.Masked())
	}
	return nil
}
