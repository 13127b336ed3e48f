package simulator

import (
	"encoding/json"
	"net/http"
)

// revokeToken answers DELETE /installation/token: a token ends itself, and
// nothing else can.
// https://docs.github.com/en/rest/apps/installations#revoke-an-installation-access-token
func revokeToken(g *GitHub, q *request) answer {
	now := g.now()
	m := &g.mints[q.token.Seq-1]
	if m.RevokedAt.IsZero() {
		m.RevokedAt = now.Add(q.fault.LateDeath)
	}
	g.deletes = append(g.deletes, Delete{Seq: len(g.deletes) + 1, Mint: m.Seq, Time: now, Token: m.Token})
	return reply(http.StatusNoContent, nil)
}

// getTokenRepositories answers GET /installation/repositories, which every
// living token may ask.
// https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation
func getTokenRepositories(g *GitHub, q *request) answer {
	var reached []*repository
	for _, r := range g.repositoriesOf(&installation{owner: q.in.owner}) {
		if g.reaches(q.token, r) {
			reached = append(reached, r)
		}
	}
	return q.page(len(reached), func(from, to int) any {
		shapes := []json.RawMessage{}
		for _, r := range reached[from:to] {
			shapes = append(shapes, g.repositoryShape(r))
		}
		return object{
			"total_count":          len(reached),
			"repository_selection": q.token.Selection,
			"repositories":         shapes,
		}
	})
}
