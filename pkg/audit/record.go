package audit

import (
	"time"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// An Event names what happened.
type Event string

// The events.
const (
	ExchangeDenied     Event = "exchange.denied"
	ExchangeDryRun     Event = "exchange.dry_run"
	LeaseIntent        Event = "lease.intent"
	LeaseRefused       Event = "lease.refused"
	LeaseIssued        Event = "lease.issued"
	LeaseEnding        Event = "lease.ending"
	LeaseEnded         Event = "lease.ended"
	LeaseIndeterminate Event = "lease.indeterminate"
	PolicyChanged      Event = "policy.changed"
)

// A Record is one event, as an auditor reads it. It never holds a secret: of a
// token only its SHA-256. Fields that do not apply are left out.
type Record struct {
	Time        time.Time `json:"time"`
	Event       Event     `json:"event"`
	Correlation string    `json:"correlation_id,omitempty"`
	Lease       string    `json:"lease_id,omitempty"`

	// Who.
	Job      *identity.Job     `json:"job,omitempty"`
	Claims   map[string]string `json:"claims,omitempty"`
	JTI      string            `json:"jti,omitempty"`
	SourceIP string            `json:"source_ip,omitempty"`

	// What was asked, what policy allowed, what GitHub returned.
	Grant     string       `json:"grant,omitempty"`
	Requested *Request     `json:"requested,omitempty"`
	Allowed   *scope.Scope `json:"allowed,omitempty"`
	Granted   *scope.Scope `json:"granted,omitempty"`

	// Why.
	Reason   string             `json:"reason,omitempty"`
	Context  string             `json:"context,omitempty"`
	Policies []Policy           `json:"policies,omitempty"`
	Code     problem.Code       `json:"code,omitempty"`
	Detail   string             `json:"detail,omitempty"`
	Rules    []problem.Mismatch `json:"mismatches,omitempty"`

	// Until when, and its proof.
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	TokenSHA256 string     `json:"token_sha256,omitempty"` // base64, as GitHub's audit log has it
	State       string     `json:"state,omitempty"`
	Cause       string     `json:"cause,omitempty"`
	Mint        int        `json:"mint_status,omitempty"`
	Revoke      int        `json:"revoke_status,omitempty"`
	Probe       int        `json:"probe_status,omitempty"`
}

// A Request is what a workload asked for, word for word but for its token.
type Request struct {
	Owner        string            `json:"owner"`
	Repositories []string          `json:"repositories,omitempty"`
	Permissions  scope.Permissions `json:"permissions,omitempty"`
	Seconds      int64             `json:"seconds,omitempty"`
	DryRun       bool              `json:"dry_run,omitempty"`
}

// A Policy names a policy file that was in force, so that the decision can be replayed.
type Policy struct {
	Origin     string `json:"origin"`
	Repository string `json:"repository,omitempty"`
	Path       string `json:"path"`
	Blob       string `json:"blob,omitempty"`
	Digest     string `json:"digest"`
}
