package simulator

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"
)

// The members of GitHub's objects that are only addresses below the object's own.
const (
	userURLs       = `followers following gists starred subscriptions organizations repos events received_events`
	repositoryURLs = `archive assignees blobs branches collaborators comments commits compare contents
		contributors deployments downloads events forks git_commits git_refs git_tags hooks issue_comment
		issue_events issues keys labels languages merges milestones notifications pulls releases stargazers
		statuses subscribers subscription tags teams trees`
)

func nodeID(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s%d", kind, id))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// stampOrNull is null for a time that hasn't come.
func stampOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

func addURLs(shape object, names, api string) {
	for _, name := range strings.Fields(names) {
		shape[name+"_url"] = api + "/" + name
	}
}

// userShape is GitHub's simple-user.
func (g *GitHub) userShape(a *account) object {
	api := g.base + "/users/" + url.PathEscape(a.Login)
	shape := object{
		"id": a.ID, "node_id": nodeID("User", a.ID), "login": a.Login, "type": a.Type,
		"url": api, "html_url": g.base + "/" + url.PathEscape(strings.TrimSuffix(a.Login, "[bot]")),
		"avatar_url": fmt.Sprintf("%s/u/%d", g.base, a.ID), "gravatar_id": "", "site_admin": false,
	}
	addURLs(shape, userURLs, api)
	return shape
}

// appShape is GitHub's integration.
func (g *GitHub) appShape(a *app) object {
	return object{
		"id": a.ID, "client_id": a.ClientID, "slug": a.Slug, "name": a.Slug, "node_id": nodeID("Integration", a.ID),
		"owner": g.userShape(a.bot), "description": "", "external_url": g.base, "html_url": g.base + "/apps/" + a.Slug,
		"created_at": stamp(a.created), "updated_at": stamp(a.created),
		"permissions": a.Permissions, "events": []string{},
	}
}

func (g *GitHub) installationShape(in *installation) object {
	shape := object{
		"id": in.id, "app_id": in.app.ID, "client_id": in.app.ClientID, "app_slug": in.app.Slug,
		"account": g.userShape(in.owner), "target_id": in.owner.ID, "target_type": in.owner.Type,
		"repository_selection": in.selection(), "permissions": in.permissions, "events": []string{},
		"access_tokens_url": fmt.Sprintf("%s/app/installations/%d/access_tokens", g.base, in.id),
		"repositories_url":  g.base + "/installation/repositories",
		"html_url":          fmt.Sprintf("%s/organizations/%s/settings/installations/%d", g.base, in.owner.Login, in.id),
		"single_file_name":  nil, "has_multiple_single_files": false, "single_file_paths": []string{},
		"created_at": stamp(in.created), "updated_at": stamp(in.created),
		"suspended_at": stampOrNull(in.suspended), "suspended_by": nil,
	}
	if !in.suspended.IsZero() {
		shape["suspended_by"] = g.userShape(in.owner)
	}
	return shape
}

// fullRepository is GitHub's full-repository, which includes its repository and
// minimal-repository.
func (g *GitHub) fullRepository(r *repository) object {
	api, html := g.base+"/repos/"+r.fullName(), g.base+"/"+r.fullName()
	shape := object{
		"id": r.ID, "node_id": nodeID("Repository", r.ID), "name": r.Name, "full_name": r.fullName(),
		"owner": g.userShape(r.account), "private": r.Private, "visibility": r.visibility(),
		"description": nil, "fork": false, "url": api, "html_url": html, "default_branch": r.DefaultBranch,
		"git_url": html + ".git", "ssh_url": "git@github.com:" + r.fullName() + ".git", "clone_url": html + ".git",
		"svn_url": html, "homepage": nil, "language": nil, "mirror_url": nil, "license": nil,
		"created_at": stamp(r.created), "updated_at": stamp(r.created), "pushed_at": stamp(r.created),
		"archived": false, "disabled": false, "topics": []string{}, "custom_properties": properties(r.Properties),
		"has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false,
		"has_downloads": false, "has_discussions": false,
	}
	for _, count := range strings.Fields(`forks forks_count open_issues open_issues_count watchers watchers_count
		stargazers_count network_count subscribers_count size`) {
		shape[count] = 0
	}
	addURLs(shape, repositoryURLs, api)
	return shape
}

func properties(p map[string]string) object {
	shape := object{}
	for name, value := range p {
		shape[name] = value
	}
	return shape
}

func (r *repository) visibility() string {
	if r.Private {
		return "private"
	}
	return "public"
}

func (g *GitHub) refShape(r *repository, ref string) object {
	api, sha := g.base+"/repos/"+r.fullName()+"/git/", r.refs[ref]
	kind := cmp.Or(r.objects.get(sha).kind, "commit")
	return object{
		"ref": ref, "node_id": nodeID("Ref:"+ref+":", r.ID), "url": api + ref,
		"object": object{"type": kind, "sha": sha, "url": api + kind + "s/" + sha},
	}
}

func (g *GitHub) releaseShape(repo *repository, r *release) object {
	api := fmt.Sprintf("%s/repos/%s/releases/%d", g.base, repo.fullName(), r.id)
	assets := []object{}
	for _, a := range r.assets {
		assets = append(assets, g.assetShape(repo, r, a))
	}
	return object{
		"id": r.id, "node_id": nodeID("Release", r.id), "url": api,
		"html_url": g.base + "/" + repo.fullName() + "/releases/tag/" + url.PathEscape(r.tag),
		"tag_name": r.tag, "target_commitish": r.target, "name": r.name, "body": r.text,
		"draft": r.draft, "prerelease": r.early, "author": g.userShape(r.author), "assets": assets,
		"assets_url": api + "/assets", "upload_url": api + "/assets{?name,label}",
		"tarball_url": g.base + "/repos/" + repo.fullName() + "/tarball/" + url.PathEscape(r.tag),
		"zipball_url": g.base + "/repos/" + repo.fullName() + "/zipball/" + url.PathEscape(r.tag),
		"created_at":  stamp(r.created), "published_at": stampOrNull(r.published),
	}
}

func (g *GitHub) issueShape(repo *repository, i *issue) object {
	api := fmt.Sprintf("%s/repos/%s/issues/%d", g.base, repo.fullName(), i.number)
	shape := object{
		"id": i.id, "node_id": nodeID("Issue", i.id), "number": i.number, "url": api,
		"html_url":       fmt.Sprintf("%s/%s/issues/%d", g.base, repo.fullName(), i.number),
		"repository_url": g.base + "/repos/" + repo.fullName(),
		"title":          i.title, "body": i.text, "state": "open", "state_reason": nil, "locked": false, "comments": 0,
		"user": g.userShape(i.author), "author_association": "NONE", "labels": []string{},
		"assignee": nil, "assignees": []object{}, "milestone": nil, "closed_at": nil, "closed_by": nil,
		"created_at": stamp(i.created), "updated_at": stamp(i.created),
	}
	addURLs(shape, "labels comments events timeline", api)
	return shape
}

// commitShape is GitHub's simple-commit.
func (g *GitHub) commitShape(sha string, at time.Time) object {
	who := object{"name": "octocat", "email": "octocat@users.noreply.github.com"}
	return object{
		"id": sha, "tree_id": sha, "message": "Change files", "timestamp": stamp(at),
		"author": maps.Clone(who), "committer": who,
	}
}
