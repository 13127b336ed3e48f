package problem_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/problem"
)

func TestDetailsArePlainASCII(t *testing.T) {
	// RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E.
	got := problem.New(problem.Malformed, "a %s", "\"b\"\\c\r\n::error::\x00d\u00e9\x7f").Detail
	if want := "a 'b'/c  ::error:: d? "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestClip(t *testing.T) {
	for got, want := range map[string]string{
		"":                               "",
		strings.Repeat("a", 39):          strings.Repeat("a", 39),
		"ghs_" + strings.Repeat("a", 36): "ghs_aaaaaaaa... (40 bytes)",
	} {
		if clipped := problem.Clip(got); clipped != want {
			t.Errorf("Clip(%q) = %q, want %q", got, clipped, want)
		}
	}
}

func TestFromFindsTheRefusalAndHidesTheRest(t *testing.T) {
	refusal := problem.New(problem.Stale, "too old").WithCause(errors.New("the cause"))
	if got := problem.From(fmt.Errorf("verify: %w", refusal)); got != refusal {
		t.Errorf("got %v", got)
	}
	secretly := errors.New("password hunter2")
	got := problem.From(secretly)
	if got.Code != problem.Internal || strings.Contains(got.Detail, "hunter2") || !errors.Is(got, secretly) {
		t.Errorf("got %v", got)
	}
	if problem.From(nil) != nil || problem.From(nil).After() != 0 {
		t.Error("no error became one")
	}
	if !problem.Is(fmt.Errorf("x: %w", refusal), problem.Expired, problem.Stale) || problem.Is(refusal, problem.Expired) || problem.Is(secretly, problem.Internal) {
		t.Error("Is does not tell codes apart")
	}
}

func TestWithReturnsCopies(t *testing.T) {
	base := problem.New(problem.Denied, "no")
	_ = base.WithHint("h").WithRetryAfter(1).WithMismatches(problem.Mismatch{}).WithCause(errors.New("c"))
	if base.Hint != "" || base.RetryAfter != 0 || base.Mismatches != nil || base.Unwrap() != nil {
		t.Errorf("the original changed: %+v", base)
	}
}
