package rulebook

import (
	"sync"
	"time"
)

// sampled is how many entries are looked at to find one that has not been used for long.
const sampled = 16

// kept is a map of at most [maxKept] entries. To make room it lets go of the
// one that was used longest ago among a few picked at random, which costs the
// same however many there are.
type kept[V comparable] struct {
	evict func(V) // is told of what is let go

	mu      sync.Mutex
	max     int // 0: maxKept
	entries map[string]*entry[V]
}

type entry[V comparable] struct {
	value V
	used  time.Time
}

// get returns the entry under key, made if there is none.
func (k *kept[V]) get(key string, now time.Time, make func() V) V {
	k.mu.Lock()
	if e := k.entries[key]; e != nil {
		defer k.mu.Unlock()
		e.used = now
		return e.value
	}
	evicted := k.makeRoom()
	e := &entry[V]{make(), now}
	if k.entries == nil {
		k.entries = map[string]*entry[V]{}
	}
	k.entries[key] = e
	k.mu.Unlock()
	if evicted != nil {
		k.evict(evicted.value)
	}
	return e.value
}

func (k *kept[V]) makeRoom() *entry[V] {
	limit := k.max
	if limit == 0 {
		limit = maxKept
	}
	if len(k.entries) < limit {
		return nil
	}
	var oldest *entry[V]
	var name string
	looked := 0
	for key, e := range k.entries { // in random order
		if oldest == nil || e.used.Before(oldest.used) {
			oldest, name = e, key
		}
		if looked++; looked == sampled {
			break
		}
	}
	delete(k.entries, name)
	return oldest
}

// remove lets go of the value under key if it still is that one.
func (k *kept[V]) remove(key string, value V) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.entries[key]; e != nil && e.value == value {
		delete(k.entries, key)
	}
}

func (k *kept[V]) all() []V {
	k.mu.Lock()
	defer k.mu.Unlock()
	values := make([]V, 0, len(k.entries))
	for _, e := range k.entries {
		values = append(values, e.value)
	}
	return values
}
