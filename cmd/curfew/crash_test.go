package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

var crashRuns = flag.Int("crashes", 50, "how often the server is killed at each step")

// A server that dies at any step of an exchange or of an ending leaves no
// token alive but those of leases that it still ends, and those of leases that
// say that there may be one. GitHub's own log is what counts.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	binary := buildWithFailpoints(t)
	runs := *crashRuns
	if testing.Short() {
		runs = min(runs, 5)
	}
	var mu sync.Mutex
	var phases []*phase
	steps := func(work func(*wreck, *phase), steps ...string) func(*testing.T) {
		return func(t *testing.T) {
			t.Parallel()
			w := newWreck(t, binary)
			h := newHistories(w.world)
			var here []*phase
			for _, step := range steps {
				here = append(here, w.crash(h, step, runs, work))
			}
			w.recover(h)
			w.expire(h)
			h.conserved(w.clients)
			h.attribute(here)
			mu.Lock()
			defer mu.Unlock()
			phases = append(phases, here...)
		}
	}
	t.Run("steps", func(t *testing.T) {
		t.Run("of an ending", steps((*wreck).elevateAndEnd, "revoked", "probed", "ending", "ended"))
		t.Run("of an exchange", steps((*wreck).elevateAgain, "verified", "decided", "intended", "minted", "compared", "issued"))
		t.Run("of a curfew", func(t *testing.T) { killedAtACurfew(t, newWreck(t, binary)) })
		t.Run("none, but asked to stop under load", func(t *testing.T) { stoppedUnderLoad(t, newWreck(t, binary)) })
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
		for round := 1; !w.life.ends(3 * time.Second); round++ {
			if round == 5 {
				_ = w.life.command.Process.Signal(syscall.SIGQUIT) // what it waits for stands in its log then
				<-w.life.over
				break
			}
			work(w, p) // a client failed before the step
		}
		if !w.life.killed() {
			w.t.Fatalf("%s, run %d: the server was not killed: %v", step, run, w.life.state)
		}
		p.killed++
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

// elevateAgain sends three new requests at once, and again some of those to which the last life gave no answer.
func (w *wreck) elevateAgain(p *phase) {
	again := p.unanswered[max(0, len(p.unanswered)-3):]
	p.unanswered = nil
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, oidc := range append(slices.Clone(again), w.idToken(), w.idToken(), w.idToken()) {
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

// A token whose curfew is five seconds is dead within ten, even if the server
// that was ending it died and another had to.
func killedAtACurfew(t *testing.T, w *wreck) {
	t.Parallel()
	w.begin("ending")
	got, status, code := w.elevate(w.idToken())
	issued := time.Now()
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, code)
	}
	if !w.life.ends(20*time.Second) || !w.life.killed() {
		t.Fatal("the server was not killed at the curfew")
	}
	if !w.github.Alive(got.AccessToken) {
		t.Fatal("the token died with the server; the test proves nothing")
	}
	w.begin("")
	w.eventually("the token is dead", func() bool { return !w.github.Alive(got.AccessToken) })
	if took := time.Since(issued); took > 10*time.Second {
		t.Errorf("a curfew of five seconds took %s", took)
	}
	w.stopGracefully()
}

// stoppedUnderLoad asks a server to stop while many exchanges are under way.
// Whatever it had begun it finishes: each token minted reaches its client.
func stoppedUnderLoad(t *testing.T, w *wreck) {
	t.Parallel()
	w.github.Inject(simulator.Fault{Route: "mint", Delay: 50 * time.Millisecond})
	w.begin("")
	var refused atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for status, code := http.StatusOK, ""; status != 0; {
				if _, status, code = w.elevate(w.idToken()); status == http.StatusServiceUnavailable && code == "draining" {
					refused.Add(1)
				} else if status != 0 && status != http.StatusOK {
					t.Errorf("a client gets %d %s", status, code)
				}
			}
		})
	}
	w.eventually("the load is on", func() bool { return len(w.github.Mints()) > 100 })
	w.stopGracefully()
	all.Wait()
	h := newHistories(w.world)
	h.follow()
	if issued := h.ever("issued"); issued != len(w.clients) || len(h.of) != issued {
		t.Errorf("%d leases were opened and %d issued; %d clients have a token", len(h.of), issued, len(w.clients))
	}
	if alive, readers := leaseTokens(w.github.AliveTokens()); len(h.without(alive, lease.Active)) > 0 || len(readers) > 0 {
		t.Errorf("%d tokens are alive without a lease, and %d that read policy files", len(h.without(alive, lease.Active)), len(readers))
	}
	t.Logf("%d exchanges, %d refused while draining", len(w.clients), refused.Load())
	w.recover(h)
	h.conserved(w.clients)
}
