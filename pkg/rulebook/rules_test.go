package rulebook

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/secret"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

var allThree = []policy.Origin{policy.Operator, policy.Organization, policy.RepositoryOf}

func TestRulesCostFourCallsColdAndNoneWarm(t *testing.T) {
	s := newStage(t)
	for _, want := range []map[string]int{{"installation": 1, "mint": 1, "contents": 2}, {}, {}} {
		if diff := cmp.Diff(allThree, s.origins(t, "web")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, s.routes()); diff != "" {
			t.Error(diff)
		}
	}
	set, err := s.rules("WEB")
	must(t, err)
	want := scope.Scope{Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: 3001, Name: "web"}}}
	if diff := cmp.Diff(want, set.Target()); diff != "" {
		t.Error(diff)
	}
	for _, source := range set.Sources()[1:] {
		if source.Blob == "" || !strings.HasPrefix(source.Digest, "sha256:") || !strings.HasPrefix(source.Repository, "acme/") {
			t.Errorf("a decision could not be replayed from %+v", source)
		}
	}
	if alive := s.github.AliveTokens()[0]; alive.Permissions["contents"] != "read" || len(alive.Repositories) != 2 {
		t.Errorf("the reader token can do more than read the target and the policies: %+v", alive)
	}
}

func TestASecondTargetSharesTheOrganisationsFile(t *testing.T) {
	s := newStage(t)
	s.origins(t, "web")
	s.routes()
	s.origins(t, "api", "docs", "API")
	if diff := cmp.Diff(map[string]int{"mint": 1}, s.routes()); diff != "" {
		t.Error(diff)
	}
	s.origins(t, "docs", "api")
	if diff := cmp.Diff(map[string]int{}, s.routes()); diff != "" {
		t.Error(diff)
	}
}

func TestManyCallersShareOneReadOfEachFile(t *testing.T) {
	s := newStage(t)
	ask := func(want map[string]int) {
		t.Helper()
		var callers sync.WaitGroup
		for range 64 {
			callers.Go(func() {
				if _, err := s.rules("web"); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
		s.settle()
		if diff := cmp.Diff(want, s.routes()); diff != "" {
			t.Error(diff)
		}
	}
	ask(map[string]int{"installation": 1, "mint": 1, "contents": 2})
	s.clock.advance(50 * time.Second) // read ahead
	ask(map[string]int{"contents": 2})
	s.clock.advance(61 * time.Second) // read anew
	ask(map[string]int{"contents": 2})
}

func TestTheRepositorysFileIsReadOnlyWhereItCounts(t *testing.T) {
	deny := strings.Replace(operatorFile, "repository_policies: allow", "repository_policies: deny", 1)
	for name, c := range map[string]struct {
		operator, organization string
		target                 []string
		contents               int
	}{
		"one repository, allowed by both":   {operatorFile, organizationFile, []string{"web"}, 2},
		"two repositories":                  {operatorFile, organizationFile, []string{"web", "api"}, 1},
		"denied by the operator":            {deny, organizationFile, []string{"web"}, 1},
		"denied by the organisation":        {operatorFile, strings.Replace(organizationFile, "allow", "deny", 1), []string{"web"}, 1},
		"no ceiling in either":              {"version: 1\nowner: { login: acme, id: 1001 }\n", "", []string{"web"}, 0},
		"allowed by the operator, no other": {strings.Replace(operatorFile, "organization_policy", "#", 1), "", []string{"web"}, 1},
	} {
		s := newStage(t)
		s.put(t, ".github", "curfew.yaml", c.organization)
		s.open(t, c.operator)
		_, err := s.rules(c.target...)
		must(t, err)
		if got := s.routes()["contents"]; got != c.contents {
			t.Errorf("%s: %d files were read, want %d", name, got, c.contents)
		}
	}
}

func TestStrangersCauseNoCall(t *testing.T) {
	s := newStage(t)
	many := make([]string, scope.MaxRepositories+1)
	for i := range many {
		many[i] = fmt.Sprint("r", i)
	}
	for name, c := range map[string]struct {
		issuer string
		target policy.Target
		code   problem.Code
	}{
		"an owner not served":        {issuer, policy.Target{Owner: "rival", Repositories: []string{"web"}}, problem.OwnerNotServed},
		"a caller's own repository":  {issuer, policy.Target{Owner: "friend", Repositories: []string{"web"}}, problem.OwnerNotServed},
		"the owner at another place": {"https://ghes.example/_services/token", policy.Target{Owner: "acme", Repositories: []string{"web"}}, problem.OwnerNotServed},
		"501 repositories":           {issuer, policy.Target{Owner: "acme", Repositories: many}, problem.TooManyRepositories},
		"no repository":              {issuer, policy.Target{Owner: "acme"}, problem.Malformed},
		"a name that is a path":      {issuer, policy.Target{Owner: "acme", Repositories: []string{"web/../api"}}, problem.NotInstalled},
		"a name that is two":         {issuer, policy.Target{Owner: "acme", Repositories: []string{"api\nweb"}}, problem.NotInstalled},
		"an empty name":              {issuer, policy.Target{Owner: "acme", Repositories: []string{""}}, problem.NotInstalled},
		"a name that leads up":       {issuer, policy.Target{Owner: "acme", Repositories: []string{".."}}, problem.NotInstalled},
	} {
		if _, err := s.book.Rules(t.Context(), c.issuer, c.target); !problem.Is(err, c.code) {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	if diff := cmp.Diff(map[string]int{}, s.routes()); diff != "" {
		t.Error(diff)
	}
}

func TestAnIDThatIsAnotherDenies(t *testing.T) {
	for name, c := range map[string]struct {
		old, changed string
		mints        int
	}{
		"the owner's":             {"id: 1001", "id: 1002", 0},
		"the policy repository's": {"repository_id: 2001", "repository_id: 2002", 1},
	} {
		s := newStage(t)
		s.open(t, strings.Replace(operatorFile, c.old, c.changed, 1))
		_, err := s.rules("web")
		if p := problem.From(err); p.Code != problem.PolicyInvalid || !strings.Contains(p.Hint, "acme.yaml") {
			t.Errorf("%s: got %v (%s)", name, err, p.Hint)
		}
		s.settle()
		if len(s.github.Mints()) != c.mints || len(s.github.AliveTokens()) != 0 {
			t.Errorf("%s: %d mints, %d alive", name, len(s.github.Mints()), len(s.github.AliveTokens()))
		}
	}
}

func TestAnOrganisationsFileThatIsNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		required string
		code     problem.Code
	}{
		"required unless told otherwise": {"", problem.PolicyInvalid},
		"required":                       {", required: true", problem.PolicyInvalid},
		"not required":                   {", required: false", ""},
	} {
		s := newStage(t)
		must(t, s.github.RemoveFile("acme", ".github", "curfew.yaml"))
		s.open(t, strings.Replace(operatorFile, "curfew.yaml }", "curfew.yaml"+c.required+" }", 1))
		_, err := s.rules("web")
		if (err == nil) != (c.code == "") || err != nil && !problem.Is(err, c.code) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestUnknownIsNeverNone(t *testing.T) {
	optional := strings.Replace(operatorFile, "curfew.yaml }", "curfew.yaml, required: false }", 1)
	for name, c := range map[string]struct {
		fault simulator.Fault
		code  problem.Code
	}{
		"unavailable":              {simulator.Fault{Status: 503}, problem.PolicyUnavailable},
		"forbidden":                {simulator.Fault{Status: 403}, problem.PolicyUnavailable},
		"rate limited":             {simulator.Fault{Rate: "secondary"}, problem.PolicyUnavailable},
		"gone":                     {simulator.Fault{Status: 410}, problem.PolicyUnavailable},
		"moved":                    {simulator.Fault{Status: 301}, problem.PolicyUnavailable},
		"cut short":                {simulator.Fault{Cut: "truncate"}, problem.PolicyUnavailable},
		"malformed":                {simulator.Fault{Malformed: true}, problem.PolicyUnavailable},
		"no answer":                {simulator.Fault{Cut: "before"}, problem.PolicyUnavailable},
		"unchanged, though unread": {simulator.Fault{Status: 304}, problem.PolicyUnavailable},
		"the token not accepted":   {simulator.Fault{Status: 401}, problem.PolicyUnavailable},
		"an empty success":         {simulator.Fault{Status: 204}, problem.PolicyUnavailable},
		"a directory":              {simulator.Fault{Status: 200, Body: "[]"}, problem.PolicyInvalid},
		"a link":                   {simulator.Fault{Status: 200, Body: `{"type":"symlink"}`}, problem.PolicyInvalid},
	} {
		for skip, file := range []string{"the organisation's", "the repository's"} {
			s := newStage(t)
			s.open(t, optional)
			c.fault.Route, c.fault.Skip = "contents", skip
			s.github.Inject(c.fault)
			set, err := s.rules("web")
			if !problem.Is(err, c.code) || set != nil {
				t.Errorf("%s file, %s: got %v, want %s", file, name, err, c.code)
			}
			if wait := problem.From(err).RetryAfter; name == "rate limited" && wait != time.Minute {
				t.Errorf("%s: wait %v", name, wait)
			}
		}
	}
}

func TestARepositoryThatIsHiddenHasNotNoPolicy(t *testing.T) {
	s := newStage(t)
	s.github.Inject(simulator.Fault{Route: "contents", Status: 404})
	s.github.Inject(simulator.Fault{Route: "repository", Status: 404})
	if _, err := s.rules("web"); !problem.Is(err, problem.PolicyUnavailable) {
		t.Errorf("got %v", err)
	}
	if got := s.routes()["mint"]; got != 1 {
		t.Errorf("%d reader tokens: a fresh one is not known everywhere yet, and another is no better", got)
	}
}

// A liar misleads the book where a GitHub that keeps its word would not.
type liar struct {
	*githubapp.Client
	ownerID int64
}

func (l liar) Reader(ctx context.Context, owner string, repositories []string, p scope.Permissions) (secret.Text, scope.Granted, error) {
	token, got, err := l.Client.Reader(ctx, owner, repositories, p)
	got.OwnerID = l.ownerID
	return token, got, err
}

func TestTheTokensOwnWordOnItsOwnerCounts(t *testing.T) {
	s := newStage(t)
	s.openWith(t, operatorFile, liar{s.client, 1002})
	if _, err := s.rules("web"); !problem.Is(err, problem.PolicyInvalid) {
		t.Errorf("got %v", err)
	}
	s.settle()
	if alive := len(s.github.AliveTokens()); alive != 0 {
		t.Errorf("%d tokens are alive", alive)
	}
}

func TestUnchangedIsNoAnswerToAFirstQuestion(t *testing.T) {
	if d, err := understand(policy.Source{}, githubapp.File{NotModified: true}, nil); err == nil {
		t.Errorf("got %+v", d)
	}
}

func TestAPolicyThatDoesNotLoadSaysWhere(t *testing.T) {
	s := newStage(t)
	s.put(t, "web", repositoryPath, "version: 1\ngrant: {}\n")
	for range 2 {
		_, err := s.rules("web")
		if p := problem.From(err); p.Code != problem.PolicyInvalid || !strings.Contains(p.Hint, "acme/web/.github/curfew.yaml:2:1") {
			t.Errorf("got %v (%s)", err, p.Hint)
		}
	}
	if got := s.routes()["contents"]; got != 2 {
		t.Errorf("%d reads: a file known to be bad is read again at once", got)
	}
	s.put(t, "web", repositoryPath, repositoryFile)
	s.clock.advance(time.Minute)
	if diff := cmp.Diff(allThree, s.origins(t, "web")); diff != "" {
		t.Error(diff)
	}
}

func TestWhatGitHubRefusesPassesThrough(t *testing.T) {
	s := newStage(t)
	if _, err := s.rules("nothing"); !problem.Is(err, problem.NotInstalled) {
		t.Errorf("an unknown repository: %v", err)
	}
	if kept := len(s.book.targets.all()); kept != 0 {
		t.Errorf("%d targets are kept that came to nothing", kept)
	}
	s.origins(t, "web")
	must(t, s.github.Suspend(s.installation, true))
	s.clock.advance(2 * time.Minute)
	if _, err := s.rules("web"); !problem.Is(err, problem.InstallationSuspended) {
		t.Errorf("a suspended installation is served from memory: %v", err)
	}
	must(t, s.github.Suspend(s.installation, false))
	must(t, s.github.Uninstall(s.installation))
	if _, err := s.rules("web"); !problem.Is(err, problem.NotInstalled) {
		t.Errorf("a removed App is served from memory: %v", err)
	}
}

func TestACallerThatGivesUpIsAnsweredAtOnce(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.book.Rules(ctx, issuer, policy.Target{Owner: "acme", Repositories: []string{"web"}}); !problem.Is(err, problem.PolicyUnavailable) {
		t.Errorf("got %v", err)
	}
	s.settle()
}
