package githubapp_test

import (
	"sync"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

func TestTheAppSignsOnceAndReusesItUntilItNearsItsEnd(t *testing.T) {
	s := newStage(t)
	mint := func(signatures int64) {
		t.Helper()
		_, _, err := s.client.Mint(t.Context(), web())
		must(t, err)
		if got := s.signer.signatures.Load(); got != signatures {
			t.Errorf("at %v: %d signatures, want %d", s.clock.now().Sub(start), got, signatures)
		}
	}
	mint(1)
	mint(1)
	s.clock.advance(7*time.Minute - time.Second)
	mint(1)
	s.clock.advance(time.Second)
	mint(2)
	s.clock.advance(-3 * time.Minute) // before the reach of the second
	mint(3)
}

func TestManyCallersShareOneSignature(t *testing.T) {
	s := newStage(t)
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			if _, _, err := s.client.Mint(t.Context(), web()); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if got := s.signer.signatures.Load(); got != 1 {
		t.Errorf("%d signatures", got)
	}
	if got := s.routes()["installation"]; got != 1 {
		t.Errorf("%d look-ups of the installation", got)
	}
}

func TestAJWTThatGitHubRefusedIsNotUsedAgain(t *testing.T) {
	s := newStage(t)
	s.github.Inject(simulator.Fault{Route: "mint", Status: 401, Times: 1})
	_, _, err := s.client.Mint(t.Context(), web())
	if err == nil {
		t.Fatal("401 counts as a mint")
	}
	_, _, err = s.client.Mint(t.Context(), web())
	must(t, err)
	if got := s.signer.signatures.Load(); got != 2 {
		t.Errorf("%d signatures, want 2", got)
	}
}

func TestGitHubTakesTheJWTWithinAMinuteOfSkew(t *testing.T) {
	for _, skew := range []time.Duration{-time.Minute, time.Minute} {
		s := newStage(t)
		c := newClient(t, s.github.URL, func(o *githubapp.Options) {
			o.Now = func() time.Time { return s.clock.now().Add(skew) }
		})
		if _, _, err := c.Mint(t.Context(), web()); err != nil {
			t.Errorf("%v: %v", skew, err)
		}
	}
}

func TestBothNamesOfTheAppSignIn(t *testing.T) {
	s := newStage(t)
	for _, id := range []string{"Iv23.curfew", "77"} {
		c := newClient(t, s.github.URL, func(o *githubapp.Options) { o.AppID, o.Now = id, s.clock.now })
		if _, _, err := c.Mint(t.Context(), web()); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}
