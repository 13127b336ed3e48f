package problem

// A Code names one refusal. The set is closed: clients may rely on it.
type Code string

// What is wrong with the request or its OIDC token.
const (
	Malformed           Code = "malformed"
	BadForm             Code = "bad_form"
	BadSignature        Code = "bad_signature"
	UnknownKey          Code = "unknown_key"
	BadClaims           Code = "bad_claims"
	WrongIssuer         Code = "wrong_issuer"
	WrongAudience       Code = "wrong_audience"
	Expired             Code = "expired"
	NotYetValid         Code = "not_yet_valid"
	Stale               Code = "stale"
	Replayed            Code = "replayed"
	IdempotencyMismatch Code = "idempotency_mismatch"
	TooLarge            Code = "too_large"
	WrongContentType    Code = "wrong_content_type"
	UnsupportedGrant    Code = "unsupported_grant_type"
	UnknownPermission   Code = "unknown_permission"
	OwnerNotServed      Code = "owner_not_served"
	NotInstalled        Code = "not_installed"
	TooManyRepositories Code = "too_many_repositories"
	NotFound            Code = "not_found"
	MethodNotAllowed    Code = "method_not_allowed"
	BadOperatorToken    Code = "bad_operator_token"
)

// What policy or the state of things forbids.
const (
	NoSuchGrant     Code = "no_such_grant"
	NoGrantMatches  Code = "no_grant_matches"
	AboveGrant      Code = "above_grant"
	AboveCeiling    Code = "above_ceiling"
	Frozen          Code = "frozen"
	Locked          Code = "locked"
	JobOver         Code = "job_over"
	NotGrantedToApp Code = "not_granted_to_app"
	ReasonRequired  Code = "reason_required"
	Denied          Code = "denied"
	JobQuota        Code = "job_quota"
)

// What the server or GitHub could not do.
const (
	RateLimited           Code = "rate_limited"
	Pending               Code = "pending"
	Internal              Code = "internal"
	GitHubError           Code = "github_error"
	MintIndeterminate     Code = "mint_indeterminate"
	AnswerTooWide         Code = "answer_too_wide"
	PolicyUnavailable     Code = "policy_unavailable"
	PolicyInvalid         Code = "policy_invalid"
	InstallationSuspended Code = "installation_suspended"
	IssuerUnavailable     Code = "issuer_unavailable"
	StoreUnavailable      Code = "store_unavailable"
	Draining              Code = "draining"
)

// retryable holds the codes after which the same request may succeed without anybody changing anything.
var retryable = map[Code]bool{
	RateLimited: true, Pending: true, Internal: true, GitHubError: true,
	PolicyUnavailable: true, InstallationSuspended: true, IssuerUnavailable: true,
	StoreUnavailable: true, Draining: true,
}

// Retryable tells whether a client may try again unchanged, with backoff.
func (c Code) Retryable() bool { return retryable[c] }
