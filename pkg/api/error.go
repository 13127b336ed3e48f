package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// An ErrorBody is the body of every refusal (RFC 6749 section 5.2, extended).
type ErrorBody struct {
	Error            string       `json:"error"`
	ErrorDescription string       `json:"error_description"` // plain ASCII
	Code             problem.Code `json:"code"`
	Retryable        bool         `json:"retryable"`
	CorrelationID    string       `json:"correlation_id"`
	Hint             string       `json:"hint,omitempty"`
	Details          []Detail     `json:"details,omitempty"`
}

// A Detail is one comparison that failed.
type Detail = problem.Mismatch

// An Error is a refusal that the server spoke out.
type Error struct {
	Status     int
	Body       ErrorBody
	RetryAfter time.Duration // 0 if the server named no time
}

// Error tells status, code and description, as the server wrote them.
func (e *Error) Error() string {
	return fmt.Sprintf("the server refused (%d %s): %s", e.Status, e.Body.Code, e.Body.ErrorDescription)
}

// NoAnswer says that the request may have reached the server, but that no
// whole answer came back.
type NoAnswer struct{ Cause error }

// Error tells what went wrong on the way.
func (e *NoAnswer) Error() string { return "no answer: " + e.Cause.Error() }

// Unwrap gives the cause.
func (e *NoAnswer) Unwrap() error { return e.Cause }

// A RefusedAnswer says that an answer came, but not one that this API knows.
type RefusedAnswer struct {
	Status int
	Reason string
	// Found is the revocation handle or token that stood in the answer, so that
	// its lease can be ended; empty if none could be read.
	Found secret.Text
}

// Error tells what was wrong with the answer. It holds no text of the answer.
func (e *RefusedAnswer) Error() string {
	return fmt.Sprintf("the answer (status %d) was refused: %s", e.Status, e.Reason)
}

// Retryable tells whether the same request may be tried again: when the server
// said so, and when no answer came. A certificate that was not accepted today
// will not be accepted in a minute.
func Retryable(err error) bool {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Body.Retryable
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return false
	}
	var lost *NoAnswer
	return errors.As(err, &lost)
}

// RetryAfter is how long the server asked to wait before the next try, else 0.
func RetryAfter(err error) time.Duration {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.RetryAfter
	}
	return 0
}
