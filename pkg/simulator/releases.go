package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

type release struct {
	id           int64
	tag, name    string
	text         string
	target       string
	draft, early bool
	author       *account
	created      time.Time
}

// createRelease answers POST /repos/{owner}/{repo}/releases; a tag that isn't
// there yet is made.
// https://docs.github.com/en/rest/releases/releases#create-a-release
func createRelease(g *GitHub, q *request) answer {
	members, err := q.members()
	if err != nil {
		return problemsParsing()
	}
	r := &release{
		tag: text(members, "tag_name"), name: text(members, "name"), text: text(members, "body"),
		target: text(members, "target_commitish"), author: q.app.bot, created: g.now(),
	}
	_ = json.Unmarshal(members["draft"], &r.draft) // what is no boolean is false
	_ = json.Unmarshal(members["prerelease"], &r.early)
	if r.target == "" {
		r.target = q.repo.DefaultBranch
	}
	if !wellFormedRef("refs/tags/" + r.tag) {
		return invalid("Release", "tag_name", "custom")
	}
	if slices.ContainsFunc(q.repo.releases, func(o *release) bool { return o.tag == r.tag }) {
		return invalid("Release", "tag_name", "already_exists")
	}
	commit := q.repo.refs["refs/heads/"+r.target]
	if slices.Contains(q.repo.commits, r.target) {
		commit = r.target
	}
	if commit == "" {
		return invalid("Release", "target_commitish", "invalid")
	}
	if tag := "refs/tags/" + r.tag; q.repo.refs[tag] == "" && !r.draft {
		q.repo.refs[tag] = commit
	}
	r.id = q.repo.ID*1000 + int64(len(q.repo.releases)) + 1
	q.repo.releases = append(q.repo.releases, r)
	a := reply(http.StatusCreated, g.releaseShape(q.repo, r))
	a.header.Set("Location", a.body.(object)["url"].(string))
	return a
}

// getReleases answers GET /repos/{owner}/{repo}/releases, newest first.
// https://docs.github.com/en/rest/releases/releases#list-releases
func getReleases(g *GitHub, q *request) answer {
	shapes := []object{}
	for _, r := range slices.Backward(q.repo.releases) {
		shapes = append(shapes, g.releaseShape(q.repo, r))
	}
	return q.page(len(shapes), func(from, to int) any { return shapes[from:to] })
}
