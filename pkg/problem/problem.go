// Package problem is the one vocabulary of refusals.
//
// A refusal is made where it is decided, with [New], and travels up wrapped
// in the words of what was being done. The client sees its code, its detail
// and its hint; the cause stays in the log. The room that speaks HTTP turns a
// code into a status, in one place.
package problem

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Problem is one refusal. It is an error.
type Problem struct {
	// Code is the machine-readable name of the refusal.
	Code Code
	// Detail is one plain ASCII sentence that a client may see. It never
	// holds a secret, nor text that came from another server.
	Detail string
	// Hint says how to put it right. Only workloads of the target's own owner see it.
	Hint string
	// Mismatches lists what was expected and what was got. Only workloads of
	// the target's own owner see it.
	Mismatches []Mismatch
	// RetryAfter is how long to wait before the next try; 0 leaves it to the client.
	RetryAfter time.Duration

	cause error
}

// A Mismatch is one comparison that failed: the rule that made it, the claim
// or input it looked at, what it wanted and what it found.
type Mismatch struct {
	Rule     string `json:"rule"`
	Claim    string `json:"claim"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
}

// New makes a refusal. The detail is reduced to printable ASCII, as RFC 6749
// section 5.2 wants of an error_description; quotes and backslashes become
// apostrophes and slashes for the same reason.
func New(code Code, format string, args ...any) *Problem {
	return &Problem{Code: code, Detail: plain(fmt.Sprintf(format, args...))}
}

// Error tells code, detail and cause. It is for logs, not for clients.
func (p *Problem) Error() string {
	text := string(p.Code) + ": " + p.Detail
	if p.cause != nil {
		text += ": " + p.cause.Error()
	}
	return text
}

// Unwrap gives the private cause, or nil.
func (p *Problem) Unwrap() error { return p.cause }

// WithCause returns a copy that remembers err for the log.
func (p *Problem) WithCause(err error) *Problem {
	c := *p
	c.cause = err
	return &c
}

// WithHint returns a copy that says how to put it right.
func (p *Problem) WithHint(format string, args ...any) *Problem {
	c := *p
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// WithMismatches returns a copy that lists what was expected and got.
func (p *Problem) WithMismatches(m ...Mismatch) *Problem {
	c := *p
	c.Mismatches = m
	return &c
}

// WithRetryAfter returns a copy that asks the client to wait for d.
func (p *Problem) WithRetryAfter(d time.Duration) *Problem {
	c := *p
	c.RetryAfter = d
	return &c
}

// After is RetryAfter, and 0 for no problem at all.
func (p *Problem) After() time.Duration {
	if p == nil {
		return 0
	}
	return p.RetryAfter
}

// From finds the refusal in err's chain. An error that holds none becomes
// [Internal] with a detail that tells nothing of the cause; nil stays nil.
func From(err error) *Problem {
	if err == nil {
		return nil
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return New(Internal, "the server failed; its log has the reason under the correlation id").WithCause(err)
}

// Is tells whether err's chain holds a refusal with one of the codes.
func Is(err error, codes ...Code) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return false
	}
	for _, c := range codes {
		if p.Code == c {
			return true
		}
	}
	return false
}

// Clip makes what was got fit to be repeated in a detail. A longer text than a
// name would be is cut to its beginning, so that neither a hostile value fills
// an answer nor a token that was sent in the wrong place shows in one.
func Clip(got string) string {
	const most, kept = 39, 12 // GitHub's shortest token has 40 characters
	if len(got) <= most {
		return got
	}
	return got[:kept] + "... (" + strconv.Itoa(len(got)) + " bytes)"
}

// plain keeps what RFC 6749 section 5.2 allows in an error_description:
// %x20-21 / %x23-5B / %x5D-7E.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r < 0x20 || r == 0x7f:
			return ' '
		case r > 0x7e:
			return '?'
		}
		return r
	}, s)
}
