package simulator

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Fault is a rule that spoils answers. Everything not said is as without it.
//
// Status, Body and Rate answer instead of GitHub, which then does no work,
// unless Cut is "after". Header alone is added to the real answer.
type Fault struct {
	Route string `json:"route"` // a route's name, as in Calls; "*" is all of them, "webhook" loses deliveries
	Times int    `json:"times"` // how often it strikes; 0 means for ever
	Skip  int    `json:"skip"`  // how many requests pass first

	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
	Rate   string            `json:"rate"` // "primary" or "secondary": GitHub's answer at its rate limits

	Delay time.Duration `json:"delay"` // before anything is done; a client that leaves doesn't stop the work
	Hang  bool          `json:"hang"`  // never answers; with Cut "after", not even when the work is done
	// Cut drops the connection: "before" any work, "after" the work and without
	// an answer (with Status: with that one), or "truncate" in the midst of the
	// body. Go's client repeats a GET or DELETE by itself when a kept connection
	// drops before the first byte of an answer.
	Cut       string `json:"cut"`
	Malformed bool   `json:"malformed"` // the work is done, the answer is not JSON

	// Wider makes a mint give more than was asked: "permissions",
	// "repositories", "all" of both, or a longer life ("expires").
	Wider      string        `json:"wider"`
	EmptyToken bool          `json:"empty_token"` // mint: the token is made, and not told
	LateDeath  time.Duration `json:"late_death"`  // revoke: the token works for that long after the 204
}

type activeFault struct {
	Fault
	seen int // requests that matched
}

type faultList struct {
	mu     sync.Mutex
	active []*activeFault
	last   int
}

// Inject adds a fault and returns its number. Of several that match a request,
// the oldest strikes. It panics on a rule that can't be meant.
func (g *GitHub) Inject(f Fault) (id int) {
	if err := f.check(); err != nil {
		panic("simulator: " + err.Error())
	}
	g.faults.mu.Lock()
	defer g.faults.mu.Unlock()
	g.faults.active = append(g.faults.active, &activeFault{Fault: f})
	g.faults.last++
	return g.faults.last
}

// ClearFaults removes every fault. What already hangs goes on hanging.
func (g *GitHub) ClearFaults() {
	g.faults.mu.Lock()
	defer g.faults.mu.Unlock()
	g.faults.active = nil
}

// check refuses rules that would silently never do what they say.
func (f Fault) check() error {
	for _, choice := range []struct{ name, value, a, b, c, d string }{
		{"cut", f.Cut, "before", "after", "truncate", ""},
		{"rate", f.Rate, "primary", "secondary", "", ""},
		{"wider", f.Wider, "permissions", "repositories", "all", "expires"},
	} {
		switch choice.value {
		case "", choice.a, choice.b, choice.c, choice.d:
		default:
			return fmt.Errorf("fault: %s is no kind of %s", choice.value, choice.name)
		}
	}
	if !isRoute(f.Route) {
		return fmt.Errorf("fault: no route %q", f.Route)
	}
	if f.Times < 0 || f.Skip < 0 || f.Delay < 0 || f.LateDeath < 0 {
		return fmt.Errorf("fault: a number is negative")
	}
	return nil
}

// take returns the fault that strikes this request, or none.
func (l *faultList) take(route string) Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.active {
		if f.Route != route && (f.Route != "*" || route == webhookRoute) {
			continue
		}
		if f.Times > 0 && f.seen >= f.Skip+f.Times {
			continue
		}
		if f.seen++; f.seen > f.Skip {
			return f.Fault
		}
	}
	return Fault{}
}

func (f Fault) delay(ctx context.Context) {
	if f.Delay == 0 {
		return
	}
	select {
	case <-time.After(f.Delay):
	case <-ctx.Done():
	}
}

func (f Fault) replaces() bool { return f.Status != 0 || f.Body != "" || f.Rate != "" }

// works tells whether GitHub does what it was asked.
func (f Fault) works() bool {
	return f.Cut == "after" || f.Cut == "truncate" || (f.Cut == "" && !f.Hang && !f.replaces())
}

// run does the work, or not, and spoils the answer.
func (f Fault) run(now time.Time, work func() answer) answer {
	a := reply(http.StatusOK, nil)
	if f.works() {
		a = work()
	}
	switch {
	case f.Rate != "":
		a = f.rateAnswer(now)
	case f.replaces():
		a = f.substitute()
	case f.Malformed:
		a.body, a.minted = []byte(`{"message": "this object is not clo`), ""
	}
	for name, value := range f.Header {
		a.header.Set(name, value)
	}
	switch {
	case f.Hang:
		a.ending = hung
	case f.Cut == "before", f.Cut == "after" && !f.replaces():
		a.ending = dropped
	case f.Cut == "truncate":
		a.ending = halved
	}
	if a.ending != whole {
		a.minted = ""
	}
	return a
}

// substitute is the answer that stands in for GitHub's.
func (f Fault) substitute() answer {
	status := f.Status
	if status == 0 {
		status = http.StatusOK
	}
	if f.Body == "" && status >= http.StatusBadRequest {
		return refuse(status, http.StatusText(status))
	}
	return reply(status, []byte(f.Body))
}
