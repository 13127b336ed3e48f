package identity

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

const (
	skew    = 30 * time.Second // how far GitHub's clock may run ahead of ours
	maxAge  = 10 * time.Minute
	maxLife = 15 * time.Minute

	lastSecond = 253402300799 // the end of the year 9999
)

// A period is the time that a token claims for itself.
type period struct{ issued, expires time.Time }

// checkTimes reads iat, exp and nbf (RFC 7519 section 4.1) and holds them
// against now. The skew serves iat and nbf of a clock that runs ahead of ours;
// exp and the greatest age get none.
func checkTimes(claims object, now time.Time) (period, error) {
	issued, err := readTime(claims, "iat")
	if err != nil {
		return period{}, err
	}
	expires, err := readTime(claims, "exp")
	if err != nil {
		return period{}, err
	}
	switch life := expires.Sub(issued); {
	case !expires.After(now):
		return period{}, problem.New(problem.Expired, "the token has expired: exp is in the past")
	case issued.After(now.Add(skew)):
		return period{}, problem.New(problem.NotYetValid, "the token's iat lies in the future by more than %v", skew)
	case now.Sub(issued) > maxAge:
		return period{}, problem.New(problem.Stale, "the token's iat is more than %v ago; ask for a fresh one", maxAge)
	case life <= 0:
		return period{}, problem.New(problem.BadClaims, "the token's exp is not after its iat")
	case life > maxLife:
		return period{}, problem.New(problem.BadClaims, "the token lives longer than %v: from iat to exp", maxLife)
	}
	if _, present := claims.get("nbf"); present {
		notBefore, err := readTime(claims, "nbf")
		if err != nil {
			return period{}, err
		}
		if notBefore.After(now.Add(skew)) {
			return period{}, problem.New(problem.NotYetValid, "the token's nbf lies in the future by more than %v", skew)
		}
	}
	return period{issued, expires}, nil
}

// readTime reads a NumericDate that must be whole seconds since 1970.
func readTime(claims object, name string) (time.Time, error) {
	v, present := claims.get(name)
	if !present {
		return time.Time{}, problem.New(problem.BadClaims, "the claim %s is absent", name)
	}
	number, ok := v.(json.Number)
	if !ok {
		return time.Time{}, problem.New(problem.BadClaims, "the claim %s must be a number", name)
	}
	seconds, err := strconv.ParseUint(number.String(), 10, 63)
	if err != nil || seconds > lastSecond {
		return time.Time{}, problem.New(problem.BadClaims, "the claim %s must be whole seconds since 1970", name)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
