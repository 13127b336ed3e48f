package simulator

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
)

// maxBody is how long a JSON body may be.
const maxBody = 1 << 20

// serveAPI answers one call of the REST API. Signatures are checked and answers
// rendered outside the lock.
func (g *GitHub) serveAPI(rt route, w http.ResponseWriter, r *http.Request) {
	g.serve(rt, w, r, func(q *request) answer {
		if rt.caller == anApp {
			if refused := g.admitApp(q); refused != nil {
				return *refused
			}
		}
		g.mu.Lock()
		a := g.admitted(rt, q)
		g.mu.Unlock()
		return g.charge(rt, q, conditional(q, a))
	})
}

// serveService answers one call that is no part of the REST API.
func (g *GitHub) serveService(rt route, w http.ResponseWriter, r *http.Request) {
	g.serve(rt, w, r, func(q *request) answer { return rt.answer(g, q) })
}

// serve wraps the work in what holds for every call: faults, the log, headers.
func (g *GitHub) serve(rt route, w http.ResponseWriter, r *http.Request, work func(*request) answer) {
	q := &request{Request: r, fault: g.faults.take(rt.name)}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, rt.maxBody()))
	if err != nil {
		tooLarge := refuse(http.StatusRequestEntityTooLarge, "Request body is too large")
		work = func(*request) answer { return tooLarge }
	}
	q.body = body
	g.mu.Lock()
	q.base = g.base
	g.mu.Unlock()

	q.fault.delay(r.Context())
	a := q.fault.run(g.now(), func() answer { return work(q) })
	now := g.now()
	a.header.Set("X-GitHub-Request-Id", requestID())
	if a.header.Get("Date") == "" {
		a.header.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	g.deliver(q, a)
	g.calls.add(q.call(rt, now, a))
	a.send(w, r)
}

// admitted lets a caller in who may use the route, and runs it.
func (g *GitHub) admitted(rt route, q *request) answer {
	if rt.caller == aToken {
		if refused := g.admitToken(q); refused != nil {
			return *refused
		}
	}
	if g.exhausted(q) {
		return rateLimited(q, http.StatusForbidden)
	}
	if q.PathValue("repo") != "" {
		if refused := g.admitRepository(q); refused != nil {
			return *refused
		}
	}
	if rt.needs == "" {
		return rt.answer(g, q)
	}
	name, level, _ := strings.Cut(rt.needs, "=")
	a := refuse(http.StatusForbidden, "Resource not accessible by integration")
	if atLeast(q.token.Permissions[name], level) {
		a = rt.answer(g, q)
	}
	a.header.Set("X-Accepted-GitHub-Permissions", rt.needs)
	return a
}

// conditional gives what was read an ETag, and answers 304 to a caller who has it.
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests
func conditional(q *request, a answer) answer {
	if q.Method != http.MethodGet || a.status != http.StatusOK {
		return a
	}
	sum := sha256.Sum256(a.bytes())
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	a.header.Set("ETag", "W/"+etag)
	for candidate := range strings.SplitSeq(q.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(candidate), "W/") == etag {
			a.status, a.body = http.StatusNotModified, nil
			a.header.Del("Content-Type")
		}
	}
	return a
}

func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	id := strings.ToUpper(hex.EncodeToString(b[:]))
	return id[:4] + ":" + id[4:8] + ":" + id[8:]
}
