package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/lease"
)

// A server that dies at any step of an exchange or of an ending leaves no
// token alive but those of leases that it still ends, and those of leases that
// say that there may be one. GitHub's own log is what counts.
func TestKilledAtEachStep(t *testing.T) {
	binary := buildWithFailpoints(t)
	runs := 50
	if testing.Short() {
		runs = 5
	}
	var mu sync.Mutex
	var phases []*phase
	steps := func(work func(*wreck, *phase), steps ...string) func(*testing.T) {
		return func(t *testing.T) {
			t.Parallel()
			w := newWreck(t, binary)
			h := &histories{wreck: w, of: map[string]*history{}}
			var here []*phase
			for _, step := range steps {
				here = append(here, w.crash(h, step, runs, work))
			}
			w.recover(h)
			w.expire(h)
			h.conserved()
			h.attribute(here)
			mu.Lock()
			defer mu.Unlock()
			phases = append(phases, here...)
		}
	}
	t.Run("steps", func(t *testing.T) {
		t.Run("of an ending", steps((*wreck).elevateAndEnd, "revoked", "probed", "ending", "ended"))
		t.Run("of an exchange", steps((*wreck).elevateAgain, "verified", "decided", "intended", "minted", "compared", "issued"))
	})
	t.Log("\n" + countsOf(phases))
}

// A phase is the runs that kill the server at one step.
type phase struct {
	step         string
	from, until  time.Time
	runs, killed int
	unanswered   []string // OIDC tokens to which the last life gave no answer
	replayed     int      // of them, those that were used up

	// Of the leases that began in this phase, at the very end.
	leases, issued, indeterminate, terminal int
	minted                                  int // tokens for leases
	lost                                    int // of them, those that no lease knows
	readers                                 int // tokens for reading policy files, never revoked
}

// crash lets the server die at a step again and again; each start is the restart of the run before.
func (w *wreck) crash(h *histories, step string, runs int, work func(*wreck, *phase)) *phase {
	w.t.Helper()
	p := &phase{step: step, from: time.Now(), runs: runs}
	for run := range runs {
		if h.count(lease.Ending) > 0 && run%5 > 0 {
			w.calm(h)
		}
		w.begin(fmt.Sprintf("%s:%d", step, 1+run%3))
		h.hold()
		work(w, p)
		if w.life.killed(30 * time.Second) {
			p.killed++
		} else {
			_ = w.life.command.Process.Signal(syscall.SIGQUIT) // what it waits for stands in its log then
			<-w.life.over
			w.t.Fatalf("%s, run %d: the server was not killed", step, run)
		}
		w.auditVerifies()
		h.follow()
	}
	p.until = time.Now()
	w.t.Logf("%s: %d kills in %s", step, p.killed, p.until.Sub(p.from).Round(time.Second))
	return p
}

// calm is a life in which endings that were cut short are tried again, so that
// the next life does not meet its failpoint in its first sweep.
func (w *wreck) calm(h *histories) {
	w.t.Helper()
	w.begin("")
	h.hold()
	w.eventually("every ending has killed its token", func() bool { return h.alive(lease.Ending) == 0 })
	w.stopGracefully()
}

// elevateAgain sends three new requests at once, and again those to which the last life gave no answer.
func (w *wreck) elevateAgain(p *phase) {
	again := p.unanswered
	p.unanswered = nil
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, oidc := range append(again, w.idToken(), w.idToken(), w.idToken()) {
		all.Go(func() {
			_, status, code := w.elevate(oidc)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case status == 0:
				p.unanswered = append(p.unanswered, oidc)
			case code == "replayed" && slices.Contains(again, oidc):
				p.replayed++
			case status != http.StatusOK:
				w.t.Errorf("%s: a client gets %d %s", p.step, status, code)
			}
		})
	}
	all.Wait()
}

// elevateAndEnd gets three tokens and ends them, by token or by handle.
func (w *wreck) elevateAndEnd(p *phase) {
	var all sync.WaitGroup
	for i, oidc := range []string{w.idToken(), w.idToken(), w.idToken()} {
		all.Go(func() {
			got, status, code := w.elevate(oidc)
			if status != 0 && status != http.StatusOK {
				w.t.Errorf("%s: a client gets %d %s", p.step, status, code)
			}
			if status != http.StatusOK {
				return
			}
			end := got.AccessToken
			if i == 0 {
				end = got.RevocationHandle
			}
			var answer struct{ Code string }
			if status := w.request(http.MethodPost, api.PathRevoke, url.Values{"token": {end}}, &answer); status != 0 && status != http.StatusOK {
				w.t.Errorf("%s: a revocation gets %d %s", p.step, status, answer.Code)
			}
		})
	}
	all.Wait()
}
