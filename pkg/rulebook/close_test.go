package rulebook

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

func TestCloseRevokesTheReaders(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{"web", "api", "docs"} {
		s.origins(t, name)
	}
	s.github.Inject(simulator.Fault{Route: "revoke", Status: 503, Times: 1})
	s.book.Close(t.Context())
	if alive := s.github.AliveTokens(); len(alive) != 0 {
		t.Errorf("%d reader tokens are alive", len(alive))
	}
	s.routes()
	if _, err := s.rules("web"); !problem.Is(err, problem.Draining) {
		t.Errorf("after Close: %v", err)
	}
	s.book.Close(t.Context())
	if diff := cmp.Diff(map[string]int{}, s.routes()); diff != "" {
		t.Errorf("after Close: %s", diff)
	}
}

// A gate lets mints of reader tokens wait.
type gate struct {
	*githubapp.Client
	entered, open chan struct{}
}

func (g gate) Installation(ctx context.Context, owner, repository string) (githubapp.Installation, error) {
	g.entered <- struct{}{}
	<-g.open
	return g.Client.Installation(ctx, owner, repository)
}

func TestAReadingOutlivesTheCallerWhoBeganIt(t *testing.T) {
	s := newStage(t)
	g := gate{s.client, make(chan struct{}), make(chan struct{})}
	s.openWith(t, operatorFile, g)
	ctx, giveUp := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := s.book.Rules(ctx, issuer, policy.Target{Owner: "acme", Repositories: []string{"web"}})
		gone <- err
	}()
	<-g.entered
	giveUp()
	if err := <-gone; !problem.Is(err, problem.PolicyUnavailable) {
		t.Errorf("the first caller: %v", err)
	}
	close(g.open)
	if diff := cmp.Diff(allThree, s.origins(t, "web")); diff != "" {
		t.Error(diff)
	}
	if got := len(s.github.Mints()); got != 1 {
		t.Errorf("%d reader tokens", got)
	}
}

func TestATokenMintedDuringCloseIsRevoked(t *testing.T) {
	s := newStage(t)
	g := gate{s.client, make(chan struct{}), make(chan struct{})}
	s.openWith(t, operatorFile, g)
	asked := make(chan error)
	go func() {
		_, err := s.rules("web")
		asked <- err
	}()
	<-g.entered
	closed := make(chan struct{})
	go func() {
		s.book.Close(t.Context())
		close(closed)
	}()
	for !s.book.work.over() {
		<-time.After(time.Millisecond)
	}
	close(g.open)
	if err := <-asked; !problem.Is(err, problem.Draining) {
		t.Errorf("the caller: %v", err)
	}
	<-closed
	if len(s.github.Mints()) != 1 || len(s.github.AliveTokens()) != 0 {
		t.Errorf("%d mints, %d alive", len(s.github.Mints()), len(s.github.AliveTokens()))
	}
}

func TestATargetThatMakesRoomHasItsReaderRevoked(t *testing.T) {
	s := newStage(t)
	s.book.targets.max = 2
	for _, name := range []string{"web", "api", "web", "docs"} {
		s.clock.advance(time.Second)
		s.origins(t, name)
	}
	s.settle()
	if kept, alive := len(s.book.targets.all()), len(s.github.AliveTokens()); kept != 2 || alive != 2 {
		t.Errorf("%d targets are kept, %d reader tokens are alive", kept, alive)
	}
	if s.github.Alive(s.github.Mints()[1].Token) {
		t.Error("not the target used longest ago was let go")
	}
}
