package exchange

import (
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// record starts a record of an exchange: who asked, for what, from where.
func (c *hearing) record(e audit.Event, now time.Time) audit.Record {
	j := c.workload.Job()
	return audit.Record{
		Time: now, Event: e, Correlation: c.Correlation, SourceIP: c.SourceIP,
		Job: &j, Claims: c.workload.Claims(), JTI: c.workload.JTI, Grant: c.Ask.Grant,
		Requested: &audit.Request{
			Owner: c.target.Owner, Repositories: c.target.Repositories, Permissions: c.Ask.Permissions,
			Seconds: int64(c.Ask.Duration / time.Second), DryRun: c.DryRun,
		},
		Reason: c.Ask.Reason, Context: c.Context, Policies: c.policies(),
	}
}

func (c *hearing) policies() []audit.Policy {
	used := make([]audit.Policy, len(c.decision.Policies))
	for i, p := range c.decision.Policies {
		used[i] = policyOf(p)
	}
	return used
}

func (c *hearing) deniedRecord(p *problem.Problem, now time.Time) audit.Record {
	r := c.record(audit.ExchangeDenied, now)
	r.Code, r.Detail, r.Rules = p.Code, p.Detail, p.Mismatches
	return r
}

func (c *hearing) dryRunRecord(now time.Time) audit.Record {
	r := c.record(audit.ExchangeDryRun, now)
	r.Allowed = &c.decision.Scope
	return r
}

func (c *hearing) intentRecord(l lease.Lease) audit.Record {
	r := c.record(audit.LeaseIntent, l.IntentAt)
	r.Lease, r.State, r.Allowed, r.ExpiresAt = l.ID, string(l.State), &c.decision.Scope, &l.ExpiresAt
	return r
}

func (c *hearing) issuedRecord(l lease.Lease, token secret.Text) audit.Record {
	r := leaseRecord(audit.LeaseIssued, l, c.Correlation, l.IssuedAt)
	r.Granted, r.ExpiresAt, r.TokenSHA256 = &l.Scope, &l.ExpiresAt, token.DigestBase64()
	return r
}

func (c *hearing) unmintedRecord(l lease.Lease, p *problem.Problem, now time.Time) audit.Record {
	e := audit.LeaseRefused
	if l.State == lease.Indeterminate {
		e = audit.LeaseIndeterminate
	}
	r := leaseRecord(e, l, c.Correlation, now)
	r.Code, r.Detail = p.Code, p.Detail
	return r
}

func (c *hearing) abandonedRecord(l lease.Lease, p *problem.Problem, token secret.Text, now time.Time) audit.Record {
	r := endingRecord(l, c.Correlation, now)
	r.Code, r.Detail, r.Granted, r.TokenSHA256 = p.Code, p.Detail, &l.Scope, token.DigestBase64()
	return r
}

func lostRecord(l lease.Lease, now time.Time) audit.Record {
	return leaseRecord(audit.LeaseIndeterminate, l, "", now)
}

func endingRecord(l lease.Lease, correlation string, now time.Time) audit.Record {
	return leaseRecord(audit.LeaseEnding, l, correlation, now)
}

func endedRecord(l lease.Lease, p proof) audit.Record {
	r := leaseRecord(audit.LeaseEnded, l, "", l.EndedAt)
	r.Revoke, r.Probe = p.revoke, p.probe
	return r
}

// leaseRecord is a record of a lease's move: which lease of which job, where it stands and why.
func leaseRecord(e audit.Event, l lease.Lease, correlation string, now time.Time) audit.Record {
	return audit.Record{
		Time: now, Event: e, Correlation: correlation, Lease: l.ID, Job: &l.Job, Grant: l.Grant,
		State: string(l.State), Cause: string(l.Cause),
	}
}

// PolicyChanged is the record of a policy file whose content is another than before.
func PolicyChanged(p policy.Source, now time.Time) audit.Record {
	return audit.Record{Time: now, Event: audit.PolicyChanged, Policies: []audit.Policy{policyOf(p)}}
}

func policyOf(p policy.Source) audit.Policy {
	return audit.Policy{Origin: string(p.Origin), Repository: p.Repository, Path: p.Path, Blob: p.Blob, Digest: p.Digest}
}
