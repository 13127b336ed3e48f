package scope

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	web = Repository{ID: 3001, Name: "web"}
	api = Repository{ID: 3002, Name: "api"}
)

func acme(p Permissions, repositories ...Repository) Scope {
	return Scope{Owner: "acme", OwnerID: 1001, Repositories: repositories, Permissions: p}
}

func TestScopeWithin(t *testing.T) {
	outer := acme(Permissions{"contents": Write, "issues": Read}, web, api)
	otherOwner, renamed := outer, outer
	otherOwner.OwnerID = 1002
	renamed.Owner, renamed.Repositories = "acme-inc", []Repository{{ID: web.ID, Name: "site"}}
	for _, row := range []struct {
		why    string
		inner  Scope
		within bool
	}{
		{"itself", outer, true},
		{"one of its repositories", acme(Permissions{"contents": Write}, web), true},
		{"a lower level", acme(Permissions{"contents": Read}, web), true},
		{"other names for the same ids", renamed, true},
		{"a repository more", acme(Permissions{"contents": Write}, web, Repository{ID: 3003, Name: "ops"}), false},
		{"another repository of the same name", acme(Permissions{"contents": Write}, Repository{ID: 3003, Name: "web"}), false},
		{"a permission more", acme(Permissions{"contents": Write, "actions": Read}, web), false},
		{"a higher level", acme(Permissions{"issues": Write}, web), false},
		{"another owner of the same name", otherOwner, false},
		{"no repositories, which GitHub reads as all", acme(Permissions{"contents": Read}), false},
		{"no permissions, which GitHub reads as all", acme(Permissions{}, web), false},
		{"nil permissions, which GitHub reads as all", acme(nil, web), false},
	} {
		if got := row.inner.Within(outer); got != row.within {
			t.Errorf("%s: Within = %v; want %v", row.why, got, row.within)
		}
	}
}

func TestScopeTellsItselfInOneLine(t *testing.T) {
	s := acme(Permissions{"issues": Read, "contents": Write}, web, api)
	if got, want := s.String(), "contents:write issues:read on acme/web, acme/api"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if diff := cmp.Diff([]int64{3001, 3002}, s.RepositoryIDs()); diff != "" {
		t.Error(diff)
	}
	text, err := json.Marshal(s)
	want := `{"owner":"acme","owner_id":1001,"repositories":[{"id":3001,"name":"web"},{"id":3002,"name":"api"}],"permissions":{"contents":"write","issues":"read"}}`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v; want %s", text, err, want)
	}
}

func TestPermissionsBeyond(t *testing.T) {
	p := Permissions{"pull_requests": Write, "contents": Write, "issues": Read}
	if diff := cmp.Diff([]string{"contents", "pull_requests"}, p.Beyond(Permissions{"contents": Read, "issues": Write})); diff != "" {
		t.Error(diff)
	}
	if !p.Writes() || (Permissions{"issues": Read}).Writes() || (Permissions{}).Writes() {
		t.Error("Writes is wrong")
	}
	if !(Permissions{"repository_projects": Admin}).Writes() {
		t.Error("admin does not count as writing")
	}
}

// anyPermissions draws from few names, so that sets often overlap.
var anyPermissions = rapid.Custom(func(t *rapid.T) Permissions {
	return rapid.MapOfN(rapid.SampledFrom([]string{"contents", "issues", "actions"}),
		rapid.SampledFrom([]Level{Read, Write, Admin}), 0, 3).Draw(t, "permissions")
})

func TestWithinIsAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyPermissions.Draw(t, "a"), anyPermissions.Draw(t, "b"), anyPermissions.Draw(t, "c")
		if !a.Within(a) {
			t.Fatalf("%v is not within itself", a)
		}
		if a.Within(b) && b.Within(c) && !a.Within(c) {
			t.Fatalf("%v is within %v and that within %v, but the first not within the last", a, b, c)
		}
		if a.Within(b) && b.Within(a) && !maps.Equal(a, b) {
			t.Fatalf("%v and %v are within each other and differ", a, b)
		}
		if got := a.Beyond(b); a.Within(b) != (len(got) == 0) || !slices.IsSorted(got) {
			t.Fatalf("%v goes beyond %v at %v", a, b, got)
		}
	})
}

func TestWithinIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outer := anyPermissions.Draw(t, "outer")
		inner := maps.Clone(outer)
		for _, name := range inner.Names() {
			switch rapid.SampledFrom([]string{"keep", "lower", "remove"}).Draw(t, name) {
			case "lower":
				inner[name] = max(inner[name]-1, Read)
			case "remove":
				delete(inner, name)
			}
		}
		if !inner.Within(outer) {
			t.Fatalf("%v was only lowered, but is not within %v", inner, outer)
		}
		name := rapid.SampledFrom([]string{"contents", "issues", "actions"}).Draw(t, "raised")
		if outer[name] < Admin {
			inner[name] = outer[name] + 1
			if inner.Within(outer) {
				t.Fatalf("%v was raised at %s, but is within %v", inner, name, outer)
			}
		}
	})
}
