package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// A comparer holds one allow entry against a workload.
type comparer struct {
	*identity.Workload
	file   *File
	at     string // the entry's path in the file
	target []scope.Repository
	misses []miss
}

// compare lists what the workload misses of one entry; nothing if it is admitted.
func (s *Set) compare(w *identity.Workload, o offer, entry int) []miss {
	c := comparer{Workload: w, file: o.file, target: s.target.Repositories,
		at: o.field("allow[" + strconv.Itoa(entry) + "]")}
	a := &o.grant.Allow[entry]
	c.repository(a)
	c.workflow(a)
	c.ref(a)
	c.event(a)
	c.exact("environment", "environment", a.Environment, w.Environment, "give the job `environment: "+a.Environment+"`")
	c.exact("runner", "runner_environment", a.Runner, w.Runner, "run the job on a "+a.Runner+" runner")
	c.actor(a)
	return c.misses
}

func (c *comparer) miss(field, claim, expected, got, hint string) {
	mismatch := problem.Mismatch{Rule: c.file.rule(c.at + "." + field), Claim: claim, Expected: expected, Got: got}
	c.misses = append(c.misses, miss{mismatch, hint})
}

// exact compares a claim with a value that must be it; an empty value is no condition.
func (c *comparer) exact(field, claim, expected, got, hint string) {
	if expected == "" || got == expected {
		return
	}
	if strings.EqualFold(expected, got) {
		hint = "upper and lower case differ: the claim is " + got
	}
	c.miss(field, claim, expected, got, hint)
}

func (c *comparer) repository(a *Allow) {
	switch a.Repository {
	case "":
	case Self:
		c.self()
	default:
		sameID, sameName := c.RepositoryID == a.RepositoryID, strings.EqualFold(c.Repository, a.Repository)
		if !sameName {
			hint := ""
			if sameID {
				hint = "the repository with this id is called " + c.Repository + " now; correct the name in the policy"
			}
			c.miss("repository", "repository", a.Repository, c.Repository, hint)
		}
		if !sameID {
			hint := ""
			if sameName {
				hint = "another repository goes by this name now: it was renamed, transferred or made anew; look at it before you write its new id"
			}
			c.miss("repository_id", "repository_id", id(a.RepositoryID), id(c.RepositoryID), hint)
		}
	}
}

// self admits a workload to its own repository alone. Were it enough to be one
// of several targets, asking for more would open what asking for less does not.
func (c *comparer) self() {
	if len(c.target) == 1 && c.target[0].ID > 0 && c.target[0].ID == c.RepositoryID {
		return
	}
	hint := "self admits a job to its own repository; name " + c.Repository + " with its id to admit it here"
	if len(c.target) > 1 {
		hint = "self admits a job to its own repository alone; ask for that one only"
	}
	var targets []string
	for _, r := range c.target {
		targets = append(targets, id(r.ID))
	}
	c.miss("repository", "repository_id", strings.Join(targets, ", "), id(c.RepositoryID), hint)
}

func (c *comparer) workflow(a *Allow) {
	if a.Workflow != "" {
		expected := c.Repository + "/" + a.Workflow + "@..."
		if !c.runs(a.Workflow, c.WorkflowRef) {
			c.miss("workflow", "workflow_ref", expected, c.WorkflowRef, "")
		}
		if a.ReusableWorkflow == "" && !c.runs(a.Workflow, c.JobWorkflow) {
			hint := ""
			if c.JobWorkflow != c.WorkflowRef && c.JobWorkflow != "" {
				hint = "the job is defined in a reusable workflow; name it by reusable_workflow: " + c.JobWorkflow
			}
			c.miss("workflow", "job_workflow_ref", expected, c.JobWorkflow, hint)
		}
	}
	if a.ReusableWorkflow != "" && !sameWorkflow(a.ReusableWorkflow, c.JobWorkflow) {
		c.miss("reusable_workflow", "job_workflow_ref", a.ReusableWorkflow, c.JobWorkflow, "")
	}
}

// runs tells whether a claim of the form owner/repo/path@ref is the workflow at
// that path of the caller's own repository. A file's name may hold an @, so
// what follows has to be a ref or a commit for the path to end there.
func (c *comparer) runs(path, claim string) bool {
	name := len(c.Repository)
	if name == 0 || len(claim) < name || !strings.EqualFold(claim[:name], c.Repository) {
		return false
	}
	at, ours := strings.CutPrefix(claim[name:], "/"+path+"@")
	return ours && (strings.HasPrefix(at, "refs/") || commit.MatchString(at))
}

var commit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// sameWorkflow compares two full workflow references: owner and repository without case, path and ref exactly.
func sameWorkflow(a, b string) bool {
	end := nameEnd(a)
	return end == nameEnd(b) && strings.EqualFold(a[:end], b[:end]) && a[end:] == b[end:]
}

// nameEnd is where owner/repo ends in owner/repo/path.
func nameEnd(reference string) int {
	owner := strings.IndexByte(reference, '/') + 1
	return owner + max(strings.IndexByte(reference[owner:], '/'), 0)
}

func (c *comparer) ref(a *Allow) {
	if a.Ref == "" || c.Ref != "" && match(a.Ref, c.Ref) {
		return
	}
	c.miss("ref", "ref", a.Ref, c.Ref, refHint(a.Ref, c.Ref))
}

func refHint(expected, got string) string {
	crossing := strings.ReplaceAll(strings.ReplaceAll(expected, "**", "*"), "*", "**")
	switch {
	case got == "":
		return ""
	case match(strings.ToLower(expected), strings.ToLower(got)):
		return "upper and lower case differ: the claim is " + got
	case strings.Contains(expected, "*") && match(crossing, got):
		return "* stays inside one segment between slashes; ** crosses them"
	case strings.HasPrefix(got, "refs/pull/"):
		return "a pull request runs on " + got + ", not on its branch"
	}
	return "run the job on " + expected + ", or add an allow entry for " + got
}

func (c *comparer) event(a *Allow) {
	if slices.Contains(a.Events, c.EventName) {
		return
	}
	hint := ""
	if c.EventName != "" {
		hint = fmt.Sprintf("%s counts only when named; list it in event if such runs may have this grant", c.EventName)
	}
	c.miss("event", "event_name", strings.Join(a.Events, ", "), c.EventName, hint)
}

func (c *comparer) actor(a *Allow) {
	if len(a.ActorIDs) == 0 || slices.Contains(a.ActorIDs, c.ActorID) {
		return
	}
	var ids []string
	for _, actor := range a.ActorIDs {
		ids = append(ids, id(actor))
	}
	c.miss("actor_id", "actor_id", strings.Join(ids, ", "), id(c.ActorID), "")
}

// id shows an id; 0 is an absent claim and shows as such.
func id(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
