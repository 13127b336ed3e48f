package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// createDeployment answers POST /repos/{owner}/{repo}/deployments. It checks the
// ref; contexts and merges it knows nothing of.
// https://docs.github.com/en/rest/deployments/deployments#create-a-deployment
func createDeployment(g *GitHub, q *request) answer {
	members, err := q.members()
	if err != nil {
		return problemsParsing()
	}
	ref := text(members, "ref")
	sha := q.repo.commitAt(ref)
	if sha == "" {
		return refuse(http.StatusUnprocessableEntity, "No ref found for: "+ref)
	}
	environment := text(members, "environment")
	if environment == "" {
		environment = "production"
	}
	q.repo.deployments++
	id := q.repo.ID*1000 + q.repo.deployments
	api := g.base + "/repos/" + q.repo.fullName()
	self := fmt.Sprintf("%s/deployments/%d", api, id)
	now := stamp(g.now())
	a := reply(http.StatusCreated, object{
		"id": id, "node_id": nodeID("Deployment", id), "url": self, "statuses_url": self + "/statuses", "repository_url": api,
		"sha": sha, "ref": ref, "task": "deploy", "payload": object{}, "description": text(members, "description"),
		"environment": environment, "original_environment": environment, "creator": g.userShape(q.app.bot),
		"created_at": now, "updated_at": now, "transient_environment": false, "production_environment": environment == "production",
	})
	a.header.Set("Location", self)
	return a
}

// commitAt finds the commit that a branch, a tag or a full id names, or nothing.
func (r *repository) commitAt(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if id := r.refs[prefix+strings.TrimPrefix(ref, prefix)]; id != "" {
			return id
		}
	}
	if slices.Contains(r.commits, ref) {
		return ref
	}
	return ""
}
