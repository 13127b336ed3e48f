package server_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
	"github.com/curfew-dev/curfew/pkg/server"
	"github.com/curfew-dev/curfew/pkg/store"
)

func get(path string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestOperatorsOnly(t *testing.T) {
	none := func(*server.Options) {}
	zero := func(o *server.Options) { o.OperatorTokens = [][32]byte{secret.New("").Digest()} }
	for name, row := range map[string]struct {
		configured func(*server.Options)
		headers    []string
		in         bool
	}{
		"an operator's token":              {operators, []string{"Authorization", "Bearer " + operator}, true},
		"another operator's token":         {operators, []string{"Authorization", "Bearer another"}, true},
		"a token that is not known":        {operators, []string{"Authorization", "Bearer " + operator + "x"}, false},
		"the beginning of a token":         {operators, []string{"Authorization", "Bearer " + operator[:8]}, false},
		"the token's digest":               {operators, []string{"Authorization", "Bearer " + digestHex(operator)}, false},
		"no token":                         {operators, nil, false},
		"an empty token":                   {zero, []string{"Authorization", "Bearer "}, false},
		"two headers":                      {operators, []string{"Authorization", "Bearer " + operator, "Authorization", "Bearer " + operator}, false},
		"Basic":                            {operators, []string{"Authorization", "Basic " + operator}, false},
		"a token where none is set up":     {none, []string{"Authorization", "Bearer " + operator}, false},
		"nothing where no token is set up": {none, nil, false},
		"a GitHub token":                   {operators, []string{"Authorization", "Bearer " + canary}, false},
	} {
		s := newStage(t, row.configured)
		o := s.send(get("/v1/leases", row.headers...))
		switch {
		case row.in && o.status != http.StatusOK:
			t.Errorf("%s: %d %s", name, o.status, o.body)
		case !row.in && (o.status != http.StatusUnauthorized || o.refused.Code != problem.BadOperatorToken || o.refused.Error != "invalid_token"):
			t.Errorf("%s: %d %s", name, o.status, o.body)
		case !row.in && (!strings.HasPrefix(o.header.Get("WWW-Authenticate"), "Bearer ") || len(s.listed) != 0):
			t.Errorf("%s: WWW-Authenticate is %q, the ledger was asked %d times", name, o.header.Get("WWW-Authenticate"), len(s.listed))
		}
		s.silent()
	}
	s := newStage(t, operators)
	if o := s.send(get("/v1/leases?access_token=" + operator)); o.status != http.StatusUnauthorized {
		t.Errorf("a token in the address: %d", o.status)
	}
	s.silent()
}

func digestHex(text string) string {
	d := secret.New(text).Digest()
	const hex = "0123456789abcdef"
	var b strings.Builder
	for _, c := range d {
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

func TestLeaseFilters(t *testing.T) {
	for query, want := range map[string]*store.Filter{
		"":                          {Limit: 100},
		"?state=active":             {State: []lease.State{lease.Active}, Limit: 100},
		"?state=active&state=gone":  {State: []lease.State{lease.Active, lease.Gone}, Limit: 100},
		"?owner=acme":               {Owner: "acme", Limit: 100},
		"?repository=web&live=true": {Repository: "web", Live: true, Limit: 100},
		"?live=false":               {Limit: 100},
		"?limit=1":                  {Limit: 1},
		"?limit=1000":               {Limit: 1000},
		"?after=lease-7":            {After: "lease-7", Limit: 100},
		"?state=Active":             nil,
		"?state=":                   nil,
		"?state=active,gone":        nil,
		"?live=1":                   nil,
		"?live":                     nil,
		"?limit=0":                  nil,
		"?limit=1001":               nil,
		"?limit=-1":                 nil,
		"?limit=ten":                nil,
		"?limit=":                   nil,
		"?grant=release":            nil,
		"?Owner=acme":               nil,
		"?owner=acme&owner=other":   nil,
		"?limit=1&limit=1000":       nil,
	} {
		s := newStage(t, operators)
		o := s.send(get("/v1/leases"+query, "Authorization", "Bearer "+operator))
		if want == nil {
			if o.status != http.StatusBadRequest || o.refused.Code != problem.BadForm || len(s.listed) != 0 {
				t.Errorf("%q: %d %s", query, o.status, o.body)
			}
			continue
		}
		if o.status != http.StatusOK || len(s.listed) != 1 {
			t.Errorf("%q: %d %s", query, o.status, o.body)
			continue
		}
		if diff := cmp.Diff(*want, s.listed[0]); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
}

func TestALeaseAsOperatorsSeeIt(t *testing.T) {
	s := newStage(t, operators)
	s.list = func() ([]lease.Lease, error) {
		return []lease.Lease{{
			ID: "lease-1", State: lease.Revoked, Cause: lease.CausePost, Grant: "release",
			Job: identity.Job{Issuer: "https://issuer.example", RepositoryID: 3002, RunID: 77, RunAttempt: 1, CheckRunID: 501},
			Scope: scope.Scope{Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: 3002, Name: "web"}},
				Permissions: scope.Permissions{"contents": scope.Write}},
			IntentAt: noon, IssuedAt: noon, ExpiresAt: noon.Add(10 * time.Minute), EndedAt: noon.Add(time.Minute),
			Sealed: []byte("sealed canary"), TokenDigest: secret.New(canary).Digest(), HandleDigest: secret.New(handle).Digest(),
			IdempotencyKey: "canary key",
		}, {ID: "lease-2", State: lease.Pending, IntentAt: noon, ExpiresAt: noon}}, nil
	}
	const want = `{"leases":[{"lease_id":"lease-1","state":"revoked","grant":"release","owner":"acme","repositories":[{"id":3002,"name":"web"}],` +
		`"permissions":{"contents":"write"},"job":{"issuer":"https://issuer.example","repository_id":3002,"run_id":77,"run_attempt":1,"check_run_id":501},` +
		`"intent_at":"2026-03-01T12:00:00Z","issued_at":"2026-03-01T12:00:00Z","expires_at":"2026-03-01T12:10:00Z","ended_at":"2026-03-01T12:01:00Z",` +
		`"cause":"post","token_sha256":"w9eG5aM6VU99pLiUWtqUJYiQPccXAT7qmqBE3PurI0c="},` +
		`{"lease_id":"lease-2","state":"pending","grant":"","owner":"","repositories":[],"permissions":{},` +
		`"job":{"issuer":"","repository_id":0,"run_id":0,"run_attempt":0},"intent_at":"2026-03-01T12:00:00Z","expires_at":"2026-03-01T12:00:00Z"}],"next":"next"}`
	o := s.send(get("/v1/leases", "Authorization", "Bearer "+operator))
	if strings.TrimSpace(o.body) != want {
		t.Errorf("got  %s\nwant %s", o.body, want)
	}
	if strings.Contains(o.body, "canary") {
		t.Error("a secret shows")
	}
	s = newStage(t, operators)
	if o := s.send(get("/v1/leases", "Authorization", "Bearer "+operator)); strings.TrimSpace(o.body) != `{"leases":[]}` {
		t.Errorf("no leases: %s", o.body)
	}
	s.list = func() ([]lease.Lease, error) { return nil, errors.New("disk failed") }
	if o := s.send(get("/v1/leases", "Authorization", "Bearer "+operator)); o.status < 500 || strings.Contains(o.body, "disk") {
		t.Errorf("a ledger that fails: %d %s", o.status, o.body)
	}
}

func TestWhoAsks(t *testing.T) {
	for name, row := range map[string]struct {
		trusted   []string
		peer      string
		forwarded []string
		want      string
	}{
		"nobody trusted":                     {nil, "192.0.2.1:1", []string{"203.0.113.9"}, "192.0.2.1"},
		"a peer that is no proxy":            {[]string{"10.0.0.0/8"}, "192.0.2.1:1", []string{"203.0.113.9"}, "192.0.2.1"},
		"a proxy that says nothing":          {[]string{"10.0.0.0/8"}, "10.0.0.1:1", nil, "10.0.0.1"},
		"a proxy":                            {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"a client that invents addresses":    {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		"a client that invents a proxy":      {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"1.1.1.1, 10.9.9.9, 203.0.113.9"}, "203.0.113.9"},
		"two proxies":                        {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"two headers":                        {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"1.1.1.1", "203.0.113.9"}, "203.0.113.9"},
		"proxies all the way":                {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"what is no address":                 {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"unknown"}, "10.0.0.1"},
		"an address before what is none":     {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"203.0.113.9, x"}, "10.0.0.1"},
		"with a port, as no standard has it": {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"203.0.113.9:80"}, "10.0.0.1"},
		"version 6":                          {[]string{"fd00::/8"}, "[fd00::1]:1", []string{"2001:db8::9"}, "2001:db8::9"},
		"version 4 as 6":                     {[]string{"10.0.0.0/8"}, "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"a zone, which could say anything":   {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"fe80::1%<script>"}, "fe80::1"},
		"a peer without an address":          {[]string{"10.0.0.0/8"}, "@", []string{"203.0.113.9"}, ""},
		"nothing but commas":                 {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{",,,"}, "10.0.0.1"},
	} {
		s := newStage(t, proxies(row.trusted...))
		r := post("/v1/token", form().Encode())
		r.RemoteAddr = row.peer
		for _, f := range row.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		s.send(r)
		if got := s.last().SourceIP; got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// An answer that can't be written as JSON is a failure, not an empty success.
func TestAnAnswerThatCantBeEncoded(t *testing.T) {
	s := newStage(t)
	s.expires = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := s.token(form())
	if o.status != http.StatusInternalServerError || o.refused.Code != problem.Internal || len(s.withdrawn) != 1 {
		t.Errorf("%d %s, withdrawn: %v", o.status, o.body, s.withdrawn)
	}
	s.silent()
}

func TestTheAccessLog(t *testing.T) {
	s := newStage(t)
	s.token(form())
	s.refusal = problem.New(problem.Denied, "no").WithCause(errors.New("the reason"))
	s.token(form("reason", "canary? no: reasons are for the audit log"))
	for _, want := range []string{`"method":"POST","route":"/v1/token","status":200,"client":"192.0.2.1"`, `"status":403`, "the reason", `"correlation_id"`} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, s.log)
		}
	}
	for _, path := range []string{"/v1/token?subject_token=" + oidc, "/" + canary, "/v1/leases?after=" + canary} {
		s.send(get(path, "Authorization", "Bearer "+oidc, "X-Forwarded-For", canary))
		s.send(post(path, "token="+canary+"&"+canary+"=1"))
	}
	s.silent()
}
