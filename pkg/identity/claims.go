package identity

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/curfew-dev/curfew/pkg/problem"
)

const (
	maxJTI         = 128
	propertyPrefix = "repo_property_"
)

// stringClaims are the claims that must be strings where they are present:
// GitHub's own, and those that go-oidc would read. Ids are strings of digits.
// https://docs.github.com/en/actions/reference/security/oidc
var stringClaims = setOf("sub", "jti", "nonce", "at_hash",
	"actor", "actor_id", "base_ref", "enterprise", "enterprise_id", "environment", "event_name", "head_ref",
	"job_workflow_ref", "job_workflow_sha", "ref", "ref_protected", "ref_type", "repository", "repository_id",
	"repository_owner", "repository_owner_id", "repository_visibility", "run_attempt", "run_id", "run_number",
	"runner_environment", "sha", "workflow", "workflow_ref", "workflow_sha")

// otherTypes are the claims whose type is looked at where they are read.
var otherTypes = setOf("iss", "aud", "exp", "iat", "nbf", "check_run_id")

// ownFields are the claims that stand in a field of a Workload of their own, or have done their work.
var ownFields = setOf("iss", "sub", "aud", "exp", "iat", "nbf", "jti",
	"repository", "repository_id", "repository_owner", "repository_owner_id", "run_id", "run_number", "run_attempt", "check_run_id",
	"ref", "event_name", "environment", "workflow", "workflow_ref", "job_workflow_ref", "runner_environment", "actor", "actor_id")

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// readClaims parses a payload and checks the form and type of each claim, not what it says.
func readClaims(payload []byte) (object, error) {
	claims, err := parseObject(payload, claimLimit)
	if err != nil {
		return nil, problem.New(problem.Malformed, "the token's payload %v", err)
	}
	for _, claim := range claims {
		if err := checkType(claim.name, claim.value); err != nil {
			return nil, err
		}
	}
	return claims, nil
}

func claimLimit(claim string) int {
	if strings.HasPrefix(claim, propertyPrefix) {
		return maxLongString
	}
	return maxString
}

// checkType wants each claim in the spelling and the JSON type that GitHub gives it.
func checkType(name string, value any) error {
	text, isString := value.(string)
	switch {
	case name == "check_run_id":
		if _, isNumber := value.(json.Number); !isString && !isNumber {
			return problem.New(problem.BadClaims, "the claim check_run_id must be a string of digits or an integer")
		}
	case (stringClaims[name] || strings.HasPrefix(name, propertyPrefix)) && !isString:
		return problem.New(problem.BadClaims, "the claim %s must be a string", clip(name))
	case name == "jti" && (text == "" || len(text) > maxJTI):
		return problem.New(problem.BadClaims, "the claim jti must have 1 to %d bytes", maxJTI)
	case !stringClaims[name] && !otherTypes[name]:
		return checkSpelling(name)
	}
	return nil
}

// checkSpelling refuses what another parser would take for a claim of ours, or
// would follow to another place (distributed claims, OpenID Connect Core 1.0 section 5.6.2).
func checkSpelling(name string) error {
	// Upper case first, because U+017F and U+212A only meet s and k on that way.
	plain := strings.ToLower(strings.ToUpper(name))
	switch {
	case stringClaims[plain] || otherTypes[plain]:
		return problem.New(problem.Malformed, "the token's payload has the member '%s'; it is spelt %s", clip(name), plain)
	case plain == "_claim_names" || plain == "_claim_sources":
		return problem.New(problem.BadClaims, "the claim %s is not accepted: claims must stand in the token itself", plain)
	}
	return nil
}

// checkAudience wants aud to be one string that is ours: a token for several is a token for others too.
func checkAudience(claims object, audience string) error {
	aud, present := claims.get("aud")
	if !present {
		return problem.New(problem.WrongAudience, "the claim aud is absent; it must be %s", audience)
	}
	text, ok := aud.(string)
	if !ok {
		return problem.New(problem.WrongAudience, "the claim aud must be one string, %s", audience)
	}
	if text != audience {
		return problem.New(problem.WrongAudience, "the claim aud is '%s'; it must be %s", clip(text), audience)
	}
	return nil
}

// A claimReader reads claims one after the other and remembers the first fault.
type claimReader struct {
	claims object
	fault  error
}

// need reads a claim that must be present. Only a ref may be empty: GitHub has
// none for a deployment of a bare commit.
func (r *claimReader) need(name string) string {
	_, present := r.claims.get(name)
	text := r.claims.text(name)
	switch {
	case !present:
		r.refuse("the claim %s is absent", name)
	case text == "" && name != "ref":
		r.refuse("the claim %s is empty", name)
	}
	return text
}

// number reads an id or a count that GitHub sends as a string of digits.
func (r *claimReader) number(name string) int64 {
	return r.digits(name, r.need(name))
}

// optionalNumber is number for a claim that may be absent; it is 0 then.
func (r *claimReader) optionalNumber(name string) int64 {
	value, _ := r.claims.get(name)
	switch v := value.(type) {
	case string:
		return r.digits(name, v)
	case json.Number:
		return r.digits(name, v.String())
	}
	return 0
}

var digits = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)

func (r *claimReader) digits(name, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !digits.MatchString(text) {
		r.refuse("the claim %s must be a number from 1 to 9223372036854775807, in digits", name)
	}
	return n
}

func (r *claimReader) refuse(format string, args ...any) {
	if r.fault == nil {
		r.fault = problem.New(problem.BadClaims, format, args...)
	}
}
