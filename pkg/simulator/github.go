// Package simulator is GitHub as a token exchanger meets it: Apps and their
// installations, tokens minted and revoked, a few routes of the REST API under
// a token's real permissions, the OIDC issuer of Actions, webhooks, and faults.
//
// It serves two handlers. [GitHub.Handler] is GitHub's face and follows what
// GitHub documents, including the parts that hurt: a list left out of a mint
// means everything, a token dies only by its own hand, nothing is redelivered.
// [GitHub.Manage] is the back door, for a listener of its own: it sets the
// stage, injects faults and tells the ground truth, which is the log of mints
// and deletes. Whatever a product claims about its tokens is checked against
// that log.
//
// The package shares no code with the product it tests, because the two would
// then agree about each other's mistakes.
package simulator

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// unsetURL stands for the public base URL until SetURL names one.
const unsetURL = "http://github.invalid"

// Options are what a simulated GitHub takes from outside.
type Options struct {
	Now func() time.Time // the clock; nil means time.Now
	Log io.Writer        // gets one line a request, without secrets; nil means none
}

// GitHub is one simulated GitHub. Its methods may be called from many
// goroutines at once.
type GitHub struct {
	now    func() time.Time
	mux    *http.ServeMux
	manage *http.ServeMux
	faults faultList
	calls  callLog
	keys   keyring
	checks assertionCache
	hook   webhook
	git    gitHost

	mu            sync.Mutex // guards everything below
	base          string
	ids           map[string]int64
	accounts      map[int64]*account
	repositories  map[int64]*repository
	names         map[string]*repository // by lower-case owner/name, former names included
	apps          map[int64]*app
	installations map[int64]*installation
	jobs          map[int64]*job
	runs          map[int64][]*job // of all attempts
	mints         []Mint
	deletes       []Delete
	tokens        map[string]int // index into mints
	longTokens    bool
	lifetime      time.Duration
	rates         map[string]*rate
	rateLimit     int
}

// New returns an empty GitHub: no owner, no App, no fault.
func New(o Options) *GitHub {
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &GitHub{
		now:           o.Now,
		calls:         callLog{out: o.Log},
		base:          unsetURL,
		ids:           map[string]int64{},
		accounts:      map[int64]*account{},
		repositories:  map[int64]*repository{},
		names:         map[string]*repository{},
		apps:          map[int64]*app{},
		installations: map[int64]*installation{},
		jobs:          map[int64]*job{},
		runs:          map[int64][]*job{},
		tokens:        map[string]int{},
		longTokens:    true,
		lifetime:      time.Hour,
		rates:         map[string]*rate{},
	}
	g.hook.now = g.now
	g.hook.lost = func() bool { return g.faults.take(webhookRoute).Route != "" }
	g.mux = g.newMux()
	g.manage = g.newManageMux()
	return g
}

// SetURL says under which public base URL, without a trailing slash, the
// handler is served. URLs in answers and the issuer's name follow it.
func (g *GitHub) SetURL(base string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.base = strings.TrimSuffix(base, "/")
}

// Issuer is the name of the OIDC issuer, shaped as on GitHub Enterprise Server.
// https://docs.github.com/en/enterprise-server/actions/concepts/security/openid-connect
func (g *GitHub) Issuer() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.base + issuerPath
}

// newID returns the id that was given, or the next free one of its kind.
func newID[T any](g *GitHub, given int64, kind string, first int64, taken map[int64]T) (int64, error) {
	if given < 0 {
		return 0, fmt.Errorf("%s id %d is negative", kind, given)
	}
	if given > 0 {
		if _, ok := taken[given]; ok {
			return 0, fmt.Errorf("%s id %d is taken", kind, given)
		}
		return given, nil
	}
	id := max(g.ids[kind], first)
	for _, ok := taken[id]; ok; _, ok = taken[id] {
		id++
	}
	g.ids[kind] = id + 1
	return id, nil
}
