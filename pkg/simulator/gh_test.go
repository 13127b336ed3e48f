package simulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// newHub is a stage that git and gh of a desk take for github.com.
func newHub(t *testing.T) *desk {
	t.Helper()
	names := []string{"github.com", "api.github.com", "uploads.github.com"}
	s := newStageOn(t, func(o simulator.Options) (*simulator.Server, error) { return simulator.StartTLS(o, names...) })
	s.SetURL("https://github.com")
	hosts := map[string]string{}
	for _, name := range names {
		hosts[name] = strings.TrimPrefix(s.URL, "https://")
	}
	proxy := httptest.NewServer(simulator.Proxy(hosts))
	t.Cleanup(proxy.Close)
	d := newDesk(s)
	authority := filepath.Join(d.dir, "ca.pem")
	s.must(os.WriteFile(authority, s.CA, 0o600))
	d.env = append(d.env, "HTTPS_PROXY="+proxy.URL, "SSL_CERT_FILE="+authority, "GIT_SSL_CAINFO="+authority)
	return d
}

// gh runs gh in the desk's clone with a token.
func (d *desk) gh(token string, arguments ...string) (string, error) {
	command := exec.CommandContext(d.t.Context(), "gh", arguments...)
	command.Dir = filepath.Join(d.dir, "web")
	command.Env = slices.Concat(d.env, []string{"GH_TOKEN=" + token, "GH_PROMPT_DISABLED=1", "GH_NO_UPDATE_NOTIFIER=1"})
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestGitAndGHTakeItForGitHub(t *testing.T) {
	needs(t, "gh")
	d := newHub(t)
	token := d.mint(object{"contents": "write"}, "web")
	d.git("clone", "https://x-access-token:"+token+"@github.com/acme/web.git", "web")
	for _, row := range []struct {
		about, says string
		prepare     []string
		arguments   []string
	}{
		{"a tag that wasn't pushed", "has not been pushed", []string{"tag", "v1"}, []string{"release", "create", "v1", "--notes", "one"}},
		{"one that was", "/acme/web/releases/tag/v1", []string{"push", "origin", "v1"}, []string{"release", "create", "v1", "--notes", "one"}},
		{"the same once more", "Release.tag_name already exists", nil, []string{"release", "create", "v1", "--notes", "one"}},
		{"a tag of gh's own", "/acme/web/releases/tag/v2", nil, []string{"release", "create", "v2", "--notes", "two", "--target", "main"}},
		{"an asset", "/acme/web/releases/tag/v3", nil, []string{"release", "create", "v3", "--notes", "three", "README.txt"}},
		{"a release that is there", "README.txt", nil, []string{"api", "repos/{owner}/{repo}/releases/tags/v3"}},
	} {
		t.Run(row.about, func(t *testing.T) {
			d.must(os.WriteFile(filepath.Join(d.dir, "web", "README.txt"), []byte("read me"), 0o600))
			if row.prepare != nil {
				d.git(row.prepare...)
			}
			out, err := d.gh(token, row.arguments...)
			if !strings.Contains(out, row.says) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	for _, tag := range []string{"v1", "v2", "v3"} {
		r := d.ask("GET", "/repos/acme/web/releases/tags/"+tag, token, nil)
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d", tag, r.StatusCode)
		}
	}
	for _, c := range d.Calls() {
		if c.Route == "unknown" || c.Status == http.StatusNotImplemented {
			t.Errorf("%s", c)
		}
	}
}

func TestGHGetsNoMoreThanItsToken(t *testing.T) {
	needs(t, "gh")
	d := newHub(t)
	write := d.mint(object{"contents": "write"}, "web")
	d.git("clone", "https://x-access-token:"+write+"@github.com/acme/web.git", "web")
	revoked := d.mint(object{"contents": "write"}, "web")
	d.ask("DELETE", "/installation/token", revoked, nil)
	for token, says := range map[string]string{
		d.mint(object{"contents": "read"}, "web"):  "HTTP 403: Resource not accessible by integration",
		d.mint(object{"contents": "write"}, "api"): "HTTP 404: Not Found",
		revoked: "HTTP 401: Bad credentials",
	} {
		if out, err := d.gh(token, "release", "create", "v1", "--notes", "", "--repo", "acme/web"); err == nil || !strings.Contains(out, says) {
			t.Errorf("got %v: %s, want %s", err, out, says)
		}
	}
	if r := d.ask("GET", "/repos/acme/web/git/ref/tags/v1", write, nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("a refused release made a tag: %d", r.StatusCode)
	}
}

func TestTheProxyLeadsNowhereElse(t *testing.T) {
	d := newHub(t)
	out, err := d.try("ls-remote", "https://gitlab.example/acme/web.git")
	if err == nil || !strings.Contains(out, fmt.Sprint(http.StatusForbidden)) {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestOnlyWhoTrustsItsAuthorityTalksToIt(t *testing.T) {
	s := newStageOn(t, func(o simulator.Options) (*simulator.Server, error) { return simulator.StartTLS(o, "github.com") })
	if r := s.ask("GET", "/rate_limit", "", nil); r.StatusCode != http.StatusOK || !strings.HasPrefix(s.URL, "https://") {
		t.Errorf("%s: got %d", s.URL, r.StatusCode)
	}
	s.CA = nil
	if _, err := s.do("GET", "/rate_limit", "", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: got %v", err)
	}
	if r, err := http.Get(s.ManageURL + "/calls"); err != nil || r.Body.Close() != nil || r.StatusCode != http.StatusOK {
		t.Errorf("the back door: %v", err)
	}
}
