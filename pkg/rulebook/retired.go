package rulebook

import (
	"context"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/secret"
)

const (
	revokeTime  = 10 * time.Second
	revokeTries = 2
	revokers    = 8
)

// retired are reader tokens that wait to be revoked.
type retired struct {
	mu      sync.Mutex
	tokens  []secret.Text
	running bool
}

func (q *retired) add(r *reader, held bool) {
	if !held {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tokens) < maxKept { // beyond, GitHub has failed for long, and its hour must do
		q.tokens = append(q.tokens, r.token)
	}
}

func (q *retired) take() (secret.Text, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tokens) == 0 {
		q.running = false
		return secret.Text{}, false
	}
	token := q.tokens[0]
	q.tokens = q.tokens[1:]
	return token, true
}

// retire has a reader's token revoked in the background, one at a time.
func (b *Book) retire(r *reader, held bool) {
	b.retired.add(r, held)
	b.retired.mu.Lock()
	defer b.retired.mu.Unlock()
	if b.retired.running || len(b.retired.tokens) == 0 {
		return
	}
	b.retired.running = b.work.start(func() {
		for token, ok := b.retired.take(); ok; token, ok = b.retired.take() {
			b.revoke(context.Background(), token)
		}
	})
}

// revokeRetired revokes all that wait, several at a time, and returns how many it could not.
func (b *Book) revokeRetired(ctx context.Context) int {
	var group sync.WaitGroup
	var mu sync.Mutex
	left := 0
	for range revokers {
		group.Go(func() {
			for token, ok := b.retired.take(); ok; token, ok = b.retired.take() {
				if !b.revoke(ctx, token) {
					mu.Lock()
					left++
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return left
}

func (b *Book) revoke(ctx context.Context, token secret.Text) bool {
	ctx, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	var err error
	for range revokeTries {
		if _, err = b.github.Revoke(ctx, token); err == nil {
			return true
		}
	}
	b.log.Warn("a reader token could not be revoked; it ends within an hour", "error", err)
	return false
}
