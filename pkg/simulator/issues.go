package simulator

import (
	"net/http"
	"slices"
	"time"
)

type issue struct {
	id      int64
	number  int
	title   string
	text    string
	author  *account
	created time.Time
}

// createIssue answers POST /repos/{owner}/{repo}/issues.
// https://docs.github.com/en/rest/issues/issues#create-an-issue
func createIssue(g *GitHub, q *request) answer {
	members, err := q.members()
	if err != nil {
		return problemsParsing()
	}
	title := text(members, "title")
	if title == "" {
		return invalid("Issue", "title", "missing_field")
	}
	i := &issue{
		number: len(q.repo.issues) + 1, title: title, text: text(members, "body"),
		author: q.app.bot, created: g.now(),
	}
	i.id = q.repo.ID*1000 + int64(i.number)
	q.repo.issues = append(q.repo.issues, i)
	a := reply(http.StatusCreated, g.issueShape(q.repo, i))
	a.header.Set("Location", a.body.(object)["url"].(string))
	return a
}

// getIssues answers GET /repos/{owner}/{repo}/issues, newest first.
// https://docs.github.com/en/rest/issues/issues#list-repository-issues
func getIssues(g *GitHub, q *request) answer {
	shapes := []object{}
	for _, i := range slices.Backward(q.repo.issues) {
		shapes = append(shapes, g.issueShape(q.repo, i))
	}
	return q.page(len(shapes), func(from, to int) any { return shapes[from:to] })
}
