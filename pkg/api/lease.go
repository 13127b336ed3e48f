package api

import (
	"net/url"
	"time"

	"github.com/curfew-dev/curfew/pkg/secret"
)

// A RevokeRequest ends one lease (RFC 7009 section 2.1).
type RevokeRequest struct {
	Token secret.Text // the access token or the revocation handle
}

// Form is the request as it goes over the wire, in the clear.
func (r RevokeRequest) Form() url.Values {
	return url.Values{FieldToken: {r.Token.Reveal()}}
}

// JobsEnded is the answer to [PathJobsEnd]: how many leases are being ended.
type JobsEnded struct {
	Ended int `json:"ended"`
}

// A LeaseList is a page of leases, as operators see them.
type LeaseList struct {
	Leases []LeaseView `json:"leases"`
	Next   string      `json:"next,omitempty"` // asks for the next page; empty on the last
}

// A LeaseView is one lease without its secrets. Times that have not come are left out.
type LeaseView struct {
	LeaseID      string       `json:"lease_id"`
	State        string       `json:"state"`
	Grant        string       `json:"grant"`
	Owner        string       `json:"owner"`
	Repositories []Repository `json:"repositories"`
	Permissions  Permissions  `json:"permissions"`
	Job          Job          `json:"job"`
	IntentAt     time.Time    `json:"intent_at"`
	IssuedAt     time.Time    `json:"issued_at,omitzero"`
	ExpiresAt    time.Time    `json:"expires_at"`
	EndedAt      time.Time    `json:"ended_at,omitzero"`
	Cause        string       `json:"cause,omitempty"`
	TokenSHA256  string       `json:"token_sha256,omitempty"`
}

// A Job names the workflow job that a lease belongs to.
type Job struct {
	Issuer       string `json:"issuer"`
	RepositoryID int64  `json:"repository_id"`
	RunID        int64  `json:"run_id"`
	RunAttempt   int64  `json:"run_attempt"`
	CheckRunID   int64  `json:"check_run_id,omitempty"`
}

// Metadata is the authorization server's description of itself (RFC 8414 section 2).
type Metadata struct {
	Issuer                     string   `json:"issuer"`
	TokenEndpoint              string   `json:"token_endpoint"`
	TokenEndpointAuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	RevocationEndpoint         string   `json:"revocation_endpoint"`
	RevocationEndpointAuth     []string `json:"revocation_endpoint_auth_methods_supported"`
	GrantTypesSupported        []string `json:"grant_types_supported"`
	ResponseTypesSupported     []string `json:"response_types_supported"` // empty: nobody logs in here
	SubjectTokenTypesSupported []string `json:"subject_token_types_supported"`
}

// MetadataOf describes the server at origin, which is in the form of [Origin].
func MetadataOf(origin string) Metadata {
	return Metadata{
		Issuer:                     origin,
		TokenEndpoint:              origin + PathToken,
		TokenEndpointAuthMethods:   []string{"none"},
		RevocationEndpoint:         origin + PathRevoke,
		RevocationEndpointAuth:     []string{"none"},
		GrantTypesSupported:        []string{GrantTypeTokenExchange},
		ResponseTypesSupported:     []string{},
		SubjectTokenTypesSupported: []string{TokenTypeJWT, TokenTypeIDToken},
	}
}
