package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// defaultRateLimit is what an installation may call an hour, at least.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
const defaultRateLimit = 5000

// rate counts one caller's calls in the current hour.
type rate struct {
	used  int
	reset time.Time
}

// SetRateLimit makes GitHub refuse a caller after that many calls an hour. Zero,
// the default, counts against 5,000 and refuses nobody.
func (g *GitHub) SetRateLimit(calls int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rateLimit = calls
}

// rateOf is the counter of the caller: all tokens of an installation share one.
func (g *GitHub) rateOf(q *request) *rate {
	key := "anonymous"
	switch {
	case q.in != nil:
		key = fmt.Sprintf("installation ID %d", q.in.id)
	case q.app != nil:
		key = fmt.Sprintf("app ID %d", q.app.ID)
	}
	r := g.rates[key]
	if now := g.now(); r == nil || !now.Before(r.reset) {
		r = &rate{reset: now.Add(time.Hour)}
		g.rates[key] = r
	}
	return r
}

func (g *GitHub) limit() int {
	if g.rateLimit > 0 {
		return g.rateLimit
	}
	return defaultRateLimit
}

func (g *GitHub) exhausted(q *request) bool {
	return g.rateLimit > 0 && g.rateOf(q).used >= g.rateLimit
}

// charge counts the call and tells the caller where it stands. An answer 304
// and asking for the limits cost nothing.
func (g *GitHub) charge(rt route, q *request, a answer) answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.rateOf(q)
	if a.status != http.StatusNotModified && rt.name != "rate_limit" {
		r.used++
	}
	used := min(r.used, g.limit())
	h := a.header
	h.Set("X-RateLimit-Limit", strconv.Itoa(g.limit()))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(g.limit()-used))
	h.Set("X-RateLimit-Used", strconv.Itoa(used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(r.reset.Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
	return a
}

func rateLimited(q *request, status int) answer {
	who := "your IP address"
	if q.in != nil {
		who = fmt.Sprintf("installation ID %d", q.in.id)
	}
	return refuse(status, "API rate limit exceeded for "+who+".")
}

// rateAnswer is GitHub's answer at its primary or secondary limit.
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#rate-limit-errors
func (f Fault) rateAnswer(now time.Time) answer {
	status := f.Status
	if status == 0 {
		status = http.StatusForbidden
	}
	if f.Rate == "secondary" {
		a := refuse(status, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
		a.header.Set("Retry-After", "60")
		return a
	}
	a := rateLimited(&request{}, status)
	a.header.Set("X-RateLimit-Limit", strconv.Itoa(defaultRateLimit))
	a.header.Set("X-RateLimit-Remaining", "0")
	a.header.Set("X-RateLimit-Used", strconv.Itoa(defaultRateLimit))
	a.header.Set("X-RateLimit-Reset", strconv.FormatInt(now.Add(time.Minute).Unix(), 10))
	a.header.Set("X-RateLimit-Resource", "core")
	return a
}

// getRateLimit answers GET /rate_limit.
// https://docs.github.com/en/rest/rate-limit/rate-limit
func getRateLimit(g *GitHub, q *request) answer {
	if i, ok := g.tokens[q.credential()]; ok && g.alive(&g.mints[i]) {
		q.in = g.installations[g.mints[i].InstallationID]
	}
	r := g.rateOf(q)
	used := min(r.used, g.limit())
	core := object{"limit": g.limit(), "used": used, "remaining": g.limit() - used, "reset": r.reset.Unix()}
	return ok(object{"resources": object{"core": core, "search": core}, "rate": core})
}
