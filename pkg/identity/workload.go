package identity

import "time"

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
	RunNumber         int64
	RunAttempt        int64
	CheckRunID        int64 // the job; 0 on GitHub Enterprise Server, which has no such claim

	Ref          string
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
