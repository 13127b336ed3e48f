package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// manage knocks at the back door; it returns the status and what came back.
func (s *stage) manage(method, path, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.ManageURL+path, strings.NewReader(body))
	s.must(err)
	answer, err := http.DefaultClient.Do(r)
	s.must(err)
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	s.must(err)
	return answer.StatusCode, strings.TrimSpace(string(read))
}

// A test in another process needs nothing but HTTP for the whole life of a token.
func TestTheBackDoorSetsTheStage(t *testing.T) {
	s := newStage(t)
	var app struct {
		ID       int64  `json:"id"`
		ClientID string `json:"client_id"`
		Key      string `json:"key_pem"`
	}
	var job simulator.StartedJob
	for _, step := range []struct {
		method, path, body string
		want               int
		into               any
	}{
		{"POST", "/owners", `{"login": "ida", "type": "User", "id": 77}`, 200, nil},
		{"POST", "/repositories", `{"owner": "ida", "name": "notes", "private": true, "properties": {"tier": "gold"}}`, 200, nil},
		{"POST", "/repositories/rename", `{"owner": "ida", "name": "notes", "new_name": "book"}`, 204, nil},
		{"POST", "/files", `{"owner": "ida", "repository": "book", "path": "a.yaml", "content": "version: 1\n"}`, 200, nil},
		{"DELETE", "/files", `{"owner": "ida", "repository": "book", "path": "a.yaml"}`, 204, nil},
		{"POST", "/apps", `{"slug": "key-maker", "permissions": {"contents": "write"}}`, 200, &app},
		{"POST", "/installations", `{"id": 55, "app_id": 102, "owner": "ida", "repositories": ["book"]}`, 200, nil},
		{"POST", "/installations/55/suspend", `{"suspended": true}`, 204, nil},
		{"POST", "/installations/55/suspend", `{"suspended": false}`, 204, nil},
		{"POST", "/tokens", `{"format": "short", "lifetime": "90s"}`, 204, nil},
		{"POST", "/jobs", `{"owner": "ida", "repo": "book", "environment": "production"}`, 200, &job},
		{"POST", "/id-token", fmt.Sprintf(`{"job_id": %d, "audience": "x", "claims": {"actor": "eve", "jti": null}}`, 30001), 200, nil},
		{"POST", "/jobs/30001/finish", `{"conclusion": "failure"}`, 204, nil},
		{"POST", "/rotate-key", ``, 200, nil},
		{"POST", "/rate-limit", `{"limit": 100}`, 204, nil},
		{"POST", "/webhook", `{"url": "", "secret": ""}`, 204, nil},
		{"GET", "/deliveries", ``, 200, nil},
	} {
		status, body := s.manage(step.method, step.path, step.body)
		if status != step.want {
			t.Fatalf("%s %s: got %d %s, want %d", step.method, step.path, status, body, step.want)
		}
		if step.into != nil {
			s.must(json.Unmarshal([]byte(body), step.into))
		}
	}
	if app.ID != 102 || app.ClientID == "" || !strings.HasPrefix(app.Key, "-----BEGIN") {
		t.Errorf("the App came back as %+v", app)
	}
	if job.ID != 30001 || job.IDTokenRequestToken == "" {
		t.Errorf("the job came back as %+v", job)
	}
	_, listed := s.manage("GET", "/", "")
	for _, want := range []string{`"login":"ida"`, `"name":"book"`, `"slug":"key-maker"`, `"repositories":["book"]`, `"conclusion":"failure"`} {
		if !strings.Contains(listed, want) {
			t.Errorf("the inventory lacks %s", want)
		}
	}
	if strings.Contains(listed, "PRIVATE KEY") || strings.Contains(listed, job.IDTokenRequestToken) {
		t.Error("the inventory tells a secret")
	}
}

func TestTheBackDoorTellsTheTruth(t *testing.T) {
	s := newStage(t)
	if _, body := s.manage("GET", "/mints", ""); body != "[]" {
		t.Errorf("no mints are told as %s", body)
	}
	token := s.mint(nil, "web")
	alive := func() string {
		_, body := s.manage("POST", "/alive", fmt.Sprintf(`{"token": %q}`, token))
		return body
	}
	if got := alive(); got != `{"alive":true}` {
		t.Errorf("a living token: %s", got)
	}
	s.ask("DELETE", "/installation/token", token, nil)
	if got := alive(); got != `{"alive":false}` {
		t.Errorf("a dead token: %s", got)
	}
	for path, want := range map[string]int{"/mints": 1, "/deletes": 1, "/calls": 2, "/alive": 0} {
		_, body := s.manage("GET", path, "")
		var list []object
		s.must(json.Unmarshal([]byte(body), &list))
		if len(list) != want {
			t.Errorf("%s lists %d, want %d", path, len(list), want)
		}
	}
	s.manage("DELETE", "/calls", "")
	if _, body := s.manage("GET", "/calls", ""); body != "[]" {
		t.Errorf("after the reset the calls are %s", body)
	}
}

func TestTheBackDoorInjectsFaults(t *testing.T) {
	s := newStage(t)
	status, body := s.manage("POST", "/faults", `{"route": "app", "status": 503, "times": 1, "delay": "1ms"}`)
	if status != 200 || body != `{"id":1}` {
		t.Fatalf("got %d %s", status, body)
	}
	s.manage("POST", "/faults", `{"route": "revoke", "late_death": "3s"}`)
	if r := s.ask("GET", "/app", s.assertion(nil), nil); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the fault didn't strike: %d", r.StatusCode)
	}
	token := s.mint(nil)
	s.ask("DELETE", "/installation/token", token, nil)
	if got := s.Mints()[0].RevokedAt; !got.Equal(s.clock.Now().Add(3 * time.Second)) {
		t.Errorf("the token dies at %v", got)
	}
	s.manage("POST", "/faults", `{"route": "app", "status": 500}`)
	if status, _ := s.manage("DELETE", "/faults", ""); status != 204 {
		t.Errorf("clearing: got %d", status)
	}
	if r := s.ask("GET", "/app", s.assertion(nil), nil); r.StatusCode != http.StatusOK {
		t.Errorf("cleared faults strike: %d", r.StatusCode)
	}
}

func TestTheBackDoorIsStrict(t *testing.T) {
	s := newStage(t)
	for _, row := range []struct {
		method, path, body string
		want               int
		says               string
	}{
		{"POST", "/owners", `{"name": "ida"}`, 400, `unknown field \"name\"`},
		{"POST", "/owners", `{"login": "ida"} {}`, 400, "more than one"},
		{"POST", "/owners", `{"login": "ida"`, 400, "unexpected EOF"},
		{"POST", "/owners", `{"login": "ACME"}`, 422, `login \"ACME\" is taken`},
		{"POST", "/faults", `{"route": "mnit"}`, 422, `no route \"mnit\"`},
		{"POST", "/faults", `{"route": "mint", "delay": "soon"}`, 400, "soon"},
		{"POST", "/tokens", `{"format": "medium"}`, 422, "neither short nor long"},
		{"POST", "/jobs/x/finish", `{}`, 422, "is no id"},
		{"POST", "/jobs/9/finish", `{}`, 422, "job 9"},
		{"DELETE", "/installations/9", ``, 422, "no installation 9"},
		{"POST", "/deliveries/9/attempts", ``, 422, "no delivery 9"},
		{"GET", "/nothing", ``, 404, ""},
	} {
		status, body := s.manage(row.method, row.path, row.body)
		if status != row.want || !strings.Contains(body, row.says) {
			t.Errorf("%s %s %s: got %d %s, want %d …%s…", row.method, row.path, row.body, status, body, row.want, row.says)
		}
	}
}

// What the back door doesn't know must not show at the front.
func TestTheFrontHasNoBackDoor(t *testing.T) {
	s := newStage(t)
	for _, path := range []string{"/mints", "/faults", "/alive", "/calls"} {
		if r := s.ask("GET", path, "", nil); r.StatusCode != http.StatusNotFound || r.message() != "Not Found" {
			t.Errorf("%s: got %d %s", path, r.StatusCode, r.body)
		}
	}
}

func FuzzFrontDoor(f *testing.F) {
	g := simulator.New(simulator.Options{})
	handler := g.Handler()
	f.Add("POST", "/app/installations/1/access_tokens", "Bearer a.b.c", []byte(`{"repositories":[]}`))
	f.Add("GET", "/repositories/1/contents/a", "token ghs_x", []byte(nil))
	f.Add("GET", "/users/a%5Bbot%5D", "", []byte(`[`))
	f.Add("GET", "/_services/pipelines/jobs/1/idtoken", "bearer x", []byte(nil))
	f.Add("GET", "/api/v3/repositories//", "Bearer e30.e30.e30", []byte(nil))
	f.Fuzz(func(t *testing.T, method, path, authorization string, body []byte) {
		r, err := http.NewRequest(method, "http://localhost"+path, bytes.NewReader(body))
		if err != nil {
			t.Skip()
		}
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: got %d", method, path, w.Code)
		}
		if len(g.Mints()) != 0 {
			t.Error("a token was made out of nothing")
		}
		g.ResetCalls()
	})
}

func FuzzAssertion(f *testing.F) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	g := simulator.New(simulator.Options{Now: func() time.Time { return now }})
	a, err := g.AddApp(simulator.App{KeyPEM: keyPEM(testKey())})
	if err != nil {
		f.Fatal(err)
	}
	good := sign(testKey(), object{"alg": "RS256"}, object{"iss": a.ClientID, "iat": now.Unix(), "exp": now.Unix() + 60})
	f.Add(good)
	f.Add(good + ".")
	f.Add("eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".")
	handler := g.Handler()
	f.Fuzz(func(t *testing.T, token string) {
		r := httptest.NewRequest(http.MethodGet, "/app", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		g.ResetCalls()
		signed, _, _ := strings.Cut(good, "."+strings.Split(good, ".")[2])
		if w.Code == http.StatusOK && !strings.HasPrefix(token, signed+".") {
			t.Errorf("%s was taken for the App's", token)
		}
	})
}

func TestAnAppsKeyCanBeOfEitherForm(t *testing.T) {
	g := simulator.New(simulator.Options{})
	made, err := g.AddApp(simulator.App{Slug: "first"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := g.AddApp(simulator.App{Slug: "second", KeyPEM: made.KeyPEM})
	if err != nil || !cmp.Equal(made.KeyPEM, again.KeyPEM) {
		t.Errorf("the key that was made can't be given: %v", err)
	}
	for about, key := range map[string]string{"no PEM": "x", "no key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := g.AddApp(simulator.App{Slug: "third", KeyPEM: []byte(key)}); err == nil {
			t.Errorf("%s: it was taken", about)
		}
	}
}
