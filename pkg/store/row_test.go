package store

import (
	"testing"

	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/google/go-cmp/cmp"
)

func TestPermissionsComeBackAsStored(t *testing.T) {
	for _, p := range []scope.Permissions{
		nil,
		{"contents": scope.Write},
		{"contents": scope.Write, "organization_projects": scope.Admin, "issues": scope.Read},
		{"a_permission_of_next_year": scope.Read},
	} {
		got, err := parsePermissions(p.String())
		if diff := cmp.Diff(p, got); diff != "" || err != nil {
			t.Errorf("%v: %v (-want +got):\n%s", p, err, diff)
		}
	}
}

func FuzzParsePermissions(f *testing.F) {
	for _, text := range []string{"", "contents:write issues:read", "x:none", ":", " ", "contents:root", "a:read a:write"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePermissions(text)
		if err != nil {
			return
		}
		again, err := parsePermissions(p.String())
		if diff := cmp.Diff(p, again); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	})
}

func FuzzParseURL(f *testing.F) {
	for _, text := range []string{"sqlite:curfew.db", "sqlite:/a b?c#d%20.db", "postgres://host/db", "sqlite::memory:", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parse(text)
		if err == nil && "sqlite:"+string(file) != text {
			t.Errorf("%q names the file %q", text, file)
		}
	})
}
