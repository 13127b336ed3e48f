package policy

import (
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// A Target is what a workload asks a token for, by name: repositories of one owner.
type Target struct {
	Owner        string
	Repositories []string // names without the owner
}

// A Request is what a workload asks for, already parsed. What it leaves out takes the grant's value.
type Request struct {
	Grant       string
	Permissions scope.Permissions // nil: the grant's
	Duration    time.Duration     // 0: the grant's default
	Reason      string
}

// An Origin says whose policy a file is. Origins are read in this order.
type Origin string

// The three places a policy is read from.
const (
	Operator     Origin = "operator"
	Organization Origin = "organization"
	RepositoryOf Origin = "repository"
)

// A Source names one policy file so that a decision can be replayed from the log.
type Source struct {
	Origin     Origin `json:"origin"`
	Repository string `json:"repository,omitempty"` // owner/name; empty for the operator's
	Path       string `json:"path"`
	Blob       string `json:"blob,omitempty"` // git blob SHA, as GitHub told it
	Digest     string `json:"digest"`         // sha256:HEX of the bytes
}

// A Decision is what policy says of a request, and why.
type Decision struct {
	// Refusal is nil if and only if the request is allowed.
	Refusal *problem.Problem
	// Grant is the name asked for; Granter is the file whose grant admitted it.
	Grant   string
	Granter Source
	// Scope and Curfew are what the token may do and for how long.
	Scope  scope.Scope
	Curfew time.Duration
	// LeasesPerJob is how many leases of this grant one job may open in its life.
	LeasesPerJob int
	// Policies are all files that were in force, Trace each grant that was looked at, in order.
	Policies []Source
	Trace    []Candidate
}

// A Candidate is one grant that was looked at and why it failed; no mismatches means that it admitted the workload.
type Candidate struct {
	Source     Source             `json:"source"`
	Grant      string             `json:"grant"`
	Line       int                `json:"line"`
	Entry      int                `json:"entry"` // index in allow, or -1 if the grant failed before
	Mismatches []problem.Mismatch `json:"mismatches,omitempty"`
}
