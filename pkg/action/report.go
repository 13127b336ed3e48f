package action

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
)

// report tells why there is no token, each reason as one error annotation.
func (p *phase) report(err error) {
	var bad badInputs
	var refusal *api.Error
	switch {
	case errors.As(err, &bad):
		for _, b := range bad {
			p.fail(b.Error())
		}
	case errors.Is(err, errNoIDToken):
		p.fail(noIDToken...)
	case errors.As(err, &refusal):
		p.reportRefusal(refusal)
	default:
		p.fail(fmt.Sprintf("no token: %s%s", err, wayOut(err)))
	}
}

// wayOut says what to look at when the server gave no answer, or none of its own.
func wayOut(err error) string {
	var untrusted *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	var odd *api.RefusedAnswer
	var lost *api.NoAnswer
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return ". The server's certificate has to be renewed; tell the people who run it"
	case errors.As(err, &untrusted):
		return ". If the server has a certificate of a private authority, put the authority's into the input " + inputCA
	case errors.As(err, &odd) && odd.Found.Empty():
		return fmt.Sprintf(". Is that a Curfew server? Check the input %s; its /healthz should answer", inputServer)
	case errors.As(err, &lost):
		return fmt.Sprintf(". The server could not be reached: check the input %s, and that the server is running and can be reached from this runner", inputServer)
	}
	return ""
}

// most bounds how much of one text of the server is shown.
const most = 500

func (p *phase) reportRefusal(refusal *api.Error) {
	body := refusal.Body
	grant := p.gh.GetInput(inputGrant)
	line := fmt.Sprintf("%s was not granted: %s (%s)", grant, clip(body.ErrorDescription, most), clip(string(body.Code), most))
	if body.Hint != "" {
		line = sentence(line) + "To fix it: " + clip(body.Hint, most)
	}
	if body.CorrelationID != "" {
		line = sentence(line) + "The server's log has it under " + clip(body.CorrelationID, most)
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

// sentence ends a line so that another sentence can follow.
func sentence(line string) string {
	if strings.HasSuffix(line, ".") || strings.HasSuffix(line, "?") {
		return line + " "
	}
	return line + ". "
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
