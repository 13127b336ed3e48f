package simulator_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestADraftHasNoTagUntilItIsPublished goes the way of `gh release create` with files.
func TestADraftHasNoTagUntilItIsPublished(t *testing.T) {
	s := newStage(t)
	token := s.mint(object{"contents": "write"}, "web")
	draft := s.ask("POST", "/repos/acme/web/releases", token, object{"tag_name": "v1", "draft": true}).json(t)
	if draft["draft"] != true || draft["published_at"] != nil {
		t.Errorf("a draft: %v published at %v", draft["draft"], draft["published_at"])
	}
	status := func(method, path string, body any) int {
		t.Helper()
		return s.ask(method, strings.TrimPrefix(path, s.URL), token, body).StatusCode
	}
	self := draft["url"].(string)
	upload := strings.TrimSuffix(draft["upload_url"].(string), "{?name,label}") + "?name=app.tgz"
	for _, step := range []struct {
		about, method, path string
		body                any
		want                int
	}{
		{"no tag", "GET", "/repos/acme/web/git/ref/tags/v1", nil, 404},
		{"no release by its tag", "GET", "/repos/acme/web/releases/tags/v1", nil, 404},
		{"but one by its id", "GET", self, nil, 200},
		{"a file", "POST", upload, "bytes", 201},
		{"the same file", "POST", upload, "bytes", 422},
		{"no such release", "PATCH", "/repos/acme/web/releases/9", object{}, 404},
		{"a target that isn't there", "PATCH", self, object{"target_commitish": "none"}, 422},
		{"a tag that can't be", "PATCH", self, object{"tag_name": "a..b"}, 422},
		{"publication", "PATCH", self, object{"draft": false}, 200},
		{"now a tag", "GET", "/repos/acme/web/git/ref/tags/v1", nil, 200},
		{"and a release", "GET", "/repos/acme/web/releases/tags/v1", nil, 200},
		{"another of that tag", "POST", "/repos/acme/web/releases", object{"tag_name": "v1"}, 422},
		{"its end", "DELETE", self, nil, 204},
		{"it is gone", "GET", self, nil, 404},
		{"its tag is not", "GET", "/repos/acme/web/git/matching-refs/tags/v", nil, 200},
	} {
		if got := status(step.method, step.path, step.body); got != step.want {
			t.Errorf("%s: got %d, want %d", step.about, got, step.want)
		}
	}
	again := s.ask("POST", "/repos/acme/web/releases", token, object{"tag_name": "v2"})
	if again.StatusCode != http.StatusCreated || again.json(t)["id"] == draft["id"] {
		t.Errorf("a release after a deleted one: %d %s", again.StatusCode, again.body)
	}
}

func TestOtherGraphQLIsRefused(t *testing.T) {
	s := newStage(t)
	token := s.mint(nil, "web")
	if r := s.ask("POST", "/graphql", token, object{"query": "{viewer{login}}"}); r.StatusCode != http.StatusNotImplemented {
		t.Errorf("got %d %s", r.StatusCode, r.body)
	}
}
