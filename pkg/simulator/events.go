package simulator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// event makes what a webhook tells of a repository, or nil when nobody listens
// or no App is installed there.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads
func (g *GitHub) event(name, action string, r *repository, payload object) *event {
	if !g.hook.listening() {
		return nil
	}
	var in *installation
	for _, id := range slices.Sorted(maps.Keys(g.installations)) {
		if g.installations[id].covers(r) {
			in = g.installations[id]
			break
		}
	}
	if in == nil {
		return nil
	}
	payload["repository"] = g.fullRepository(r)
	payload["installation"] = object{"id": in.id, "node_id": nodeID("Installation", in.id)}
	return g.addressed(name, action, r.account, payload)
}

// installationEvent tells that an App was installed, suspended or removed.
func (g *GitHub) installationEvent(action string, in *installation) *event {
	if !g.hook.listening() {
		return nil
	}
	payload := object{"installation": g.installationShape(in)}
	if action == "created" {
		repositories := []object{}
		for _, r := range g.repositoriesOf(in) {
			repositories = append(repositories, object{
				"id": r.ID, "node_id": nodeID("Repository", r.ID), "name": r.Name, "full_name": r.fullName(), "private": r.Private,
			})
		}
		payload["repositories"] = repositories
	}
	return g.addressed("installation", action, in.owner, payload)
}

// addressed adds what every payload has, and renders it.
func (g *GitHub) addressed(name, action string, owner *account, payload object) *event {
	if action != "" {
		payload["action"] = action
	}
	payload["sender"] = g.userShape(owner)
	if owner.Type == organization {
		payload["organization"] = g.organizationShape(owner)
	}
	return &event{name: name, action: action, payload: render(payload)}
}

func (g *GitHub) jobEvent(action string, j *job) *event {
	return g.event("workflow_job", action, j.repo, object{"workflow_job": g.jobShape(j)})
}

func (g *GitHub) runEvent(attempt []*job) *event {
	j := attempt[0]
	return g.event("workflow_run", "completed", j.repo, object{
		"workflow_run": g.runShape(attempt),
		"workflow":     g.workflowShape(j),
	})
}

// pushShape tells that a ref moved; before or after is empty when there was or
// is none. Of the commits it tells the last one, and only of a branch.
func (g *GitHub) pushShape(r *repository, ref, before, after string, paths object) object {
	html := g.base + "/" + r.fullName()
	shape := object{
		"ref": ref, "base_ref": nil, "before": cmp.Or(before, noCommit), "after": cmp.Or(after, noCommit),
		"created": before == "", "deleted": after == "", "forced": false,
		"compare": html + "/compare/" + cmp.Or(before, noCommit) + "..." + cmp.Or(after, noCommit),
		"commits": []object{}, "head_commit": nil,
		"pusher": object{"name": "octocat", "email": "octocat@users.noreply.github.com"},
	}
	if after == "" || !strings.HasPrefix(ref, "refs/heads/") {
		return shape
	}
	commit := g.commitShape(after, g.now())
	commit["distinct"], commit["url"] = true, html+"/commit/"+after
	for _, change := range []string{"added", "modified", "removed"} {
		commit[change] = []string{}
	}
	maps.Copy(commit, paths)
	shape["commits"], shape["head_commit"] = []object{commit}, commit
	return shape
}

// noCommit stands for a ref that isn't there.
const noCommit = "0000000000000000000000000000000000000000"

func (g *GitHub) organizationShape(a *account) object {
	api := g.base + "/orgs/" + a.Login
	shape := object{
		"id": a.ID, "node_id": nodeID("Organization", a.ID), "login": a.Login, "url": api,
		"avatar_url": fmt.Sprintf("%s/u/%d", g.base, a.ID), "description": nil,
	}
	addURLs(shape, "repos events hooks issues members public_members", api)
	return shape
}
