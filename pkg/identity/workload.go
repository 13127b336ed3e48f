// Package identity says who asks: it turns the OIDC token of a GitHub Actions
// job into a [Workload], or refuses it.
//
// A [Verifier] stands in front of go-oidc's, because the stock stack reads one
// token in several spellings, forgives a missing iat, kid or jti, takes weak
// keys and fetches a key set for each forged token. Here a token has one
// spelling, every claim one type, and the cheap checks come first: form, header,
// payload, issuer, audience and times cost nobody outside this process anything;
// only then is the key looked up and the signature checked. Issuers are
// configured, never learnt. Nobody outside this room sees the token itself.
package identity

import (
	"maps"
	"strconv"
	"strings"
	"time"
)

// A Workload is the verified identity that asks: an issuer and the claims that
// GitHub makes about one job. Every id is read as (issuer, id), for two GitHub
// instances hand out the same numbers.
// https://docs.github.com/en/actions/reference/security/oidc
type Workload struct {
	Issuer   string
	Subject  string // never decided on: repository admins can rewrite its shape
	JTI      string
	IssuedAt time.Time
	Expires  time.Time

	Repository        string // owner/name, as it was called when the job started
	RepositoryID      int64
	RepositoryOwner   string
	RepositoryOwnerID int64
	RunID             int64
	RunNumber         int64 // 0 if the issuer tells none
	RunAttempt        int64
	CheckRunID        int64 // the job; 0 on GitHub Enterprise Server, which has no such claim

	Ref          string // "" for a deployment of a bare commit
	EventName    string
	Environment  string // "" if the job names none
	Workflow     string // the workflow's name
	WorkflowRef  string // owner/repo/path@ref of the caller's file
	JobWorkflow  string // claim job_workflow_ref: owner/repo/path@ref of the file that defines the job
	Runner       string // claim runner_environment: github-hosted or self-hosted
	Actor        string
	ActorID      int64
	OtherClaims  map[string]string // all remaining string claims by name
	RepoProperty map[string]string // claims repo_property_NAME by NAME
}

// A Job is one workflow job of one run attempt. It is comparable.
type Job struct {
	Issuer       string `json:"issuer"`
	RepositoryID int64  `json:"repository_id"`
	RunID        int64  `json:"run_id"`
	RunAttempt   int64  `json:"run_attempt"`
	CheckRunID   int64  `json:"check_run_id,omitempty"` // 0: the jobs of this attempt can't be told apart
}

// Job names the job that the workload runs in.
func (w Workload) Job() Job {
	return Job{w.Issuer, w.RepositoryID, w.RunID, w.RunAttempt, w.CheckRunID}
}

// Claims gives the claims by the names that GitHub calls them, for denials and
// the audit log. Numbers and times are in decimal, times in seconds since 1970;
// what the token did not tell, or told as empty, is left out. The map is the caller's own.
func (w Workload) Claims() map[string]string {
	claims := map[string]string{
		"iss": w.Issuer, "sub": w.Subject, "jti": w.JTI,
		"iat": decimal(w.IssuedAt.Unix()), "exp": decimal(w.Expires.Unix()),
		"repository": w.Repository, "repository_id": decimal(w.RepositoryID),
		"repository_owner": w.RepositoryOwner, "repository_owner_id": decimal(w.RepositoryOwnerID),
		"run_id": decimal(w.RunID), "run_number": decimal(w.RunNumber), "run_attempt": decimal(w.RunAttempt),
		"check_run_id": decimal(w.CheckRunID),
		"ref":          w.Ref, "event_name": w.EventName, "environment": w.Environment, "workflow": w.Workflow,
		"workflow_ref": w.WorkflowRef, "job_workflow_ref": w.JobWorkflow, "runner_environment": w.Runner,
		"actor": w.Actor, "actor_id": decimal(w.ActorID),
	}
	maps.Copy(claims, w.OtherClaims)
	for name, value := range w.RepoProperty {
		claims[propertyPrefix+name] = value
	}
	maps.DeleteFunc(claims, func(_, value string) bool { return value == "" })
	return claims
}

// decimal writes a number that is 0 when it was not told.
func decimal(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// newWorkload fills a Workload from verified claims. All that anything is
// decided on must be there; run_number, environment and workflow are told only,
// or are compared with what a policy wants, and check_run_id is github.com's alone.
func newWorkload(issuer string, validity period, claims object) (Workload, error) {
	r := &claimReader{claims: claims}
	w := Workload{
		JTI: r.need("jti"), Subject: r.need("sub"), Issuer: issuer, IssuedAt: validity.issued, Expires: validity.expires,

		Repository: r.need("repository"), RepositoryID: r.number("repository_id"),
		RepositoryOwner: r.need("repository_owner"), RepositoryOwnerID: r.number("repository_owner_id"),
		RunID: r.number("run_id"), RunNumber: r.optionalNumber("run_number"), RunAttempt: r.number("run_attempt"),
		CheckRunID: r.optionalNumber("check_run_id"),

		Ref: r.need("ref"), EventName: r.need("event_name"), Environment: claims.text("environment"), Workflow: claims.text("workflow"),
		WorkflowRef: r.need("workflow_ref"), JobWorkflow: r.need("job_workflow_ref"), Runner: r.need("runner_environment"),
		Actor: r.need("actor"), ActorID: r.number("actor_id"),
	}
	r.checkRepository(w)
	r.checkSubject(w)
	if r.fault != nil {
		return Workload{}, r.fault
	}
	w.OtherClaims, w.RepoProperty = otherClaims(claims)
	return w, nil
}

// otherClaims collects the string claims that have no field of their own.
func otherClaims(claims object) (others, properties map[string]string) {
	others, properties = map[string]string{}, map[string]string{}
	for _, claim := range claims {
		text, ok := claim.value.(string)
		if !ok || ownFields[claim.name] {
			continue
		}
		if property, ok := strings.CutPrefix(claim.name, propertyPrefix); ok {
			properties[property] = text
		} else {
			others[claim.name] = text
		}
	}
	return others, properties
}
