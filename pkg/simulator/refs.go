package simulator

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// getRef answers GET /repos/{owner}/{repo}/git/ref/{ref}.
// https://docs.github.com/en/rest/git/refs#get-a-reference
func getRef(g *GitHub, q *request) answer {
	ref := "refs/" + q.PathValue("ref")
	if q.repo.refs[ref] == "" {
		return notFound()
	}
	return ok(g.refShape(q.repo, ref))
}

// getMatchingRefs lists the refs whose names start as the path says.
// https://docs.github.com/en/rest/git/refs#list-matching-references
func getMatchingRefs(g *GitHub, q *request) answer {
	shapes := []object{}
	for _, ref := range slices.Sorted(maps.Keys(q.repo.refs)) {
		if strings.HasPrefix(ref, "refs/"+q.PathValue("ref")) {
			shapes = append(shapes, g.refShape(q.repo, ref))
		}
	}
	return ok(shapes)
}

// createRef answers POST /repos/{owner}/{repo}/git/refs.
// https://docs.github.com/en/rest/git/refs#create-a-reference
func createRef(g *GitHub, q *request) answer {
	members, err := q.members()
	if err != nil {
		return problemsParsing()
	}
	ref, sha := text(members, "ref"), text(members, "sha")
	switch {
	case !wellFormedRef(ref):
		return refuse(http.StatusUnprocessableEntity, "Reference name must start with 'refs/' and have at least two slashes")
	case q.repo.refs[ref] != "":
		return refuse(http.StatusUnprocessableEntity, "Reference already exists")
	case !slices.Contains(q.repo.commits, sha):
		return refuse(http.StatusUnprocessableEntity, "Object does not exist")
	}
	q.repo.refs[ref] = sha
	a := reply(http.StatusCreated, g.refShape(q.repo, ref))
	a.header.Set("Location", a.body.(object)["url"].(string))
	return a
}

// wellFormedRef holds the rules of git check-ref-format that matter here.
// https://git-scm.com/docs/git-check-ref-format
func wellFormedRef(ref string) bool {
	if !strings.HasPrefix(ref, "refs/") || strings.Count(ref, "/") < 2 || strings.Contains(ref, "..") {
		return false
	}
	if strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) }) {
		return false
	}
	for part := range strings.SplitSeq(ref, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") || strings.HasSuffix(part, ".") {
			return false
		}
	}
	return true
}
