package action

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// clockSkew is how far this machine's clock may differ from the server's.
const clockSkew = 5 * time.Minute

// wider says in what an answer goes beyond what was asked, or nil.
// https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
// has metadata: read, which GitHub adds to every token, as nothing to ask for.
func (w wish) wider(granted api.TokenResponse, now time.Time) error {
	if !strings.EqualFold(granted.Owner, w.owner) {
		return fmt.Errorf("it is for repositories of %s, not of %s", granted.Owner, w.owner)
	}
	if err := w.widerRepositories(granted.Repositories); err != nil {
		return err
	}
	for name, level := range granted.Permissions {
		if !w.covers(name, level) {
			return fmt.Errorf("it grants %s:%s, which was not asked for", name, level)
		}
	}
	longest := w.duration
	if longest == 0 {
		longest = maxDuration
	}
	if time.Duration(granted.ExpiresIn)*time.Second > longest || granted.ExpiresAt.After(now.Add(longest+clockSkew)) {
		return fmt.Errorf("it lasts longer than %s", short(longest))
	}
	return nil
}

func (w wish) widerRepositories(granted []api.Repository) error {
	if w.organization {
		// A token needs a repository; the server picks the one with the policy.
		if len(granted) > 1 {
			return errors.New("it reaches several repositories, though none was asked for")
		}
		return nil
	}
	if len(granted) == 0 {
		return errors.New("it names no repository, which could mean all")
	}
	for _, repository := range granted {
		if !slices.ContainsFunc(w.repositories, func(name string) bool { return strings.EqualFold(name, repository.Name) }) {
			return fmt.Errorf("it reaches %s/%s, which was not asked for", w.owner, repository.Name)
		}
	}
	return nil
}

// covers tells whether the inputs allow a permission of the answer.
func (w wish) covers(name, level string) bool {
	if name == "metadata" && level == scope.Read.String() {
		return true
	}
	if w.organization && scope.KindOf(name) == scope.OfRepository {
		return false
	}
	if w.permissions == nil {
		return true // the grant's, whatever they are
	}
	known, l, err := scope.ParsePermission(name, level)
	return err == nil && l <= w.permissions[known]
}

// what names the permissions of a token, without the one that GitHub adds to each.
func what(granted api.TokenResponse) string {
	told := maps.Clone(granted.Permissions)
	if len(told) > 1 && told["metadata"] == scope.Read.String() {
		delete(told, "metadata")
	}
	return told.String()
}

// where names what a token reaches: acme/web, acme/api.
func where(granted api.TokenResponse) string {
	if len(granted.Repositories) == 0 {
		return granted.Owner
	}
	names := make([]string, len(granted.Repositories))
	for i, repository := range granted.Repositories {
		names[i] = granted.Owner + "/" + repository.Name
	}
	return strings.Join(names, ", ")
}

// until is a time of day with the zone, and with seconds where they matter.
func until(t time.Time, left time.Duration) string {
	layout := "15:04 UTC"
	if left < 2*time.Minute {
		layout = "15:04:05 UTC"
	}
	return t.UTC().Format(layout)
}

// short writes 15m for 15m0s and 1h for 1h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
