package rulebook

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/secret"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

func TestAFileIsAskedForAgainBeforeItsMinuteIsOver(t *testing.T) {
	s := newStage(t)
	s.origins(t, "web")
	s.routes()
	for _, c := range []struct {
		after time.Duration
		calls map[string]int
	}{
		{44 * time.Second, map[string]int{}},
		{time.Second, map[string]int{"contents": 2}}, // 45 s: in the background
		{44 * time.Second, map[string]int{}},
		{17 * time.Second, map[string]int{"contents": 2}}, // 61 s: the caller waits
	} {
		s.clock.advance(c.after)
		s.origins(t, "web")
		s.settle()
		for _, call := range s.github.Calls() {
			if call.Status != 304 {
				t.Errorf("%s %s: %d costs rate limit", call.Method, call.Path, call.Status)
			}
		}
		if diff := cmp.Diff(c.calls, s.routes()); diff != "" {
			t.Errorf("after %v: %s", c.after, diff)
		}
	}
}

func TestAChangeIsInForceWithinAMinuteAndTold(t *testing.T) {
	s := newStage(t)
	before, err := s.rules("web")
	must(t, err)
	s.put(t, "web", repositoryPath, repositoryFile+"# changed\n")
	s.clock.advance(time.Minute)
	after, err := s.rules("web")
	must(t, err)
	if before.Sources()[2].Digest == after.Sources()[2].Digest {
		t.Error("the old file is in force after a minute")
	}
	if again, err := s.rules("web"); err != nil || again != after {
		t.Error("the same files make another set")
	}
	if diff := cmp.Diff([]policy.Source{after.Sources()[2]}, s.changes); diff != "" {
		t.Errorf("told: %s", diff)
	}
	must(t, s.github.RemoveFile("acme", "web", repositoryPath))
	s.clock.advance(time.Minute)
	if diff := cmp.Diff(allThree[:2], s.origins(t, "web")); diff != "" {
		t.Error(diff)
	}
	want := policy.Source{Origin: policy.RepositoryOf, Repository: "acme/web", Path: repositoryPath}
	if diff := cmp.Diff(want, s.changes[len(s.changes)-1]); diff != "" || len(s.changes) != 2 {
		t.Errorf("told of the removal: %s", diff)
	}
}

func TestWhenGitHubFailsWhatIsKeptServesFiveMinutes(t *testing.T) {
	s := newStage(t)
	s.origins(t, "web")
	s.github.Inject(simulator.Fault{Route: "contents", Status: 503})
	for _, c := range []struct {
		after  time.Duration
		served bool
	}{
		{59 * time.Second, true},
		{2 * time.Second, true},
		{3 * time.Minute, true},
		{58 * time.Second, true}, // 4:59
		{time.Second, false},
		{time.Hour, false},
	} {
		s.clock.advance(c.after)
		_, err := s.rules("web")
		s.settle()
		if (err == nil) != c.served || err != nil && !problem.Is(err, problem.PolicyUnavailable) {
			t.Errorf("after another %v: got %v", c.after, err)
		}
	}
	s.github.ClearFaults()
	s.origins(t, "web")
}

func TestAGitHubThatFailsIsNotBotheredByEachCaller(t *testing.T) {
	s := newStage(t)
	s.origins(t, "web")
	s.clock.advance(2 * time.Minute)
	s.github.Inject(simulator.Fault{Route: "contents", Status: 503})
	s.routes()
	for range 10 {
		s.origins(t, "web")
	}
	s.settle()
	if got := s.routes()["contents"]; got != 2 {
		t.Errorf("%d calls, want one for each file", got)
	}
	s.clock.advance(failedPause)
	s.origins(t, "web")
	s.settle()
	if got := s.routes()["contents"]; got != 2 {
		t.Errorf("%d calls after a pause, want one for each file", got)
	}
}

func TestAGitHubThatFailsIsNotBotheredBehindCallersBacksEither(t *testing.T) {
	s := newStage(t)
	s.origins(t, "web")
	s.clock.advance(46 * time.Second)
	s.github.Inject(simulator.Fault{Route: "contents", Status: 503})
	s.routes()
	for range 10 {
		s.origins(t, "web")
		s.settle()
	}
	if got := s.routes()["contents"]; got != 2 {
		t.Errorf("%d calls, want one for each file", got)
	}
}

func TestAClockThatIsSetBackMakesNothingYoung(t *testing.T) {
	s := newStage(t)
	s.origins(t, "web")
	s.routes()
	s.clock.advance(-5 * time.Minute)
	s.origins(t, "web")
	if got := s.routes()["contents"]; got != 2 {
		t.Errorf("%d files were asked for again", got)
	}
}

func TestTheSetFollowsEachOfItsParts(t *testing.T) {
	s := newStage(t)
	first, err := s.rules("web", "api")
	must(t, err)
	s.put(t, ".github", "curfew.yaml", organizationFile+"# changed\n")
	s.clock.advance(time.Minute)
	second, err := s.rules("web", "api")
	must(t, err)
	if first.Sources()[1].Digest == second.Sources()[1].Digest {
		t.Error("the organisation's change is not in the set")
	}
	must(t, s.github.RenameRepository("acme", "web", "web-two"))
	_, err = s.github.AddRepository(simulator.Repository{ID: 3999, Owner: "acme", Name: "web"})
	must(t, err)
	s.clock.advance(50 * time.Minute)
	third, err := s.rules("web", "api")
	must(t, err)
	if diff := cmp.Diff([]int64{3002, 3999}, third.Target().RepositoryIDs()); diff != "" {
		t.Error(diff)
	}
}

func TestThatThereIsNoFileIsRememberedForHalfAMinute(t *testing.T) {
	s := newStage(t)
	ask := func(want map[string]int) {
		t.Helper()
		if diff := cmp.Diff(allThree[:2], s.origins(t, "api")); diff != "" {
			t.Error(diff)
		}
		s.settle()
		if diff := cmp.Diff(want, s.routes()); diff != "" {
			t.Error(diff)
		}
	}
	ask(map[string]int{"installation": 1, "mint": 1, "contents": 2, "repository": 1})
	s.clock.advance(19 * time.Second)
	ask(map[string]int{})
	s.clock.advance(10 * time.Second)
	ask(map[string]int{"contents": 1, "repository": 1}) // in the background
	s.clock.advance(31 * time.Second)
	s.put(t, "api", repositoryPath, repositoryFile)
	if diff := cmp.Diff(allThree, s.origins(t, "api")); diff != "" {
		t.Error(diff)
	}
}

func TestThatThereIsNoFileIsNotServedStale(t *testing.T) {
	s := newStage(t)
	s.origins(t, "api")
	s.github.Inject(simulator.Fault{Route: "contents", Status: 503})
	s.clock.advance(29 * time.Second)
	s.origins(t, "api")
	s.settle()
	s.clock.advance(time.Second)
	if _, err := s.rules("api"); !problem.Is(err, problem.PolicyUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAReaderIsMadeAnewBeforeItsHourIsOver(t *testing.T) {
	s := newStage(t)
	s.origins(t, "web")
	for _, c := range []struct {
		after time.Duration
		mints int
	}{{44 * time.Minute, 1}, {time.Minute, 2}, {51 * time.Minute, 3}} {
		s.clock.advance(c.after)
		s.origins(t, "web")
		s.settle()
		s.origins(t, "web")
		s.settle()
		if got := len(s.github.Mints()); got != c.mints {
			t.Errorf("after another %v: %d mints, want %d", c.after, got, c.mints)
		}
		if alive := len(s.github.AliveTokens()); alive != 1 {
			t.Errorf("after another %v: %d reader tokens are alive", c.after, alive)
		}
	}
}

func TestAReaderThatDiedIsMadeAnew(t *testing.T) {
	s := newStage(t)
	s.origins(t, "web")
	_, err := s.client.Revoke(t.Context(), secret.New(s.github.Mints()[0].Token))
	must(t, err)
	s.clock.advance(time.Minute)
	s.routes()
	s.origins(t, "web")
	if diff := cmp.Diff(map[string]int{"contents": 3, "mint": 1}, s.routes()); diff != "" {
		t.Error(diff)
	}
}

func TestANameThatMovedIsFoundOutWithinAMinute(t *testing.T) {
	s := newStage(t)
	s.origins(t, "web")
	must(t, s.github.RenameRepository("acme", "web", "web-two"))
	s.clock.advance(time.Minute)
	if _, err := s.rules("web"); !problem.Is(err, problem.NotInstalled) {
		t.Errorf("under its former name: %v", err)
	}
	s.settle()
	if alive := len(s.github.AliveTokens()); alive != 0 {
		t.Errorf("%d reader tokens of a target that is no more are alive", alive)
	}
	if diff := cmp.Diff(allThree, s.origins(t, "web-two")); diff != "" {
		t.Error(diff)
	}
	_, err := s.github.AddRepository(simulator.Repository{ID: 3999, Owner: "acme", Name: "web"})
	must(t, err)
	set, err := s.rules("web")
	must(t, err)
	if got := set.Target().Repositories[0].ID; got != 3999 || len(set.Sources()) != 2 {
		t.Errorf("the new owner of the name is %d, under %v", got, set.Sources())
	}
}
