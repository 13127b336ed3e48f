package rulebook

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// newReading is a reading whose dropped values are counted by name.
func newReading(c *clock) (*reading[*document], map[string]int) {
	dropped := map[string]int{}
	return &reading[*document]{
		work: &work{}, now: c.now, ahead: make(chan struct{}, maxAhead),
		dropped: func(d *document, some bool) {
			if some {
				dropped[d.etag]++
			}
		},
	}, dropped
}

func brings(name string) read[*document] {
	return func(context.Context, *document, bool) (*document, error) {
		return &document{etag: name, refusal: problem.New(problem.PolicyInvalid, "x")}, nil
	}
}

func TestAReadingThatWasClosedKeepsNothing(t *testing.T) {
	r, dropped := newReading(&clock{})
	d, err := r.get(t.Context(), func(ctx context.Context, old *document, held bool) (*document, error) {
		r.close()
		return brings("late")(ctx, old, held)
	})
	if err != nil || d.etag != "late" {
		t.Errorf("who waited got %v, %v", d, err)
	}
	if dropped["late"] != 1 || r.held {
		t.Errorf("dropped %v, held %v", dropped, r.held)
	}
	if _, err := r.get(t.Context(), brings("later")); !errors.Is(err, errClosed) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestARefusalThatStandsDropsWhatIsHeld(t *testing.T) {
	for code, kept := range map[problem.Code]bool{problem.NotInstalled: false, problem.GitHubError: true} {
		c := &clock{}
		r, dropped := newReading(c)
		_, err := r.get(t.Context(), brings("first"))
		must(t, err)
		c.advance(2 * time.Minute)
		d, err := r.get(t.Context(), func(context.Context, *document, bool) (*document, error) {
			return nil, problem.New(code, "x")
		})
		if (err == nil) != kept || kept && d.etag != "first" || r.held != kept || (dropped["first"] == 0) != kept {
			t.Errorf("%s: got %v, %v; dropped %v", code, d, err, dropped)
		}
	}
}

func TestOnlyAnIdleReadingThatHoldsNothingIsAbandoned(t *testing.T) {
	r, _ := newReading(&clock{})
	_, err := r.get(t.Context(), func(context.Context, *document, bool) (*document, error) {
		if r.abandon() {
			t.Error("abandoned while somebody waits for it")
		}
		return nil, problem.New(problem.NotInstalled, "x")
	})
	if err == nil || !r.abandon() {
		t.Errorf("not abandoned after %v", err)
	}
	r, _ = newReading(&clock{})
	_, err = r.get(t.Context(), brings("first"))
	must(t, err)
	if r.abandon() {
		t.Error("abandoned with a value")
	}
}

func TestNothingStartsAfterTheEnd(t *testing.T) {
	r, _ := newReading(&clock{})
	r.work.close(t.Context())
	if _, err := r.get(t.Context(), brings("late")); !problem.Is(err, problem.Draining) {
		t.Errorf("got %v", err)
	}
}

func TestBackgroundReadingsAreBounded(t *testing.T) {
	c := &clock{}
	r, _ := newReading(c)
	_, err := r.get(t.Context(), brings("first"))
	must(t, err)
	for range maxAhead {
		r.ahead <- struct{}{}
	}
	c.advance(50 * time.Second)
	if d, err := r.get(t.Context(), brings("second")); err != nil || d.etag != "first" || r.flight != nil {
		t.Errorf("with every place taken: %v, %v", d, err)
	}
	<-r.ahead
	_, err = r.get(t.Context(), brings("second"))
	must(t, err)
	r.work.group.Wait()
	if d, err := r.get(t.Context(), brings("third")); err != nil || d.etag != "second" || len(r.ahead) != maxAhead-1 {
		t.Errorf("with a place free: %v, %v", d, err)
	}
}
