package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

func keySetText(keys ...map[string]any) []byte {
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return b
}

// A fakeOrigin is an issuer without a network, whose answers take some time of a synctest bubble.
type fakeOrigin struct {
	mu      sync.Mutex
	kids    []string
	err     error
	takes   time.Duration
	fetches int
}

func (f *fakeOrigin) set(err error, kids ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.kids = err, kids
}

func (f *fakeOrigin) fetch(ctx context.Context) (map[string]key, error) {
	f.mu.Lock()
	f.fetches++
	err, takes, keys := f.err, f.takes, map[string]key{}
	for _, kid := range f.kids {
		keys[kid] = newKey("https://issuer.example", audience, &goodKey().PublicKey)
	}
	f.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return keys, nil
}

func (f *fakeOrigin) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fetches
}

// keySetTest runs a story about one key set with a clock that only waiting moves.
func keySetTest(t *testing.T, story func(t *testing.T, s *keySet, f *fakeOrigin)) {
	t.Helper()
	goodKey()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeOrigin{kids: []string{"a"}, takes: 100 * time.Millisecond}
		story(t, &keySet{issuer: "https://issuer.example", fetch: f.fetch, now: time.Now, log: slog.New(slog.DiscardHandler)}, f)
		synctest.Wait()
	})
}

func wait(d time.Duration) { <-time.After(d) }

func expect(t *testing.T, s *keySet, kid string, code problem.Code) {
	t.Helper()
	_, err := s.key(context.Background(), kid)
	switch {
	case code == "" && err != nil:
		t.Errorf("key %q: %v", kid, err)
	case code != "" && !problem.Is(err, code):
		t.Errorf("key %q: %v, want %s", kid, err, code)
	}
}

func expectFetches(t *testing.T, f *fakeOrigin, want int) {
	t.Helper()
	if got := f.count(); got != want {
		t.Errorf("%d fetches, want %d", got, want)
	}
}

func TestAskersShareOneFetch(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		var askers sync.WaitGroup
		for range 100 {
			askers.Go(func() { expect(t, s, "a", "") })
		}
		askers.Wait()
		expectFetches(t, f, 1)
	})
}

func TestUnknownKidsCauseOneFetchAMinute(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		expect(t, s, "a", "")
		for n := range 200 {
			expect(t, s, fmt.Sprint("forged", n), problem.UnknownKey)
			expect(t, s, "a", "")
		}
		expectFetches(t, f, 2)
		wait(fetchPause - time.Second)
		expect(t, s, "forged", problem.UnknownKey)
		expectFetches(t, f, 2)
		wait(time.Second)
		expect(t, s, "forged", problem.UnknownKey)
		expectFetches(t, f, 3)
	})
}

func TestUnknownKidsCauseOneFetchFromTheStart(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		for n := range 200 {
			expect(t, s, fmt.Sprint("forged", n), problem.UnknownKey)
		}
		expect(t, s, "a", "")
		expectFetches(t, f, 1)
	})
}

func TestRotationIsFoundAtOnce(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		expect(t, s, "a", "")
		f.set(nil, "a", "b")
		expect(t, s, "b", "")
		f.set(nil, "b", "c")
		expect(t, s, "c", "")
		expect(t, s, "a", problem.UnknownKey)
		expectFetches(t, f, 4)
	})
}

func TestKeysAreReadAgainBehindTheCallersBacks(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		expect(t, s, "a", "")
		wait(keysFresh - time.Second)
		expect(t, s, "a", "")
		expectFetches(t, f, 1)
		f.set(nil, "b")
		wait(time.Second)
		asked := time.Now()
		expect(t, s, "a", "")
		if time.Since(asked) != 0 {
			t.Error("a caller with a known key waited")
		}
		wait(time.Second)
		expectFetches(t, f, 2)
		expect(t, s, "a", problem.UnknownKey)
		expect(t, s, "b", "")
	})
}

func TestLastGoodKeysServeADay(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		expect(t, s, "a", "")
		f.set(errors.New("down"))
		for range 23*60 + 59 {
			wait(time.Minute)
			expect(t, s, "a", "")
		}
		wait(time.Second)
		if n := f.count(); n > 23*60+1 {
			t.Errorf("%d fetches, more than one a minute", n)
		}
		expect(t, s, "b", problem.IssuerUnavailable)
		wait(time.Minute)
		expect(t, s, "a", problem.IssuerUnavailable)
		f.set(nil, "a")
		wait(time.Minute)
		expect(t, s, "a", "")
	})
}

func TestFirstFetchIsRepeatedWithBackoff(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		f.takes = 0
		f.set(errors.New("down"))
		var at []time.Duration
		began := time.Now()
		for seen := 0; len(at) < 7; wait(time.Second) {
			expect(t, s, "a", problem.IssuerUnavailable)
			if n := f.count(); n > seen {
				seen = n
				at = append(at, time.Since(began))
			}
		}
		want := "[0s 5s 15s 35s 1m15s 2m15s 3m15s]"
		if got := fmt.Sprint(at); got != want {
			t.Errorf("fetches at %s, want %s", got, want)
		}
	})
}

func TestUnavailableSaysWhenToComeBack(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		f.set(errors.New("down"))
		_, err := s.key(context.Background(), "a")
		p := problem.From(err)
		if !p.Code.Retryable() || p.RetryAfter != firstBackoff {
			t.Errorf("%v, retryable %v after %v", err, p.Code.Retryable(), p.RetryAfter)
		}
		f.set(nil, "a")
		wait(p.RetryAfter)
		expect(t, s, "a", "")
	})
}

func TestACallerWhoLeavesLeavesTheFetch(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_, err := s.key(ctx, "a")
		refused(t, err, problem.IssuerUnavailable)
		expect(t, s, "a", "")
		expectFetches(t, f, 1)
	})
}

func TestABelievedKeyReplacesAWeakOne(t *testing.T) {
	keySetTest(t, func(t *testing.T, s *keySet, f *fakeOrigin) {
		s.fetch = func(ctx context.Context) (map[string]key, error) {
			keys, err := f.fetch(ctx)
			if f.count() == 1 {
				keys["a"] = key{weakness: "is weak"}
			}
			return keys, err
		}
		expect(t, s, "a", problem.UnknownKey)
		expect(t, s, "a", problem.UnknownKey)
		expectFetches(t, f, 1)
		wait(fetchPause)
		expect(t, s, "a", "")
	})
}

func Test200ForgedTokensMakeOneFetch(t *testing.T) {
	t.Run("200 forged tokens make one fetch", func(t *testing.T) {
		i := newIssuer(t)
		v := i.verifier(t, atNoon)
		good := i.draft().String()
		if _, err := v.Verify(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		before := i.fetched()
		var clients sync.WaitGroup
		for n := range 200 {
			forged := i.draft().head("kid", quote(fmt.Sprint("forged-", n))).String()
			clients.Go(func() {
				if _, err := v.Verify(t.Context(), forged); !problem.Is(err, problem.UnknownKey) {
					t.Errorf("forged: %v", err)
				}
				if _, err := v.Verify(t.Context(), good); err != nil {
					t.Errorf("good: %v", err)
				}
			})
		}
		clients.Wait()
		if n := i.fetched() - before; n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestWarmReadsEveryIssuer(t *testing.T) {
	up, down := newIssuer(t), newIssuer(t)
	down.keySet = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	v, err := NewVerifier(Options{Issuers: []string{down.URL, up.URL}, Audience: audience, Now: atNoon})
	if err != nil {
		t.Fatal(err)
	}
	v.Warm(t.Context())
	v.Warm(t.Context())
	if _, err := v.Verify(t.Context(), up.draft().String()); err != nil {
		t.Error(err)
	}
	_, err = v.Verify(t.Context(), down.draft().String())
	refused(t, err, problem.IssuerUnavailable)
	if up.fetched() != 1 || down.fetched() != 1 {
		t.Errorf("%d and %d fetches, want 1 of each", up.fetched(), down.fetched())
	}
}
