package server

import (
	"net/http"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// A row is how a code looks on the wire: its status and its OAuth error (RFC
// 6749 section 5.2, RFC 8693 section 2.2.2). access_denied is the one deviation
// from RFC 8693, which knows no refusal by policy.
type row struct {
	status int
	error  string
}

const (
	invalidRequest = "invalid_request"
	invalidTarget  = "invalid_target"
	accessDenied   = "access_denied"
	unavailable    = "temporarily_unavailable"
)

var wire = map[problem.Code]row{
	problem.Malformed:           {http.StatusBadRequest, invalidRequest},
	problem.BadForm:             {http.StatusBadRequest, invalidRequest},
	problem.BadSignature:        {http.StatusBadRequest, invalidRequest},
	problem.UnknownKey:          {http.StatusBadRequest, invalidRequest},
	problem.BadClaims:           {http.StatusBadRequest, invalidRequest},
	problem.WrongIssuer:         {http.StatusBadRequest, invalidRequest},
	problem.WrongAudience:       {http.StatusBadRequest, invalidRequest},
	problem.Expired:             {http.StatusBadRequest, invalidRequest},
	problem.NotYetValid:         {http.StatusBadRequest, invalidRequest},
	problem.Stale:               {http.StatusBadRequest, invalidRequest},
	problem.Replayed:            {http.StatusBadRequest, invalidRequest},
	problem.IdempotencyMismatch: {http.StatusConflict, invalidRequest},
	problem.TooLarge:            {http.StatusRequestEntityTooLarge, invalidRequest},
	problem.WrongContentType:    {http.StatusUnsupportedMediaType, invalidRequest},
	problem.NotFound:            {http.StatusNotFound, invalidRequest},
	problem.MethodNotAllowed:    {http.StatusMethodNotAllowed, invalidRequest},
	problem.BadOperatorToken:    {http.StatusUnauthorized, "invalid_token"},

	problem.UnsupportedGrant:    {http.StatusBadRequest, "unsupported_grant_type"},
	problem.UnknownPermission:   {http.StatusBadRequest, "invalid_scope"},
	problem.OwnerNotServed:      {http.StatusBadRequest, invalidTarget},
	problem.NotInstalled:        {http.StatusBadRequest, invalidTarget},
	problem.TooManyRepositories: {http.StatusBadRequest, invalidTarget},

	problem.NoSuchGrant:     {http.StatusForbidden, accessDenied},
	problem.NoGrantMatches:  {http.StatusForbidden, accessDenied},
	problem.AboveGrant:      {http.StatusForbidden, accessDenied},
	problem.AboveCeiling:    {http.StatusForbidden, accessDenied},
	problem.Frozen:          {http.StatusForbidden, accessDenied},
	problem.Locked:          {http.StatusForbidden, accessDenied},
	problem.JobOver:         {http.StatusForbidden, accessDenied},
	problem.NotGrantedToApp: {http.StatusForbidden, accessDenied},
	problem.ReasonRequired:  {http.StatusForbidden, accessDenied},
	problem.Denied:          {http.StatusForbidden, accessDenied},

	problem.JobQuota:    {http.StatusTooManyRequests, unavailable},
	problem.RateLimited: {http.StatusTooManyRequests, unavailable},

	problem.Internal:              {http.StatusInternalServerError, unavailable},
	problem.GitHubError:           {http.StatusBadGateway, unavailable},
	problem.AnswerTooWide:         {http.StatusBadGateway, unavailable},
	problem.MintIndeterminate:     {http.StatusGatewayTimeout, unavailable},
	problem.PolicyUnavailable:     {http.StatusServiceUnavailable, unavailable},
	problem.PolicyInvalid:         {http.StatusServiceUnavailable, unavailable},
	problem.InstallationSuspended: {http.StatusServiceUnavailable, unavailable},
	problem.IssuerUnavailable:     {http.StatusServiceUnavailable, unavailable},
	problem.StoreUnavailable:      {http.StatusServiceUnavailable, unavailable},
	problem.Pending:               {http.StatusServiceUnavailable, unavailable},
	problem.Draining:              {http.StatusServiceUnavailable, unavailable},
}

// statusOf is the HTTP status of a code; one without a row is our own fault.
func statusOf(c problem.Code) int {
	if r, known := wire[c]; known {
		return r.status
	}
	return http.StatusInternalServerError
}

func oauthError(c problem.Code) string {
	if r, known := wire[c]; known {
		return r.error
	}
	return unavailable
}
