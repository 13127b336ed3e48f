package server_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/problem"
)

func TestRevocation(t *testing.T) {
	for name, row := range map[string]struct {
		body    string
		refusal error
		status  int
		code    problem.Code
	}{
		"a token or handle, known or not":   {"token=" + handle, nil, 200, ""},
		"with a hint at its type":           {"token=" + canary + "&token_type_hint=access_token", nil, 200, ""},
		"with a hint nobody knows":          {"token=" + canary + "&token_type_hint=whatever", nil, 200, ""},
		"its end can't be recorded":         {"token=" + handle, problem.New(problem.StoreUnavailable, "no"), 503, problem.StoreUnavailable},
		"its end fails for another reason":  {"token=" + handle, errors.New("boom"), 503, problem.StoreUnavailable},
		"no token":                          {"", nil, 400, problem.BadForm},
		"an empty token":                    {"token=", nil, 400, problem.BadForm},
		"two tokens":                        {"token=a&token=b", nil, 400, problem.BadForm},
		"a parameter that is not for here":  {"token=a&grant=release", nil, 400, problem.BadForm},
		"a token of more than 64 KiB":       {"token=" + strings.Repeat("a", 64<<10), nil, 413, problem.TooLarge},
		"a long token is as good as others": {"token=" + strings.Repeat("a", 8<<10), nil, 200, ""},
	} {
		s := newStage(t)
		s.refusal = row.refusal
		o := s.send(post("/v1/revoke", row.body))
		if o.status != row.status || o.refused.Code != row.code {
			t.Errorf("%s: %d %s", name, o.status, o.body)
		}
		if (o.header.Get("Retry-After") != "") != (o.status == 503) {
			t.Errorf("%s: Retry-After is %q", name, o.header.Get("Retry-After"))
		}
		if row.status == 400 && len(s.ended) != 0 {
			t.Errorf("%s: the hall was asked", name)
		}
		s.silent()
	}
	s := newStage(t)
	if o := s.send(with(post("/v1/revoke", `{"token":"x"}`), "Content-Type", "application/json")); o.status != 415 {
		t.Errorf("as JSON: %d", o.status)
	}
	if o := s.send(post("/v1/revoke?token="+canary, "")); o.status != 400 {
		t.Errorf("in the address: %d", o.status)
	}
	s.silent()
}

func TestJobsEnd(t *testing.T) {
	for name, row := range map[string]struct {
		headers []string
		status  int
	}{
		"a Bearer token":                  {[]string{"Authorization", "Bearer " + oidc}, 200},
		"the scheme in small letters":     {[]string{"Authorization", "bearer " + oidc}, 200},
		"no header":                       {nil, 400},
		"an empty header":                 {[]string{"Authorization", ""}, 400},
		"a scheme alone":                  {[]string{"Authorization", "Bearer"}, 400},
		"a scheme and a space":            {[]string{"Authorization", "Bearer "}, 400},
		"another scheme":                  {[]string{"Authorization", "token " + oidc}, 400},
		"no scheme":                       {[]string{"Authorization", oidc}, 400},
		"two spaces":                      {[]string{"Authorization", "Bearer  " + oidc}, 400},
		"something after the token":       {[]string{"Authorization", "Bearer " + oidc + " x"}, 400},
		"a comma and a second credential": {[]string{"Authorization", "Bearer " + oidc + ", Bearer x"}, 400},
		"two headers":                     {[]string{"Authorization", "Bearer " + oidc, "Authorization", "Bearer " + oidc}, 400},
	} {
		s := newStage(t)
		o := s.send(post("/v1/jobs/end", "", row.headers...))
		if o.status != row.status {
			t.Errorf("%s: %d %s", name, o.status, o.body)
		}
		if row.status == 200 && (o.body != "{\"ended\":2}\n" || s.ended[0] != oidc) {
			t.Errorf("%s: %s", name, o.body)
		}
		if row.status != 200 && len(s.ended) != 0 {
			t.Errorf("%s: the hall was asked", name)
		}
		s.silent()
	}
	s := newStage(t)
	s.refusal = problem.New(problem.BadClaims, "no check_run_id")
	if o := s.send(post("/v1/jobs/end", "", "Authorization", "Bearer "+oidc)); o.status != 400 || o.refused.Code != problem.BadClaims {
		t.Errorf("a refusal stays what it is: %d %s", o.status, o.body)
	}
	s.refusal = errors.New("boom")
	if o := s.send(post("/v1/jobs/end", "", "Authorization", "Bearer "+oidc)); o.status != 503 {
		t.Errorf("an end that is not recorded: %d %s", o.status, o.body)
	}
}
