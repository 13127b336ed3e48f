package action

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
)

// report tells why there is no token, each reason as one error annotation.
func (p *phase) report(err error) {
	var bad badInputs
	var refusal *api.Error
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &bad):
		for _, b := range bad {
			p.fail(b.Error())
		}
	case errors.Is(err, errNoIDToken):
		p.fail(noIDToken...)
	case errors.As(err, &refusal):
		p.reportRefusal(refusal)
	case errors.As(err, &untrusted):
		p.fail(fmt.Sprintf("no token: %s. If the server has a certificate of a private authority, put the authority's into the input %s", err, inputCA))
	default:
		p.fail(fmt.Sprintf("no token: %s", err))
	}
}

// most bounds how much of one text of the server is shown.
const most = 500

func (p *phase) reportRefusal(refusal *api.Error) {
	body := refusal.Body
	grant := p.gh.GetInput(inputGrant)
	line := fmt.Sprintf("%s was not granted: %s (%s)", grant, clip(body.ErrorDescription, most), clip(string(body.Code), most))
	if body.Hint != "" {
		line += ". To fix it: " + clip(body.Hint, most)
	}
	if body.CorrelationID != "" {
		line += ". The server's log has it under " + clip(body.CorrelationID, most)
	}
	p.fail(line)
	for i, d := range body.Details {
		if i == mostDetails {
			break
		}
		p.say("%s: %s should be %s, but is %s", clip(d.Rule, most), clip(d.Claim, most), orNothing(d.Expected), orNothing(d.Got))
	}
	p.summarize(refusalSummary(grant, body))
}

// celebrate tells what later steps now have.
func (p *phase) celebrate(w wish, granted api.TokenResponse) {
	left := time.Duration(granted.ExpiresIn) * time.Second
	p.say("granted %s on %s until %s (%s)", what(granted), where(granted), until(granted.ExpiresAt, left), short(left))
	p.summarize(grantSummary(w, p.context(), granted))
}

func (p *phase) summarize(summary string) {
	if p.Getenv(summaryFile) == "" {
		return
	}
	if err := p.extend(summaryFile, summary); err != nil {
		p.warn("the job summary could not be written: %s", err)
	}
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return clip(text, most)
}
