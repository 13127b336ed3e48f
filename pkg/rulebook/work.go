package rulebook

import (
	"context"
	"sync"
)

// work counts what runs behind callers' backs, so that Close can wait for it.
type work struct {
	mu     sync.Mutex
	group  sync.WaitGroup
	closed bool
}

// start runs f on its own, unless the book is closed.
func (w *work) start(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.group.Go(f)
	return true
}

func (w *work) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *work) close(ctx context.Context) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	done := make(chan struct{})
	go func() {
		w.group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
