package simulator

import (
	"fmt"
	"strings"
)

// getJob answers GET /repos/{owner}/{repo}/actions/jobs/{job_id}.
// https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
func getJob(g *GitHub, q *request) answer {
	j := g.jobs[q.id("id")]
	if j == nil || j.repo != q.repo {
		return notFound()
	}
	return ok(g.jobShape(j))
}

// getRun answers GET /repos/{owner}/{repo}/actions/runs/{run_id}: its latest attempt.
// https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run
func getRun(g *GitHub, q *request) answer {
	attempt := g.lastAttempt(q.id("id"))
	if len(attempt) == 0 || attempt[0].repo != q.repo {
		return notFound()
	}
	return ok(g.runShape(attempt))
}

// getRunJobs answers …/actions/runs/{run_id}/attempts/{attempt_number}/jobs.
// https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run-attempt
func getRunJobs(g *GitHub, q *request) answer {
	attempt := g.attempt(q.id("id"), q.id("attempt"))
	if len(attempt) == 0 || attempt[0].repo != q.repo {
		return notFound()
	}
	shapes := []object{}
	for _, j := range attempt {
		shapes = append(shapes, g.jobShape(j))
	}
	return q.page(len(shapes), func(from, to int) any {
		return object{"total_count": len(shapes), "jobs": shapes[from:to]}
	})
}

func (g *GitHub) jobShape(j *job) object {
	api := g.base + "/repos/" + j.repo.fullName()
	html := fmt.Sprintf("%s/%s/actions/runs/%d", g.base, j.repo.fullName(), j.RunID)
	shape := object{
		"id": j.ID, "node_id": nodeID("CheckRun", j.ID), "name": j.Name, "workflow_name": j.Workflow,
		"run_id": j.RunID, "run_attempt": j.RunAttempt, "run_url": fmt.Sprintf("%s/actions/runs/%d", api, j.RunID),
		"head_sha": j.SHA, "head_branch": j.branch(),
		"url":           fmt.Sprintf("%s/actions/jobs/%d", api, j.ID),
		"check_run_url": fmt.Sprintf("%s/check-runs/%d", api, j.ID),
		"html_url":      fmt.Sprintf("%s/job/%d", html, j.ID),
		"status":        j.Status, "conclusion": nil,
		"created_at": stamp(j.started), "started_at": stamp(j.started), "completed_at": stampOrNull(j.completed),
		"labels": []string{"ubuntu-latest"}, "runner_id": 1, "runner_name": "GitHub Actions 1",
		"runner_group_id": 1, "runner_group_name": "GitHub Actions", "steps": []object{},
	}
	if j.Status == "completed" {
		shape["conclusion"] = j.Conclusion
	}
	return shape
}

// branch is the short name of what runs, as Actions shows it.
func (j *job) branch() string {
	if j.HeadRef != "" {
		return j.HeadRef
	}
	return strings.TrimPrefix(strings.TrimPrefix(j.Ref, "refs/heads/"), "refs/tags/")
}

// runShape is GitHub's workflow-run, told from the jobs of one attempt.
func (g *GitHub) runShape(attempt []*job) object {
	j := attempt[0]
	api := fmt.Sprintf("%s/repos/%s/actions/runs/%d", g.base, j.repo.fullName(), j.RunID)
	workflow := g.workflowShape(j)
	repo := g.repositoryShape(j.repo)
	actor := g.actorShape(j)
	updated := j.started
	for _, other := range attempt {
		if other.completed.After(updated) {
			updated = other.completed
		}
	}
	shape := object{
		"id": j.RunID, "node_id": nodeID("WorkflowRun", j.RunID), "name": j.Workflow, "display_title": j.Workflow,
		"run_number": j.RunNumber, "run_attempt": j.RunAttempt, "event": j.Event, "path": j.WorkflowPath,
		"status": status(attempt), "conclusion": conclusion(attempt),
		"head_sha": j.SHA, "head_branch": j.branch(), "head_commit": g.commitShape(j.SHA, j.started),
		"repository": repo, "head_repository": repo, "head_repository_id": j.repo.ID,
		"workflow_id": workflow["id"], "workflow_url": workflow["url"],
		"check_suite_id": j.RunID, "check_suite_node_id": nodeID("CheckSuite", j.RunID),
		"check_suite_url": fmt.Sprintf("%s/repos/%s/check-suites/%d", g.base, j.repo.fullName(), j.RunID),
		"url":             api, "html_url": fmt.Sprintf("%s/%s/actions/runs/%d", g.base, j.repo.fullName(), j.RunID),
		"created_at": stamp(j.started), "run_started_at": stamp(j.started), "updated_at": stamp(updated),
		"actor": actor, "triggering_actor": actor, "pull_requests": []object{}, "referenced_workflows": []object{},
		"previous_attempt_url": nil,
	}
	addURLs(shape, "jobs logs cancel rerun artifacts", api)
	return shape
}

// workflowShape is GitHub's workflow; a path has one id.
func (g *GitHub) workflowShape(j *job) object {
	id := j.repo.ID*10 + 1
	html := g.base + "/" + j.repo.fullName()
	return object{
		"id": id, "node_id": nodeID("Workflow", id), "name": j.Workflow, "path": j.WorkflowPath, "state": "active",
		"created_at": stamp(j.repo.created), "updated_at": stamp(j.repo.created),
		"url":       fmt.Sprintf("%s/repos/%s/actions/workflows/%d", g.base, j.repo.fullName(), id),
		"html_url":  html + "/blob/" + j.repo.DefaultBranch + "/" + j.WorkflowPath,
		"badge_url": html + "/workflows/" + j.Name + "/badge.svg",
	}
}

func (g *GitHub) actorShape(j *job) object {
	return g.userShape(&account{Owner: Owner{ID: j.ActorID, Login: j.Actor, Type: user}})
}
