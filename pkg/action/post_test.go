package action

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/api"
)

func down(w http.ResponseWriter, _ *http.Request) {
	refuse(w, 503, api.ErrorBody{Error: "temporarily_unavailable", Code: "store_unavailable", Retryable: true})
}

func TestPostEndsTheLeaseByItsHandle(t *testing.T) {
	s := newStage(t)
	s.main()
	s.post()
	if diff := cmp.Diff([]string{handle}, s.revoked); diff != "" {
		t.Error(diff)
	}
	if len(s.ended)+len(s.deleted) > 0 || s.tokens != 1 {
		t.Error("post does more than it must")
	}
	s.golden("post.log", s.out.String())
	s.hidesSecrets()
}

func TestPostAsksTheServerThatGrantedEvenIfTheInputChanged(t *testing.T) {
	s := newStage(t)
	s.main()
	s.env["INPUT_SERVER"] = "https://evil.example.com"
	s.post()
	if diff := cmp.Diff([]string{handle}, s.revoked); diff != "" {
		t.Error(diff)
	}
}

func TestPostTriesAgain(t *testing.T) {
	s := newStage(t)
	s.main()
	s.onRevoke = func(w http.ResponseWriter, r *http.Request) {
		if len(s.revoked) < 3 {
			down(w, r)
		}
	}
	s.post()
	if len(s.revoked) != 3 || len(s.deleted) > 0 {
		t.Errorf("%d tries, then %d at GitHub", len(s.revoked), len(s.deleted))
	}
}

func TestPostRevokesAtGitHubWhenTheServerIsDown(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		wants  string
	}{
		"alive":        {204, "::warning title=Curfew::lease 0198c0de-lease could not be ended at the server"},
		"dead already": {401, "the token of lease 0198c0de-lease is dead already"},
		"GitHub fails": {500, "The server ends the token at 2026-11-23 14:05:00 UTC at the latest"},
		"refused":      {403, "The server ends the token at 2026-11-23 14:05:00 UTC at the latest"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.main()
			s.onRevoke = down
			s.onDelete = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(row.status) }
			before := s.now
			s.post()
			s.wants(row.wants)
			s.hidesSecrets()
			if len(s.deleted) == 0 || s.deleted[0] != token {
				t.Errorf("GitHub was asked to delete %q", s.deleted)
			}
			if spent := s.now.Sub(before); spent > endBudget+directBudget {
				t.Errorf("post took %s", spent)
			}
		})
	}
}

func TestPostOutlivesAServerThatIsGone(t *testing.T) {
	s := newStage(t)
	s.main()
	gone := s.serve(http.NotFoundHandler())
	gone.Close()
	s.env["STATE_"+stateServer] = gone.URL
	for name, value := range s.file(stateFile) {
		if name != stateServer {
			s.env["STATE_"+name] = value
		}
	}
	s.out.Reset()
	if code := Post(t.Context(), s.outside()); code != 0 {
		t.Errorf("exit %d", code)
	}
	if diff := cmp.Diff([]string{token}, s.deleted); diff != "" {
		t.Error(diff)
	}
}

func TestPostSendsTheTokenNowhereElse(t *testing.T) {
	for _, address := range []string{"http://api.example.com", "https://a:b@api.example.com", "ftp://api.example.com", "::", "https://api.example.com/?x="} {
		s := newStage(t)
		s.main()
		s.onRevoke = down
		s.env["GITHUB_API_URL"] = address
		s.post()
		s.wants("GITHUB_API_URL is")
	}
}

func TestPostFollowsNoRedirect(t *testing.T) {
	s := newStage(t)
	s.main()
	s.onRevoke = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.env["GITHUB_API_URL"]+"/elsewhere", http.StatusTemporaryRedirect)
	}
	s.post()
	if diff := cmp.Diff([]string{token}, s.deleted); diff != "" {
		t.Errorf("a redirect is no end, so GitHub must be asked: %s", diff)
	}
}

func TestRevocationAtGitHubFollowsNoRedirect(t *testing.T) {
	s := newStage(t)
	s.main()
	s.onRevoke = down
	s.onDelete = func(w http.ResponseWriter, r *http.Request) {
		if len(s.deleted) > 1 {
			t.Error("the token is carried elsewhere")
		}
		http.Redirect(w, r, r.URL.Path+"?again", http.StatusTemporaryRedirect)
	}
	s.post()
	s.wants("The server ends the token at")
}

// act keeps no state between the phases.
func TestPostWithoutStateEndsTheJobsLeases(t *testing.T) {
	s := newStage(t)
	s.main()
	delete(s.env, stateFile)
	s.post()
	if diff := cmp.Diff([]string{oidc(2)}, s.ended); diff != "" {
		t.Error(diff)
	}
	s.wants("::add-mask::"+oidc(2)+"\n", "leases of this job ended: 1")
}

func TestPostWithoutStateTriesAgainWithAFreshToken(t *testing.T) {
	s := newStage(t)
	s.onJobsEnd = func(w http.ResponseWriter, r *http.Request) {
		if len(s.ended) == 1 {
			down(w, r)
			return
		}
		reply(w, 200, `{"ended":0}`)
	}
	s.post()
	if diff := cmp.Diff([]string{oidc(1), oidc(2)}, s.ended); diff != "" {
		t.Error(diff)
	}
}

func TestPostNeverFailsAJob(t *testing.T) {
	for name, change := range map[string]func(*stage){
		"no inputs":             func(s *stage) { delete(s.env, "INPUT_SERVER") },
		"no id-token":           func(s *stage) { delete(s.env, "ACTIONS_ID_TOKEN_REQUEST_URL") },
		"a bad certificate":     func(s *stage) { s.env["INPUT_CA-CERTIFICATE"] = "hello" },
		"a server that denies":  func(s *stage) { s.onJobsEnd = func(w http.ResponseWriter, _ *http.Request) { reply(w, 400, "{}") } },
		"a server that is down": func(s *stage) { s.onJobsEnd = down },
		"state without a server": func(s *stage) {
			s.env["STATE_"+stateHandle], s.env["STATE_"+stateLease] = handle, "l"
		},
		"a deaf log": func(s *stage) { s.stdout = deafToAll{} },
		"our own mistake": func(s *stage) {
			s.roots = nil
		},
	} {
		s := newStage(t)
		change(s)
		s.post()
		if s.errorsShown() > 0 {
			t.Errorf("%s: post shows an error:\n%s", name, s.out.String())
		}
	}
}

type deafToAll struct{}

func (deafToAll) Write([]byte) (int, error) { return 0, http.ErrAbortHandler }

func TestPostWarnsWhenItCouldNotEndTheJobsLeases(t *testing.T) {
	s := newStage(t)
	s.onJobsEnd = down
	before := s.now
	s.post()
	s.wants("::warning title=Curfew::", "the server ends the token when it learns that the job is over")
	if spent := s.now.Sub(before); spent > endBudget || spent < time.Second {
		t.Errorf("post took %s", spent)
	}
}
