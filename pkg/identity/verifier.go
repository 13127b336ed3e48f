package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// Options say whom a Verifier believes, and what it works with.
type Options struct {
	// Issuers are the OIDC issuers accepted, each compared byte for byte:
	// https (or http on loopback), host in lower case, no trailing slash. At least one.
	Issuers []string
	// Audience is the one aud accepted: this server's public origin.
	Audience string
	// HTTP lends its transport to the key fetcher, and with it roots and
	// proxies; nil means http.DefaultTransport. Redirects are never followed.
	HTTP *http.Client
	// Now is the clock.
	Now func() time.Time
	// Log gets the failures of reading keys, and which keys are not believed; nil drops them.
	Log *slog.Logger
}

// A Verifier turns the OIDC token of a GitHub Actions job into a Workload. It
// is safe for any number of callers at once.
type Verifier struct {
	audience string
	accepted string // the issuers, for telling
	issuers  map[string]*keySet
	now      func() time.Time
}

// NewVerifier makes a Verifier, or says which option is wrong. It asks no issuer anything yet.
func NewVerifier(o Options) (*Verifier, error) {
	if len(o.Issuers) == 0 {
		return nil, errors.New("no issuer is configured")
	}
	if o.Audience == "" {
		return nil, errors.New("no audience is configured")
	}
	if o.Now == nil {
		return nil, errors.New("no clock is given")
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{o.Audience, strings.Join(o.Issuers, ", "), map[string]*keySet{}, o.Now}
	for _, issuer := range o.Issuers {
		if v.issuers[issuer] != nil {
			return nil, fmt.Errorf("issuer %q is configured twice", issuer)
		}
		set, err := newKeySet(issuer, o)
		if err != nil {
			return nil, err
		}
		v.issuers[issuer] = set
	}
	return v, nil
}

// Warm reads every issuer's keys in advance and returns when all are read or
// have failed, within 5 s; failures are only logged, for a token asks again.
func (v *Verifier) Warm(ctx context.Context) {
	var wait sync.WaitGroup
	for _, set := range v.issuers {
		wait.Go(func() { set.warm(ctx) })
	}
	wait.Wait()
}

// Verify returns the workload that a raw OIDC token proves. What it costs
// grows with each step, so that a stranger's token costs little: no step before
// the key lookup leaves this process. Every error is a *problem.Problem.
//
// Whether the token's JTI was used before is the ledger's to say, and whether
// its owner is served is for the exchange.
func (v *Verifier) Verify(ctx context.Context, raw string) (Workload, error) {
	token, err := openToken(raw)
	if err != nil {
		return Workload{}, err
	}
	claims, err := readClaims(token.payload)
	if err != nil {
		return Workload{}, err
	}
	keys, err := v.keysOf(claims)
	if err != nil {
		return Workload{}, err
	}
	if err := checkAudience(claims, v.audience); err != nil {
		return Workload{}, err
	}
	validity, err := checkTimes(claims, v.now())
	if err != nil {
		return Workload{}, err
	}
	signer, err := keys.key(ctx, token.kid)
	if err != nil {
		return Workload{}, err
	}
	if _, err := signer.verifier.Verify(ctx, token.raw); err != nil {
		return Workload{}, problem.New(problem.BadSignature, "the token's signature is not the issuer's").WithCause(err)
	}
	return newWorkload(keys.issuer, validity, claims)
}

// keysOf picks the key set of a configured issuer; issuers are never learnt from a token.
func (v *Verifier) keysOf(claims object) (*keySet, error) {
	value, _ := claims.get("iss")
	iss, ok := value.(string)
	if !ok {
		return nil, problem.New(problem.WrongIssuer, "the claim iss must be a string; accepted: %s", v.accepted)
	}
	keys := v.issuers[iss]
	if keys == nil {
		return nil, problem.New(problem.WrongIssuer, "the claim iss is '%s'; accepted: %s", clip(iss), v.accepted)
	}
	return keys, nil
}
