package scope

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// facts are GitHub's permissions as the repository's neighbour tells them; CI has to have it.
const facts = "../../../shared/data/app-permissions.json"

type fact struct {
	Levels []string `json:"levels"`
	Level  string   `json:"level"`
}

func TestTableHoldsGitHubsPermissions(t *testing.T) {
	text, err := os.ReadFile(facts)
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skip("GitHub's permissions are not beside the repository")
	} else if err != nil {
		t.Fatal(err)
	}
	want := map[string]fact{}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	kinds := map[Kind]string{OfRepository: "repository", OfOrganization: "organization", OfUser: "user", OfEnterprise: "enterprise"}
	got := map[string]fact{}
	for name := range table {
		known := fact{Level: kinds[KindOf(name)]}
		for level := None; level <= Admin; level++ {
			if Valid(name, level) {
				known.Levels = append(known.Levels, level.String())
			}
		}
		got[name] = known
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table differs from GitHub's (-GitHub +ours):\n%s", diff)
	}
}

func TestNoneIsNeverValid(t *testing.T) {
	for name := range table {
		if Valid(name, None) {
			t.Errorf("%s is valid at level none", name)
		}
	}
	if Valid("everything", Read) || KindOf("everything") != 0 {
		t.Error("a permission that GitHub lacks is valid")
	}
}
