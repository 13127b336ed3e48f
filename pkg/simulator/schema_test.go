package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// described reads one of GitHub's own descriptions, which lie beside the
// repository. Without them a test is skipped, but never in CI.
func described(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", name))
	if err == nil {
		return content
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI needs GitHub's description: %v", err)
	}
	t.Skipf("GitHub's description is not here: %v", err)
	return nil
}

func loadDescription(t *testing.T, name string) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(described(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// checker holds answers against GitHub's OpenAPI description.
type checker struct {
	*stage
	router routers.Router
}

func newChecker(t *testing.T) *checker {
	doc := loadDescription(t, "github-openapi-subset.json")
	// The list's own schema wants an account to be a user and an enterprise in one.
	list := doc.Paths.Value("/app/installations").Get.Responses.Status(http.StatusOK).Value
	list.Content.Get("application/json").Schema.Value.Items = doc.Components.Schemas["installation"]
	s := newStage(t)
	doc.Servers = openapi3.Servers{{URL: s.URL}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &checker{s, router}
}

// check asks, and refuses an answer that GitHub's description doesn't have.
func (c *checker) check(t *testing.T, method, path, token string, body any, want int) response {
	t.Helper()
	r := c.ask(method, path, token, body)
	if r.StatusCode != want {
		t.Fatalf("%s %s: %d %s, want %d", method, path, r.StatusCode, r.body, want)
	}
	encoded, err := json.Marshal(body)
	c.must(err)
	asked, err := http.NewRequest(method, c.URL+path, bytes.NewReader(encoded))
	c.must(err)
	asked.Header.Set("Content-Type", "application/json")
	route, parameters, err := c.router.FindRoute(asked)
	if err != nil {
		t.Fatalf("%s %s is not described: %v", method, path, err)
	}
	input := &openapi3filter.RequestValidationInput{Request: asked, PathParams: parameters, Route: route}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: r.StatusCode, Header: r.Header,
		Body:    io.NopCloser(bytes.NewReader(r.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: want < 300},
	})
	if err != nil {
		t.Errorf("%s %s: not as GitHub answers: %v", method, path, err)
	}
	return r
}

func TestAnswersAreAsGitHubDescribesThem(t *testing.T) {
	c := newChecker(t)
	// The router takes a file's path for one segment only.
	for _, path := range []string{"curfew.yaml", ".github/curfew.yaml"} {
		_, err := c.PutFile("acme", "web", path, []byte("version: 1\n"))
		c.must(err)
	}
	job, err := c.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	c.must(err)
	done, err := c.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	c.must(err)
	c.must(c.FinishJob(done.ID, "cancelled"))
	ida, err := c.AddOwner(simulator.Owner{Login: "ida", Type: "User"})
	c.must(err)
	_, err = c.Install(simulator.Installation{AppID: c.app.ID, Owner: ida.Login, Repositories: []string{}, Suspended: true})
	c.must(err)

	app, token := c.assertion(nil), c.mint(object{"contents": "write", "actions": "read", "issues": "read"}, "web")
	narrow := object{"repositories": []string{"web"}, "permissions": object{"contents": "read"}}
	for _, row := range []struct {
		method, path, token string
		body                any
		want                int
	}{
		{"GET", "/app", app, nil, 200},
		{"GET", "/app/installations", app, nil, 200},
		{"GET", fmt.Sprint("/app/installations/", c.installation.ID), app, nil, 200},
		{"GET", "/app/installations/9", app, nil, 404},
		{"GET", "/orgs/acme/installation", app, nil, 200},
		{"GET", "/users/ida/installation", app, nil, 200},
		{"GET", "/repos/acme/web/installation", app, nil, 200},
		{"GET", "/repos/rival/vault/installation", app, nil, 404},
		{"POST", c.mintPath(), app, narrow, 201},
		{"POST", c.mintPath(), app, object{}, 201},
		{"POST", c.mintPath(), "no assertion", narrow, 401},
		{"POST", "/app/installations/9/access_tokens", app, narrow, 404},
		{"POST", c.mintPath(), app, object{"repositories": []string{"vault"}}, 422},
		{"GET", "/installation/repositories", token, nil, 200},
		{"GET", "/installation/repositories", "ghs_unknown", nil, 401},
		{"GET", "/rate_limit", token, nil, 200},
		{"GET", "/repos/acme/web", token, nil, 200},
		{"GET", "/repos/acme/api", token, nil, 404},
		{"GET", "/repos/acme/web/contents/curfew.yaml", token, nil, 200},
		{"GET", "/repos/acme/web/contents/.github", token, nil, 200},
		{"GET", "/repos/acme/web/contents/none", token, nil, 404},
		{"POST", "/repos/acme/web/git/refs", token, object{"ref": "refs/tags/v1", "sha": job.SHA}, 201},
		{"POST", "/repos/acme/web/git/refs", token, object{"ref": "refs/tags/v1", "sha": job.SHA}, 422},
		{"POST", "/repos/acme/web/releases", token, object{"tag_name": "v1"}, 201},
		{"POST", "/repos/acme/web/releases", token, object{"tag_name": "v2", "draft": true}, 201},
		{"POST", "/repos/acme/web/releases", token, object{"tag_name": "v1"}, 422},
		{"GET", "/repos/acme/web/releases", token, nil, 200},
		{"GET", "/repos/acme/web/issues", token, nil, 200},
		{"POST", "/repos/acme/web/issues", token, object{"title": "A bug"}, 403},
		{"GET", fmt.Sprint("/repos/acme/web/actions/jobs/", job.ID), token, nil, 200},
		{"GET", fmt.Sprint("/repos/acme/web/actions/jobs/", done.ID), token, nil, 200},
		{"GET", fmt.Sprint("/repos/acme/web/actions/runs/", job.RunID), token, nil, 200},
		{"GET", fmt.Sprint("/repos/acme/web/actions/runs/", done.RunID), token, nil, 200},
		{"GET", fmt.Sprintf("/repos/acme/web/actions/runs/%d/attempts/1/jobs", job.RunID), token, nil, 200},
		{"GET", fmt.Sprintf("/repos/acme/web/actions/runs/%d/attempts/2/jobs", job.RunID), token, nil, 404},
		{"DELETE", "/installation/token", token, nil, 204},
	} {
		t.Run(fmt.Sprint(row.method, " ", row.path, " ", row.want), func(t *testing.T) {
			c.check(t, row.method, row.path, row.token, row.body, row.want)
		})
	}
}

func TestIssuesAreAsGitHubDescribesThem(t *testing.T) {
	c := newChecker(t)
	a, err := c.AddApp(simulator.App{Slug: "clerk", KeyPEM: keyPEM(c.key), Permissions: map[string]string{"issues": "write"}})
	c.must(err)
	in, err := c.Install(simulator.Installation{AppID: a.ID, Owner: "acme"})
	c.must(err)
	c.app, c.installation = a, in
	token := c.mint(object{"issues": "write"}, "web")
	c.check(t, "POST", "/repos/acme/web/issues", token, object{"title": "A bug", "body": "Text"}, 201)
	c.check(t, "POST", "/repos/acme/web/issues", token, object{}, 422)
	c.check(t, "GET", "/repos/acme/web/issues", token, nil, 200)
}

// The permission table stands in Go, and must be the one GitHub has.
func TestPermissionNamesAndLevelsAreGitHubs(t *testing.T) {
	var table map[string]struct{ Levels []string }
	if err := json.Unmarshal(described(t, "app-permissions.json"), &table); err != nil {
		t.Fatal(err)
	}
	g := simulator.New(simulator.Options{})
	slug := 0
	accepts := func(name, level string) bool {
		slug++
		_, err := g.AddApp(simulator.App{
			Slug: fmt.Sprint("app-", slug), KeyPEM: keyPEM(testKey()), Permissions: map[string]string{name: level},
		})
		return err == nil
	}
	for name, row := range table {
		for _, level := range []string{"read", "write", "admin", "none"} {
			want := false
			for _, l := range row.Levels {
				want = want || l == level
			}
			if got := accepts(name, level); got != want {
				t.Errorf("%s: %s is accepted: %v, want %v", name, level, got, want)
			}
		}
	}
	if accepts("content", "read") {
		t.Error("a misspelt permission is accepted")
	}
}
