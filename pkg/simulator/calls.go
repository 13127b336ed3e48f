package simulator

import (
	"fmt"
	"io"
	"sync"
)

// callLog remembers every request until it is reset.
type callLog struct {
	mu    sync.Mutex
	out   io.Writer
	calls []Call
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
	if l.out != nil {
		_, _ = fmt.Fprintln(l.out, c) // a log that can't be written changes nothing
	}
}

// Calls lists every request since the start or the last ResetCalls, in the
// order in which they were answered.
func (g *GitHub) Calls() []Call {
	g.calls.mu.Lock()
	defer g.calls.mu.Unlock()
	return append([]Call{}, g.calls.calls...)
}

// ResetCalls forgets the calls made so far.
func (g *GitHub) ResetCalls() {
	g.calls.mu.Lock()
	defer g.calls.mu.Unlock()
	g.calls.calls = nil
}
