package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// TestFetcherRefuses: what an issuer, or somebody in its place, may answer and
// is not believed. The good issuer beside it shows that nothing else is wrong.
func TestFetcherRefuses(t *testing.T) {
	tests := []struct {
		name string
		bend func(i *issuer)
		told string // in the cause, for the log
	}{
		{"discovery that redirects", func(i *issuer) { i.discovery = redirect(i.URL + "/elsewhere") }, "answered 302"},
		{"a key set that redirects", func(i *issuer) { i.keySet = redirect(i.URL + "/elsewhere") }, "answered 302"},
		{"discovery of another issuer", func(i *issuer) {
			i.discovery = answer(`{"issuer":"https://evil.example","jwks_uri":"` + i.URL + `/keys"}`)
		}, "another issuer"},
		{"a jwks_uri on another host", func(i *issuer) { i.discovery = discovery(i, "http://127.0.0.2:1/keys") }, "not on the issuer's host"},
		{"a jwks_uri on another port", func(i *issuer) { i.discovery = discovery(i, "http://127.0.0.1:1/keys") }, "not on the issuer's host"},
		{"a jwks_uri of another scheme", func(i *issuer) {
			i.discovery = discovery(i, strings.Replace(i.URL, "http", "https", 1)+"/keys")
		}, "not on the issuer's host"},
		{"a jwks_uri with a user", func(i *issuer) {
			i.discovery = discovery(i, strings.Replace(i.URL, "//", "//me@", 1)+"/keys")
		}, "not on the issuer's host"},
		{"no jwks_uri", func(i *issuer) { i.discovery = answer(`{"issuer":"` + i.URL + `"}`) }, "not on the issuer's host"},
		{"discovery that is not JSON", func(i *issuer) { i.discovery = answer("<html>") }, "discovery"},
		{"discovery over 1 MiB", func(i *issuer) {
			i.discovery = answer(`{"issuer":"` + i.URL + `","jwks_uri":"` + i.URL + `/keys"}` + strings.Repeat(" ", maxBody))
		}, "more than 1048576"},
		{"a key set over 1 MiB", func(i *issuer) {
			i.keySet = answer(string(keySetText(i.keys...)) + strings.Repeat(" ", maxBody))
		}, "more than 1048576"},
		{"a key set that is cut", func(i *issuer) { i.keySet = answer(`{"keys":[{"kty":"RSA"`) }, "key set"},
		{"an empty key set", func(i *issuer) { i.keySet = answer(`{"keys":[]}`) }, "holds no key"},
		{"an error", func(i *issuer) { i.keySet = http.NotFound }, "answered 404"},
		{"a cut connection", func(i *issuer) { i.keySet = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) } }, "EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := newIssuer(t)
			if _, err := i.verifier(t, atNoon).Verify(t.Context(), i.draft().String()); err != nil {
				t.Fatalf("before: %v", err)
			}
			test.bend(i)
			_, err := i.verifier(t, atNoon).Verify(t.Context(), i.draft().String())
			detail := refused(t, err, problem.IssuerUnavailable)
			if strings.Contains(detail, test.told) || !strings.Contains(err.Error(), test.told) {
				t.Errorf("%q should stand in the cause alone: %v", test.told, err)
			}
		})
	}
}

func answer(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, text); err != nil {
			panic(http.ErrAbortHandler) // the client hung up
		}
	}
}

func discovery(i *issuer, jwksURI string) func(http.ResponseWriter, *http.Request) {
	return answer(fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, i.URL, jwksURI))
}

func redirect(to string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAHangingIssuerIsGivenUpAfter5Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		s := newSource(&url.URL{Scheme: "https", Host: "issuer.example"}, &http.Client{Transport: hang})
		began := time.Now()
		_, err := s.fetch(context.Background())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestTheCallersClientKeepsItsRedirects(t *testing.T) {
	lent := &http.Client{}
	newSource(&url.URL{Scheme: "https", Host: "issuer.example"}, lent)
	if lent.CheckRedirect != nil {
		t.Error("the lent client was changed")
	}
}
