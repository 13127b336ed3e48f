// Package api is Curfew's HTTP face in Go: what goes over the wire, and the
// light client that the action uses.
//
// A workload trades its OIDC token for a GitHub token by RFC 8693
// ([Client.Exchange]), gives it back by RFC 7009 ([Client.Revoke]), or says
// that its job is over ([Client.EndJob]). The client trusts no answer: one that
// is a redirect, too long, not JSON or not complete is a [*RefusedAnswer], and
// what it may have handed out is kept there so that it can be ended.
package api

// The paths of the server's routes.
const (
	PathToken    = "/v1/token"
	PathRevoke   = "/v1/revoke"
	PathJobsEnd  = "/v1/jobs/end"
	PathLeases   = "/v1/leases"
	PathMetadata = "/.well-known/oauth-authorization-server"
)

// The URNs of RFC 8693 sections 2.1 and 3.
//
//nolint:gosec // names of token types, not tokens
const (
	GrantTypeTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	TokenTypeJWT           = "urn:ietf:params:oauth:token-type:jwt"
	TokenTypeIDToken       = "urn:ietf:params:oauth:token-type:id_token"
	TokenTypeAccessToken   = "urn:ietf:params:oauth:token-type:access_token"
)

// The names of the form's fields: RFC 8693 section 2.1, RFC 7009 section 2.1, and ours.
const (
	FieldGrantType          = "grant_type"
	FieldSubjectToken       = "subject_token"
	FieldSubjectTokenType   = "subject_token_type"
	FieldRequestedTokenType = "requested_token_type"
	FieldResource           = "resource"
	FieldScope              = "scope"
	FieldGrant              = "grant"
	FieldRequestedExpiresIn = "requested_expires_in"
	FieldReason             = "reason"
	FieldContext            = "context"
	FieldDryRun             = "dry_run"
	FieldToken              = "token"
)

// HeaderIdempotencyKey names the header under which a request may be repeated.
const HeaderIdempotencyKey = "Idempotency-Key"

// MaxBody bounds requests and answers alike, in bytes.
const MaxBody = 64 << 10

// MaxToken bounds a GitHub token or a revocation handle, in bytes.
const MaxToken = 8 << 10
