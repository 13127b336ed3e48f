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
	commit       string // where its tag is made, unless there is one
	draft, early bool
	author       *account
	created      time.Time
	published    time.Time
	assets       []*asset
}

// createRelease answers POST /repos/{owner}/{repo}/releases; a tag that isn't
// there yet is made.
// https://docs.github.com/en/rest/releases/releases#create-a-release
func createRelease(g *GitHub, q *request) answer {
	r := &release{author: q.app.bot, created: g.now()}
	if refused := g.edit(r, q); refused != nil {
		return *refused
	}
	r.id = q.repo.ID*1000 + q.repo.releasesMade + 1
	q.repo.releasesMade++
	q.repo.releases = append(q.repo.releases, r)
	a := reply(http.StatusCreated, g.releaseShape(q.repo, r))
	a.header.Set("Location", a.body.(object)["url"].(string))
	return a
}

// edit changes a release as the body says, and publishes it unless it is a draft.
// A release that is refused is left half changed: throw it away.
func (g *GitHub) edit(r *release, q *request) *answer {
	members, err := q.members()
	if err != nil {
		a := problemsParsing()
		return &a
	}
	for name, field := range map[string]any{
		"tag_name": &r.tag, "name": &r.name, "body": &r.text, "target_commitish": &r.target,
		"draft": &r.draft, "prerelease": &r.early,
	} {
		if members[name] != nil {
			_ = json.Unmarshal(members[name], field) // what is of another type counts as not given
		}
	}
	if r.target == "" {
		r.target = q.repo.DefaultBranch
	}
	r.commit = q.repo.refs["refs/heads/"+r.target]
	if slices.Contains(q.repo.commits, r.target) {
		r.commit = r.target
	}
	taken := func(o *release) bool { return o.id != r.id && o.tag == r.tag }
	refused := answer{}
	switch {
	case !wellFormedRef("refs/tags/" + r.tag):
		refused = invalid("Release", "tag_name", "custom")
	case slices.ContainsFunc(q.repo.releases, taken):
		refused = invalid("Release", "tag_name", "already_exists")
	case r.commit == "":
		refused = invalid("Release", "target_commitish", "invalid")
	default:
		r.publish(q.repo, g.now())
		return nil
	}
	return &refused
}

// publish makes the release public, with its tag; a draft stays as it is.
func (r *release) publish(repo *repository, now time.Time) {
	if r.draft || !r.published.IsZero() {
		return
	}
	r.published = now
	if tag := "refs/tags/" + r.tag; repo.refs[tag] == "" {
		repo.refs[tag] = r.commit
	}
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

// getTaggedRelease answers …/releases/tags/{tag}; a draft has no tag yet.
// https://docs.github.com/en/rest/releases/releases#get-a-release-by-tag-name
func getTaggedRelease(g *GitHub, q *request) answer {
	for _, r := range q.repo.releases {
		if r.tag == q.PathValue("tag") && !r.draft {
			return ok(g.releaseShape(q.repo, r))
		}
	}
	return notFound()
}

// release finds the one that the path names, or nil.
func (q *request) release() *release {
	i := slices.IndexFunc(q.repo.releases, func(r *release) bool { return r.id == q.id("id") })
	if i < 0 {
		return nil
	}
	return q.repo.releases[i]
}

// getRelease answers GET …/releases/{release_id}.
// https://docs.github.com/en/rest/releases/releases#get-a-release
func getRelease(g *GitHub, q *request) answer {
	if r := q.release(); r != nil {
		return ok(g.releaseShape(q.repo, r))
	}
	return notFound()
}

// updateRelease answers PATCH …/releases/{release_id}.
// https://docs.github.com/en/rest/releases/releases#update-a-release
func updateRelease(g *GitHub, q *request) answer {
	r := q.release()
	if r == nil {
		return notFound()
	}
	changed := *r
	if refused := g.edit(&changed, q); refused != nil {
		return *refused
	}
	*r = changed
	return ok(g.releaseShape(q.repo, r))
}

// deleteRelease answers DELETE …/releases/{release_id}. Its tag stays.
// https://docs.github.com/en/rest/releases/releases#delete-a-release
func deleteRelease(_ *GitHub, q *request) answer {
	gone := q.release()
	if gone == nil {
		return notFound()
	}
	q.repo.releases = slices.DeleteFunc(q.repo.releases, func(r *release) bool { return r == gone })
	return reply(http.StatusNoContent, nil)
}
