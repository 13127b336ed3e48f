package simulator

import (
	"encoding/json"
	"net/http"
	"strings"
)

// findRefQuery is the one GraphQL query that is answered: gh asks it before it
// releases a tag of the clone it runs in. Spaces don't count.
const findRefQuery = `query RepositoryFindRef($name:String!$owner:String!$tagName:String!)` +
	`{repository(owner: $owner, name: $name){ref(qualifiedName: $tagName){id}}}`

// graphQL answers POST /graphql.
// https://docs.github.com/en/graphql/reference/objects#repository
func graphQL(g *GitHub, q *request) answer {
	var asked struct {
		Query     string
		Variables struct{ Owner, Name, TagName string }
	}
	if json.Unmarshal(q.body, &asked) != nil {
		return problemsParsing()
	}
	if squeezed(asked.Query) != squeezed(findRefQuery) {
		return reply(http.StatusNotImplemented, object{"message": "this simulator answers no such query"})
	}
	owner, name := asked.Variables.Owner, asked.Variables.Name
	repo, err := g.repository(owner, name)
	if err != nil || !g.reaches(q.token, repo) {
		return graphQLError(nil, "NOT_FOUND", "Could not resolve to a Repository with the name '"+owner+"/"+name+"'.")
	}
	if !atLeast(q.token.Permissions["contents"], "read") {
		return graphQLError(object{"ref": nil}, "FORBIDDEN", "Resource not accessible by integration")
	}
	found := object{"ref": nil}
	if ref := asked.Variables.TagName; repo.refs[ref] != "" {
		found["ref"] = object{"id": nodeID("Ref:"+ref+":", repo.ID)}
	}
	return ok(object{"data": object{"repository": found}})
}

// graphQLError is a 200 like every answer to a query that could be read.
func graphQLError(repository any, kind, message string) answer {
	return ok(object{
		"data":   object{"repository": repository},
		"errors": []object{{"type": kind, "path": []string{"repository"}, "message": message}},
	})
}

func squeezed(query string) string { return strings.Join(strings.Fields(query), "") }
