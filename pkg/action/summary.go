package action

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
)

// mostDetails bounds how many rows a refusal may fill.
const mostDetails = 50

// The job summary is Markdown, but its tables are HTML: Markdown reads nothing
// inside an HTML block (GitHub Flavored Markdown spec, section 4.6), so escaping
// for HTML is all that a hostile text needs, as long as it ends no line.

// code shows a text word for word.
func code(text string) string {
	if text == "" {
		return "–"
	}
	return "<code>" + html.EscapeString(inert(clip(text, most))) + "</code>"
}

func row(tag string, cells ...string) string {
	return "<tr><" + tag + ">" + strings.Join(cells, "</"+tag+"><"+tag+">") + "</" + tag + "></tr>\n"
}

// table is one HTML block: it holds no empty line, and one follows.
func table(title string, rows ...string) string {
	return "<h3>" + title + "</h3>\n<table>\n" + strings.Join(rows, "") + "</table>\n\n"
}

// grantSummary says what was granted, why, and until when.
func grantSummary(w wish, context string, granted api.TokenResponse) string {
	why := code(w.reason)
	if w.reason == "" {
		why = "no reason given"
	}
	left := time.Duration(granted.ExpiresIn) * time.Second
	return table("Curfew granted "+code(granted.Grant),
		row("td", "what", code(what(granted))+" on "+code(where(granted))),
		row("td", "why", why+"<br>"+code(context)),
		row("td", "until", fmt.Sprintf("%s (%s), or the end of this job", granted.ExpiresAt.UTC().Format("2006-01-02 15:04:05 UTC"), short(left))),
		row("td", "lease", code(granted.LeaseID)),
	)
}

// refusalSummary says which rule looked at what, what it wanted, what it found,
// and how to put that right.
func refusalSummary(grant string, body api.ErrorBody) string {
	details := body.Details
	if len(details) > mostDetails {
		details = details[:mostDetails]
	}
	if len(details) == 0 {
		details = []api.Detail{{Rule: string(body.Code)}}
	}
	rows := []string{row("th", "rule", "claim", "expected", "got", "fix")}
	for i, d := range details {
		cells := []string{code(d.Rule), code(d.Claim), code(d.Expected), code(d.Got)}
		line := row("td", cells...)
		if i == 0 {
			fix := fmt.Sprintf(`<td rowspan="%d">%s</td></tr>`, len(details), code(fixOf(body)))
			line = strings.TrimSuffix(line, "</tr>\n") + fix + "\n"
		}
		rows = append(rows, line)
	}
	foot := fmt.Sprintf("<p>%s (%s, correlation id %s)</p>\n\n", code(body.ErrorDescription), code(string(body.Code)), code(body.CorrelationID))
	return table("Curfew did not grant "+code(grant), rows...) + foot
}

func fixOf(body api.ErrorBody) string {
	switch {
	case body.Hint != "":
		return body.Hint
	case body.Retryable:
		return "Run the job again."
	}
	return "Ask the people who run the Curfew server; its log has the reason under the correlation id."
}
