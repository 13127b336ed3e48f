package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// asset is a file of a release.
type asset struct {
	id          int64
	name, label string
	kind        string // its media type
	content     []byte
	uploader    *account
	created     time.Time
}

// uploadAsset answers POST …/releases/{release_id}/assets: the body is the file.
// https://docs.github.com/en/rest/releases/assets#upload-a-release-asset
func uploadAsset(g *GitHub, q *request) answer {
	r, name := q.release(), q.URL.Query().Get("name")
	switch {
	case r == nil:
		return notFound()
	case name == "" || len(q.body) == 0:
		return invalid("ReleaseAsset", "name", "missing_field")
	case slices.ContainsFunc(r.assets, func(o *asset) bool { return o.name == name }):
		return invalid("ReleaseAsset", "name", "already_exists")
	}
	a := &asset{
		id: r.id*100 + int64(len(r.assets)) + 1, name: name, label: q.URL.Query().Get("label"),
		kind: q.Header.Get("Content-Type"), content: q.body, uploader: q.app.bot, created: g.now(),
	}
	r.assets = append(r.assets, a)
	return reply(http.StatusCreated, g.assetShape(q.repo, r, a))
}

func (g *GitHub) assetShape(repo *repository, r *release, a *asset) object {
	sum := sha256.Sum256(a.content)
	return object{
		"id": a.id, "node_id": nodeID("ReleaseAsset", a.id), "name": a.name, "label": a.label, "state": "uploaded",
		"content_type": a.kind, "size": len(a.content), "digest": "sha256:" + hex.EncodeToString(sum[:]), "download_count": 0,
		"url":                  fmt.Sprintf("%s/repos/%s/releases/assets/%d", g.base, repo.fullName(), a.id),
		"browser_download_url": g.base + "/" + repo.fullName() + "/releases/download/" + url.PathEscape(r.tag) + "/" + url.PathEscape(a.name),
		"uploader":             g.userShape(a.uploader), "created_at": stamp(a.created), "updated_at": stamp(a.created),
	}
}
