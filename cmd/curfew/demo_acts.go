//go:build !slim

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/runner"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// acts are what the demo shows, in order.
var acts = []act{
	{"a", "A job on main gets what its policy grants, and no more", grantedOnMain},
	{"b", "The same token is refused elsewhere", refusedElsewhere},
	{"c", "When the job is over, the token is dead", deadAfterJob},
	{"d", "A job on another branch is denied, and told why", deniedElsewhere},
	{"e", "A runner is killed before its post step: the curfew ends the token", curfewAfterKill},
	{"f", "GitHub answers wider than asked: the token is revoked and refused", refusedTooWide},
	{"g", "The audit log proves it, and a changed record is found", auditProves},
}

const main0 = "refs/heads/main"

// elevated is what later acts need of the first.
type elevated struct {
	token     string
	elsewhere []fact
}

// grantedOnMain runs the release workflow; its own step creates the tag. While
// the job runs its token is tried elsewhere, as an attacker inside the job would.
func grantedOnMain(ctx context.Context, s *stage, a *seen) error {
	job, err := s.job(main0, nil)
	if err != nil {
		return err
	}
	job.OnStep = func(step runner.Step) {
		if step.ID == "tag" {
			s.first.elsewhere = s.tryElsewhere(ctx, s.first.token)
		} else if step.ID == "curfew" && step.Phase == "main" {
			s.first.token = step.Outputs["token"]
		}
	}
	result, err := s.run(ctx, job)
	if err != nil {
		return err
	}
	a.fact(result.Conclusion == runner.Success, "the job ended with %s", result.Conclusion)
	if main := result.Step("curfew", "main"); main != nil {
		a.fact(main.Outputs["permissions"] == `{"contents":"write","metadata":"read"}` && main.Outputs["repositories"] == "web",
			"the action got %s on %s/%s", main.Outputs["permissions"], main.Outputs["owner"], main.Outputs["repositories"])
	}
	tag := result.Step("tag", "run")
	a.fact(tag != nil && tag.Outcome == runner.Success, "with it a later step created the tag v1.2.3")
	a.fact(s.first.token != "" && !strings.Contains(result.Log, s.first.token), "the token stands nowhere in the job's log")
	a.quote(linesWith(result.Log, "granted")...)
	return nil
}

// tryElsewhere tries a token where it must not work.
func (s *stage) tryElsewhere(ctx context.Context, token string) []fact {
	read := s.call(ctx, token, http.MethodGet, "/repos/acme/api", "")
	issue := s.call(ctx, token, http.MethodPost, "/repos/acme/web/issues", `{"title":"hello"}`)
	return []fact{
		{fmt.Sprintf("reading acme/api: %s", read), read.status == http.StatusNotFound || read.status == http.StatusForbidden},
		{fmt.Sprintf("opening an issue in acme/web: %s", issue), issue.status == http.StatusForbidden},
	}
}

func refusedElsewhere(_ context.Context, s *stage, a *seen) error {
	a.Facts = append(a.Facts, s.first.elsewhere...)
	return nil
}

func deadAfterJob(ctx context.Context, s *stage, a *seen) error {
	answer := s.call(ctx, s.first.token, http.MethodGet, "/installation/repositories", "")
	a.fact(answer.status == http.StatusUnauthorized, "GitHub answers it: %s", answer)
	a.fact(!s.github.Alive(s.first.token), "GitHub's own list says that it was deleted")
	return nil
}

// deniedElsewhere runs the same workflow on a branch that the policy does not name.
func deniedElsewhere(ctx context.Context, s *stage, a *seen) error {
	minted := len(s.github.Mints())
	job, err := s.job("refs/heads/feature/shiny", nil)
	if err != nil {
		return err
	}
	result, err := s.run(ctx, job)
	if err != nil {
		return err
	}
	a.fact(result.Conclusion == runner.Failure, "the job ended with %s", result.Conclusion)
	a.fact(len(s.github.Mints()) == minted, "GitHub was not asked for a token")
	table := tableOf(result.Summaries)
	a.fact(strings.Contains(strings.Join(table, "\n"), "refs/heads/feature/shiny"), "the job's summary says which claim was expected and got")
	a.quote(linesWith(result.Log, "no_grant_matches")...)
	a.quote(table...)
	return nil
}

// curfewAfterKill kills the runner before its post step. Nobody tells the
// server; the curfew of five seconds must do.
func curfewAfterKill(ctx context.Context, s *stage, a *seen) error {
	job, err := s.job(main0, map[string]string{"duration": "5s"})
	if err != nil {
		return err
	}
	job.KillBefore = "tag"
	token := ""
	var issued time.Time
	job.OnStep = func(step runner.Step) {
		if step.ID == "curfew" && step.Phase == "main" {
			token, issued = step.Outputs["token"], time.Now()
		}
	}
	result, err := s.run(ctx, job)
	if err != nil {
		return err
	}
	a.fact(result.Conclusion == runner.Lost, "the runner was killed (%s), post never ran", result.Conclusion)
	a.fact(token != "" && s.github.Alive(token), "its token is alive")
	died := s.awaitDeath(ctx, token, 10*time.Second)
	a.fact(died, "%.1f s after it was issued the token is dead, by its curfew of 5 s", time.Since(issued).Seconds())
	return nil
}

// refusedTooWide makes the simulated GitHub answer one mint with more than was asked.
func refusedTooWide(ctx context.Context, s *stage, a *seen) error {
	s.github.Inject(simulator.Fault{Route: "mint", Times: 1, Wider: "permissions"})
	defer s.github.ClearFaults()
	minted := len(s.github.Mints())
	job, err := s.job(main0, nil)
	if err != nil {
		return err
	}
	result, err := s.run(ctx, job)
	if err != nil {
		return err
	}
	mints := s.github.Mints()
	a.fact(result.Conclusion == runner.Failure, "the job ended with %s", result.Conclusion)
	a.fact(len(mints) == minted+1, "GitHub minted one token")
	if len(mints) == minted+1 {
		last := mints[len(mints)-1]
		a.fact(s.awaitDeath(ctx, last.Token, 10*time.Second), "it could do more than asked, and is dead")
		a.fact(!strings.Contains(result.Log, last.Token), "the job never saw it")
	}
	a.quote(linesWith(result.Log, "answer_too_wide", "could do more")...)
	return nil
}

// auditProves verifies the log offline, then changes one byte of a stored record.
func auditProves(ctx context.Context, s *stage, a *seen) error {
	if err := s.stopServer(); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	alive := s.github.AliveTokens()
	a.fact(len(alive) == 0, "the server stopped; tokens alive at GitHub: %d", len(alive))
	out, code, err := s.curfew(ctx, "audit", "verify", "--database", "sqlite:"+s.path("curfew.db"))
	if err != nil {
		return err
	}
	a.fact(code == 0, "curfew audit verify: %s", out)
	if err := flipOneByte(s.path("curfew.db")); err != nil {
		return err
	}
	out, code, err = s.curfew(ctx, "audit", "verify", "--database", "sqlite:"+s.path("curfew.db"))
	if err != nil {
		return err
	}
	a.fact(code == exitFound, "after one byte of a record was changed: %s", out)
	return nil
}

// flipOneByte changes one letter of the first stored record that names the
// branch main: an answer that somebody would rather have otherwise.
func flipOneByte(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at := bytes.Index(content, []byte(`"repository":"acme/web"`))
	if at < 0 {
		return fmt.Errorf("no record was found in %s", path)
	}
	content[at+len(`"repository":"acme/w`)] = 'x'
	return os.WriteFile(path, content, 0o600)
}

// curfew runs another verb of this binary and returns its last line of output.
func (s *stage) curfew(ctx context.Context, args ...string) (last string, code int, err error) {
	command := exec.CommandContext(ctx, s.self, args...)
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		return "", 0, err
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], command.ProcessState.ExitCode(), nil
}

// An answer is what the simulated GitHub said to a call.
type answer struct {
	status int
	text   string
}

func (a answer) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.text))
}

// call makes one API call with a token.
func (s *stage) call(ctx context.Context, token, method, path, body string) answer {
	request, err := http.NewRequestWithContext(ctx, method, s.api()+path, strings.NewReader(body))
	if err != nil {
		return answer{text: err.Error()}
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{text: err.Error()}
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // its words don't matter
	return answer{response.StatusCode, http.StatusText(response.StatusCode)}
}

// awaitDeath waits until GitHub no longer knows a token, or for too long.
func (s *stage) awaitDeath(ctx context.Context, token string, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.github.Alive(token) {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
