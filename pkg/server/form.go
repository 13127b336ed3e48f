package server

import (
	"io"
	"mime"
	"net/url"
	"slices"
	"strings"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/problem"
)

const formType = "application/x-www-form-urlencoded"

// form reads a form-encoded body. Every parameter stands once, but those
// named in repeatable; one that is not in known is refused, because a misspelt
// `scope` would silently ask for the whole grant.
func (c *call) form(known []string, repeatable ...string) (url.Values, error) {
	if mediaType, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || mediaType != formType {
		return nil, problem.New(problem.WrongContentType, "the Content-Type is not %s", formType)
	}
	if c.Header.Get("Content-Encoding") != "" {
		return nil, problem.New(problem.WrongContentType, "a Content-Encoding is not accepted")
	}
	if c.URL.RawQuery != "" {
		return nil, problem.New(problem.BadForm, "parameters belong into the body, not into the address")
	}
	body, err := io.ReadAll(io.LimitReader(c.Body, api.MaxBody+1))
	if err != nil {
		return nil, problem.New(problem.BadForm, "the body could not be read").WithCause(err)
	}
	if len(body) > api.MaxBody {
		return nil, problem.New(problem.TooLarge, "the body is larger than %d bytes", api.MaxBody)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, problem.New(problem.BadForm, "the body is not form-encoded")
	}
	for name, v := range values {
		if !slices.Contains(known, name) {
			return nil, problem.New(problem.BadForm, "there is no parameter %q", problem.Clip(name)).
				WithHint("accepted: %s", strings.Join(known, ", "))
		}
		if len(v) > 1 && !slices.Contains(repeatable, name) {
			return nil, problem.New(problem.BadForm, "%s stands more than once", name)
		}
	}
	return values, nil
}
