package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

var tokenParameters = []string{
	api.FieldGrantType, api.FieldSubjectToken, api.FieldSubjectTokenType, api.FieldRequestedTokenType, api.FieldResource, api.FieldScope,
	api.FieldGrant, api.FieldRequestedExpiresIn, api.FieldReason, api.FieldContext, api.FieldDryRun, "actor_token", "actor_token_type", "audience",
}

const (
	maxReason         = 1 << 10
	maxContext        = 4 << 10
	maxIdempotencyKey = 128
)

var (
	grantName      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	ownerName      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,39}$`)
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	idempotencyKey = regexp.MustCompile(`^[!-~]{1,` + strconv.Itoa(maxIdempotencyKey) + `}$`)
)

// tokenRequest reads a token exchange request (RFC 8693 section 2.1).
func (s *Server) tokenRequest(c *call) (r exchange.Request, err error) {
	form, err := c.form(tokenParameters, api.FieldResource)
	if err != nil {
		return r, err
	}
	if err := checkExchangeKind(form); err != nil {
		return r, err
	}
	r = exchange.Request{
		Token: secret.New(form.Get(api.FieldSubjectToken)), Context: form.Get(api.FieldContext),
		Correlation: c.correlation, SourceIP: s.client(c.Request),
	}
	if r.Target, err = s.target(form[api.FieldResource]); err != nil {
		return r, err
	}
	if r.Ask, err = ask(form); err != nil {
		return r, err
	}
	if err := checkText("context", r.Context, maxContext); err != nil {
		return r, err
	}
	if r.DryRun, err = flag(form, api.FieldDryRun); err != nil {
		return r, err
	}
	if key := c.Header.Values(api.HeaderIdempotencyKey); len(key) > 0 {
		if len(key) > 1 || !idempotencyKey.MatchString(key[0]) {
			return r, problem.New(problem.BadForm, "Idempotency-Key is not one line of 1 to %d printable ASCII characters", maxIdempotencyKey)
		}
		r.IdempotencyKey, r.Digest = key[0], digest(form)
	}
	return r, nil
}

// checkExchangeKind holds the request to the one kind of exchange there is.
func checkExchangeKind(form url.Values) error {
	switch got := form.Get(api.FieldGrantType); got {
	case api.GrantTypeTokenExchange:
	case "":
		return problem.New(problem.BadForm, "grant_type is missing").WithHint("send %s", api.GrantTypeTokenExchange)
	default:
		return problem.New(problem.UnsupportedGrant, "grant_type is %q", problem.Clip(got)).WithHint("accepted: %s", api.GrantTypeTokenExchange)
	}
	for _, name := range []string{"actor_token", "actor_token_type", "audience"} {
		if form.Has(name) {
			return problem.New(problem.BadForm, "%s is not accepted", name).WithHint("name the target with resource")
		}
	}
	if form.Get(api.FieldSubjectToken) == "" {
		return problem.New(problem.BadForm, "subject_token is missing").WithHint("send the job's OIDC token")
	}
	switch got := form.Get(api.FieldSubjectTokenType); got {
	case api.TokenTypeJWT, api.TokenTypeIDToken:
	default:
		return problem.New(problem.BadForm, "subject_token_type is %q", problem.Clip(got)).
			WithHint("accepted: %s or %s", api.TokenTypeJWT, api.TokenTypeIDToken)
	}
	if form.Has(api.FieldRequestedTokenType) && form.Get(api.FieldRequestedTokenType) != api.TokenTypeAccessToken {
		return problem.New(problem.BadForm, "requested_token_type is %q", problem.Clip(form.Get(api.FieldRequestedTokenType))).
			WithHint("leave it out, or send %s", api.TokenTypeAccessToken)
	}
	return nil
}

// ask reads what is wanted: grant, scope, time and reason.
func ask(form url.Values) (a policy.Request, err error) {
	a.Grant, a.Reason = form.Get(api.FieldGrant), form.Get(api.FieldReason)
	if !grantName.MatchString(a.Grant) {
		return a, problem.New(problem.BadForm, "grant is %q", problem.Clip(a.Grant)).
			WithHint("send the name of a grant: a small letter, then small letters, digits and hyphens, 63 at most")
	}
	if err := checkText("reason", a.Reason, maxReason); err != nil {
		return a, err
	}
	if form.Has(api.FieldScope) {
		if a.Permissions, err = scope.ParseScope(form.Get(api.FieldScope)); err != nil {
			return a, err
		}
	}
	if form.Has(api.FieldRequestedExpiresIn) {
		seconds, err := strconv.ParseUint(form.Get(api.FieldRequestedExpiresIn), 10, 31)
		if err != nil || seconds < 5 {
			return a, problem.New(problem.BadForm, "requested_expires_in is %q", problem.Clip(form.Get(api.FieldRequestedExpiresIn))).
				WithHint("accepted: whole seconds, 5 to 3600")
		}
		a.Duration = time.Duration(seconds) * time.Second
	}
	return a, nil
}

// target reads the resource parameters (RFC 8693 section 2.1): repositories of
// one owner by their web addresses.
func (s *Server) target(resources []string) (t policy.Target, err error) {
	for _, resource := range resources {
		path, found := strings.CutPrefix(resource, s.Web+"/")
		owner, name, isRepository := strings.Cut(path, "/")
		if !found || !isRepository || !ownerName.MatchString(owner) || !repositoryName.MatchString(name) || name == "." || name == ".." {
			return t, problem.New(problem.BadForm, "resource is %q", problem.Clip(resource)).WithHint("accepted: %s/OWNER/REPOSITORY", s.Web)
		}
		if t.Owner != "" && !strings.EqualFold(t.Owner, owner) {
			return t, problem.New(problem.BadForm, "the resources belong to several owners").WithHint("ask for the repositories of one owner at a time")
		}
		t.Owner = owner
		t.Repositories = append(t.Repositories, name)
	}
	if len(t.Repositories) > scope.MaxRepositories {
		return t, problem.New(problem.TooManyRepositories, "%d repositories are asked for", len(t.Repositories)).
			WithHint("accepted: %d at most", scope.MaxRepositories)
	}
	return t, nil
}

func checkText(name, text string, most int) error {
	if len(text) > most || !utf8.ValidString(text) {
		return problem.New(problem.BadForm, "%s is not UTF-8 text of at most %d bytes", name, most)
	}
	return nil
}

func flag(form url.Values, name string) (bool, error) {
	switch got := form.Get(name); {
	case !form.Has(name), got == "false":
		return false, nil
	case got == "true":
		return true, nil
	default:
		return false, problem.New(problem.BadForm, "%s is %q", name, problem.Clip(got)).WithHint("accepted: true or false")
	}
}

// digest is the SHA-256 of a request without its OIDC token, which is a fresh one at each try.
func digest(form url.Values) string {
	rest := url.Values{}
	for name, v := range form {
		if name != api.FieldSubjectToken {
			rest[name] = v
		}
	}
	sum := sha256.Sum256([]byte(rest.Encode()))
	return hex.EncodeToString(sum[:])
}
