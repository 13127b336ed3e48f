package githubapp

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// How long to wait when GitHub limits without saying until when: its docs ask for a minute.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
const (
	defaultWait = time.Minute
	longestWait = time.Hour
)

// refusal turns an answer that is not a success into the refusal that holds for
// every call; the cases that mean something to one call only are that call's.
func (c *Client) refusal(a answer) *problem.Problem {
	cause := errors.New(a.String())
	if wait, limited := a.limited(c.now()); limited {
		return problem.New(problem.RateLimited, "GitHub limits the rate of calls").WithRetryAfter(wait).WithCause(cause)
	}
	if a.suspended() {
		return suspended().WithCause(cause)
	}
	if a.status == http.StatusUnauthorized && !a.call.token.Empty() {
		return problem.New(problem.GitHubError, "GitHub does not accept the token").WithCause(errors.Join(ErrTokenDead, cause))
	}
	if a.status == http.StatusUnauthorized && !a.call.anonymous {
		c.signer.forget()
		c.log.Error("GitHub does not accept the App's JWT: the App id and key do not belong together, or the clock is wrong",
			"call", a.String(), "skew", c.Skew().String())
		return problem.New(problem.GitHubError, "GitHub does not accept the App's credentials").WithCause(cause)
	}
	return problem.New(problem.GitHubError, "GitHub answered with status %d", a.status).WithCause(cause)
}

// noAnswer is the refusal for a call that is safe to ask again.
func noAnswer(err error) *problem.Problem {
	return problem.New(problem.GitHubError, "GitHub could not be reached or did not answer in time").WithCause(err)
}

// unreadable is the refusal for a success that does not hold what it must.
func unreadable(a answer) *problem.Problem {
	return problem.New(problem.GitHubError, "GitHub's answer could not be understood").WithCause(errors.New(a.String()))
}

func suspended() *problem.Problem {
	return problem.New(problem.InstallationSuspended, "the installation of the App is suspended").
		WithHint("an owner of the organisation can unsuspend it under Settings, GitHub Apps, Configure")
}

func (a answer) suspended() bool {
	return a.status == http.StatusForbidden && strings.Contains(a.message(), "suspended")
}

// message is GitHub's own word in lower case, to decide on and never to show.
func (a answer) message() string {
	var body struct{ Message string }
	_ = json.Unmarshal(a.body, &body) // what is not JSON has no message
	return strings.ToLower(body.Message)
}

// limited tells a primary or secondary rate limit from any other answer, and how long to wait.
func (a answer) limited(now time.Time) (time.Duration, bool) {
	if a.status != http.StatusForbidden && a.status != http.StatusTooManyRequests {
		return 0, false
	}
	spent := a.header.Get("X-Ratelimit-Remaining") == "0"
	after := a.header.Get("Retry-After")
	if a.status == http.StatusForbidden && !spent && after == "" && !strings.Contains(a.message(), "rate limit") {
		return 0, false
	}
	if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
		now = date // both ends of the wait by GitHub's own clock
	}
	wait := defaultWait
	if seconds, err := strconv.Atoi(after); err == nil {
		wait = time.Duration(min(seconds, int(longestWait/time.Second))) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		wait = at.Sub(now)
	} else if reset, err := strconv.ParseInt(a.header.Get("X-Ratelimit-Reset"), 10, 64); err == nil && spent {
		wait = time.Unix(reset, 0).Sub(now)
	}
	return min(max(wait, time.Second), longestWait), true
}
