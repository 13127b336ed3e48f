package simulator

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	idTokenLife = 5 * time.Minute // from iat to exp, and from nbf to iat
	enterprise  = "simulated-enterprise"
)

// claims are those of a job's OIDC token.
// https://docs.github.com/en/actions/reference/security/oidc
func (g *GitHub) claims(j *job, audience string) map[string]any {
	now, id := g.now(), func(n int64) string { return strconv.FormatInt(n, 10) }
	if audience == "" {
		audience = "https://github.com/" + j.repo.Owner
	}
	claims := map[string]any{
		"iss": g.base + issuerPath,
		"sub": j.subject(),
		"aud": audience,
		"iat": now.Unix(),
		"nbf": now.Add(-idTokenLife).Unix(),
		"exp": now.Add(idTokenLife).Unix(),
		"jti": newUUID(),

		"repository":            j.repo.fullName(),
		"repository_id":         id(j.repo.ID),
		"repository_owner":      j.repo.Owner,
		"repository_owner_id":   id(j.repo.account.ID),
		"repository_visibility": j.repo.visibility(),
		"actor":                 j.Actor,
		"actor_id":              id(j.ActorID),

		"workflow":           j.Workflow,
		"workflow_ref":       j.workflowRef(),
		"workflow_sha":       j.SHA,
		"job_workflow_ref":   j.JobWorkflowRef,
		"job_workflow_sha":   j.SHA,
		"event_name":         j.Event,
		"ref":                j.Ref,
		"ref_type":           j.refType(),
		"sha":                j.SHA,
		"head_ref":           j.HeadRef,
		"base_ref":           j.BaseRef,
		"run_id":             id(j.RunID),
		"run_number":         id(j.RunNumber),
		"run_attempt":        id(j.RunAttempt),
		"check_run_id":       id(j.ID),
		"runner_environment": j.RunnerEnvironment,
	}
	if j.repo.account.Type == organization {
		claims["enterprise"], claims["enterprise_id"] = enterprise, "1"
	}
	if j.Environment != "" {
		claims["environment"] = j.Environment
	}
	for name, value := range j.repo.Properties {
		claims["repo_property_"+name] = value
	}
	return claims
}

// subject is the default sub, with ids where the repository's subjects are immutable.
func (j *job) subject() string {
	repo := j.repo.fullName()
	if j.repo.ImmutableSubject {
		repo = fmt.Sprintf("%s@%d/%s@%d", j.repo.Owner, j.repo.account.ID, j.repo.Name, j.repo.ID)
	}
	switch {
	case j.Environment != "":
		return "repo:" + repo + ":environment:" + strings.ReplaceAll(j.Environment, ":", "%3A")
	case j.Event == "pull_request":
		return "repo:" + repo + ":pull_request"
	}
	return "repo:" + repo + ":ref:" + j.Ref
}

func (j *job) refType() string {
	if strings.HasPrefix(j.Ref, "refs/tags/") {
		return "tag"
	}
	return "branch"
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
