package githubapp

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// An Installation is the App's place at one owner.
type Installation struct {
	ID      int64
	Owner   string // the login as GitHub spells it
	OwnerID int64
}

const (
	installationLife = 10 * time.Minute
	maxInstallations = 10_000
	maxSmallAnswer   = 1 << 20
)

// installations remembers what was found, by the owner's login in lower case.
type installations struct {
	mu    sync.Mutex
	known map[string]foundInstallation
}

type foundInstallation struct {
	Installation
	at time.Time
}

func (s *installations) get(owner string, now time.Time) (Installation, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.known[strings.ToLower(owner)]
	age := now.Sub(found.at)
	return found.Installation, ok && age >= 0 && age < installationLife
}

func (s *installations) put(owner string, i Installation, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxInstallations {
		s.known = map[string]foundInstallation{}
	}
	s.known[strings.ToLower(owner)] = foundInstallation{i, now}
}

// drop forgets an owner's installation, unless it was found anew meanwhile.
func (s *installations) drop(owner string, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[strings.ToLower(owner)].ID == id {
		delete(s.known, strings.ToLower(owner))
	}
}

// Installation finds the App's installation at owner through one of the
// owner's repositories, which works for organisations and users alike. What is
// found is remembered for up to ten minutes. Refusals: [problem.NotInstalled],
// [problem.InstallationSuspended], [problem.RateLimited], [problem.GitHubError].
// https://docs.github.com/en/rest/apps/apps#get-a-repository-installation-for-the-authenticated-app
func (c *Client) Installation(ctx context.Context, owner, repository string) (Installation, error) {
	if found, ok := c.installations.get(owner, c.now()); ok {
		return found, nil
	}
	if !plainName(owner) || !plainName(repository) {
		return Installation{}, badName()
	}
	// Callers for one repository share one look-up; it goes on when the first of them gives up.
	shared := c.lookups.DoChan(strings.ToLower(owner+"/"+repository), func() (any, error) {
		if found, ok := c.installations.get(owner, c.now()); ok {
			return found, nil // an earlier look-up ended just now
		}
		found, err := c.findInstallation(context.WithoutCancel(ctx), owner, repository)
		if err == nil {
			c.installations.put(owner, found, c.now())
		}
		return found, err
	})
	select {
	case result := <-shared:
		return result.Val.(Installation), result.Err
	case <-ctx.Done():
		return Installation{}, noAnswer(ctx.Err())
	}
}

func (c *Client) findInstallation(ctx context.Context, owner, repository string) (Installation, error) {
	a, err := c.do(ctx, call{method: http.MethodGet, path: "repos/" + owner + "/" + repository + "/installation", limit: maxSmallAnswer})
	if err != nil {
		return Installation{}, noAnswer(err)
	}
	// A repository that was renamed or transferred answers with a redirect.
	if a.status == http.StatusNotFound || a.status == http.StatusMovedPermanently {
		return Installation{}, notInstalled(owner, repository).WithCause(asCause(a))
	}
	if !a.ok() {
		return Installation{}, c.refusal(a)
	}
	var body struct {
		ID      int64
		Account struct {
			Login string
			ID    int64
		}
		Suspended *time.Time `json:"suspended_at"`
	}
	if json.Unmarshal(a.body, &body) != nil || body.ID <= 0 || body.Account.ID <= 0 || !strings.EqualFold(body.Account.Login, owner) {
		return Installation{}, unreadable(a)
	}
	if body.Suspended != nil {
		return Installation{}, suspended()
	}
	return Installation{body.ID, body.Account.Login, body.Account.ID}, nil
}

func notInstalled(owner string, repositories ...string) *problem.Problem {
	names := make([]string, len(repositories))
	for i, name := range repositories {
		names[i] = owner + "/" + name
	}
	list := strings.Join(names, ", ")
	if len(names) > 8 {
		list = strings.Join(names[:8], ", ") + " and others"
	}
	return problem.New(problem.NotInstalled, "the App is not installed on every repository asked for").
		WithHint("check the spelling of %s; then an owner of %s adds what is missing under Settings, GitHub Apps, Configure, Repository access", list, owner)
}
