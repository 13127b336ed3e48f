package api

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// A TokenRequest asks for a token (RFC 8693 section 2.1). What is left zero is not sent.
type TokenRequest struct {
	SubjectToken     secret.Text // the job's OIDC token
	SubjectTokenType string      // [TokenTypeJWT] if empty
	Resources        []string    // URLs of repositories, or of the owner alone; default: the workload's own repository
	Scope            string      // name:level parts; default: the grant's
	Grant            string      // required
	Seconds          int         // how long the token shall live; default: the grant's
	Reason           string      // why a person wants it
	Context          string      // what the workflow was doing
	DryRun           bool        // decide, but mint nothing

	// IdempotencyKey travels as a header: repeated with the same body, it never leaves two tokens alive.
	IdempotencyKey string
}

// Form is the request as it goes over the wire, with the OIDC token in the clear.
func (r TokenRequest) Form() url.Values {
	form := url.Values{
		FieldGrantType:        {GrantTypeTokenExchange},
		FieldSubjectToken:     {r.SubjectToken.Reveal()},
		FieldSubjectTokenType: {TokenTypeJWT},
	}
	if len(r.Resources) > 0 {
		form[FieldResource] = slices.Clone(r.Resources)
	}
	for field, value := range map[string]string{
		FieldSubjectTokenType: r.SubjectTokenType,
		FieldScope:            r.Scope,
		FieldGrant:            r.Grant,
		FieldReason:           r.Reason,
		FieldContext:          r.Context,
	} {
		if value != "" {
			form.Set(field, value)
		}
	}
	if r.Seconds != 0 {
		form.Set(FieldRequestedExpiresIn, strconv.Itoa(r.Seconds))
	}
	if r.DryRun {
		form.Set(FieldDryRun, "true")
	}
	return form
}

// A TokenResponse is a granted token (RFC 8693 section 2.2). On a dry run
// AccessToken, LeaseID, RevocationHandle and TokenSHA256 are empty.
//
// Marshalled as it is, the token shows as redacted; [TokenResponse.Body] is what
// goes over the wire.
type TokenResponse struct {
	AccessToken      secret.Text  `json:"access_token,omitzero"`
	IssuedTokenType  string       `json:"issued_token_type"`
	TokenType        string       `json:"token_type"` // Bearer
	ExpiresIn        int          `json:"expires_in"` // seconds until the curfew
	Scope            string       `json:"scope"`
	LeaseID          string       `json:"lease_id,omitempty"`
	ExpiresAt        time.Time    `json:"expires_at"` // the curfew
	Grant            string       `json:"grant"`
	Owner            string       `json:"owner"`
	Repositories     []Repository `json:"repositories"`
	Permissions      Permissions  `json:"permissions"`
	AppSlug          string       `json:"app_slug"`
	GitUserName      string       `json:"git_user_name"`
	GitUserEmail     string       `json:"git_user_email"`
	RevocationHandle secret.Text  `json:"revocation_handle,omitzero"`
	TokenSHA256      string       `json:"token_sha256,omitempty"` // base64, as GitHub's audit log has it
}

// A Repository is one that a token reaches.
type Repository = scope.Repository

// Permissions maps permission names to level names, as they stand in JSON. A
// client may meet names that its own table does not know yet.
type Permissions map[string]string

// PermissionsOf writes p in the words of the wire.
func PermissionsOf(p scope.Permissions) Permissions {
	words := make(Permissions, len(p))
	for name, level := range p {
		words[name] = level.String()
	}
	return words
}

// String lists `name:level`, sorted and separated by spaces.
func (p Permissions) String() string {
	parts := make([]string, 0, len(p))
	for name, level := range p {
		parts = append(parts, name+":"+level)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// bare is a TokenResponse without its methods.
type bare TokenResponse

// revealed lets the two secrets of a TokenResponse through: the fields here
// hide those of the embedded struct from encoding/json.
type revealed struct {
	AccessToken string `json:"access_token,omitempty"`
	bare
	RevocationHandle string `json:"revocation_handle,omitempty"`
}

// Body is the JSON that goes over the wire, with token and handle in the clear.
func (r TokenResponse) Body() ([]byte, error) {
	wire := revealed{r.AccessToken.Reveal(), bare(r), r.RevocationHandle.Reveal()}
	wire.ExpiresAt = r.ExpiresAt.UTC().Truncate(time.Second)
	if wire.Repositories == nil {
		wire.Repositories = []Repository{}
	}
	return json.Marshal(wire) //nolint:gosec // the one place where the token is meant to leave
}

// parseTokenResponse reads what Body wrote.
func parseTokenResponse(body []byte) (TokenResponse, error) {
	var wire revealed
	if err := decode(body, &wire); err != nil {
		return TokenResponse{}, err
	}
	r := TokenResponse(wire.bare)
	r.AccessToken = secret.New(wire.AccessToken)
	r.RevocationHandle = secret.New(wire.RevocationHandle)
	return r, nil
}
