package policy

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// An Error is one mistake in a policy file.
type Error struct {
	Path         string // of the file, with owner/name before it where it is in a repository
	Line, Column int    // both from 1
	Field        string // such as grants.release.allow[0].ref; "" for the file as a whole
	Message      string // what was got, what is accepted, how to put it right
}

// Error tells it as file:line:column: field: message.
func (e Error) Error() string {
	place := fmt.Sprintf("%s:%d:%d: ", e.Path, e.Line, e.Column)
	if e.Field != "" {
		place += e.Field + ": "
	}
	return place + e.Message
}

func (e Error) compare(other Error) int {
	return cmp.Or(cmp.Compare(e.Line, other.Line), cmp.Compare(e.Column, other.Column))
}

// Errors are all mistakes found in one file, in its order.
type Errors []Error

// Error tells one mistake a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// refusal is what a workload is told: the owner's own people see the first mistakes.
func (es Errors) refusal(source Source) *problem.Problem {
	const shown = 5
	told := es[:min(len(es), shown)].Error()
	if more := len(es) - shown; more > 0 {
		told += fmt.Sprintf("\nand %d more", more)
	}
	return problem.New(problem.PolicyInvalid, "the %s's policy %s does not load", source.Origin, source.place()).
		WithHint("%s", told).WithCause(es)
}

// advice is what a refusal of another room says, in the words of this one.
func advice(err error) string {
	p := problem.From(err)
	if p.Hint == "" {
		return p.Detail
	}
	return p.Detail + "; " + p.Hint
}
