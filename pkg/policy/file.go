package policy

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/scope"
)

// The bounds and defaults of what a policy may say.
const (
	// MaxFileSize is the most bytes a policy file may have.
	MaxFileSize = 64 << 10
	// MinDuration and MaxDuration bound every curfew.
	MinDuration = 5 * time.Second
	MaxDuration = time.Hour
	// MaxReason is the most bytes a reason may have.
	MaxReason = 1 << 10

	defaultDuration     = 10 * time.Minute
	defaultLeasesPerJob = 3
	maxLeasesPerJob     = 100
)

// A File is one policy file, read and checked. It is not changed after [Parse],
// but for the owner's issuer, which its reader fills in where the file names none.
type File struct {
	Source Source
	// Owner is whom the operator's file is for; zero in the others.
	Owner Owner
	// OrganizationPolicy is where the operator lets the organisation keep its own file; nil: nowhere.
	OrganizationPolicy *Location
	// Ceiling is what no grant can exceed; nil: this file sets no bound.
	Ceiling *Ceiling
	// Grants are in the order of the file; each name stands once.
	Grants []Grant

	spots map[string]spot // where each field stands, by its path
}

// An Owner is the account whose repositories a policy speaks of.
type Owner struct {
	Login  string
	ID     int64
	Issuer string // whose ids ID belongs to; "" until the default is filled in, and then nobody is admitted
}

// A Location is the place of the organisation's policy file.
type Location struct {
	Repository   string // name, without the owner
	RepositoryID int64
	Path         string
	Required     bool // an absent file denies; false: it counts as none
}

// A Ceiling is what no grant can exceed.
type Ceiling struct {
	Permissions        scope.Permissions // what is not listed is none
	Duration           time.Duration
	Callers            []Caller // other owners whose workloads may ask
	RepositoryPolicies bool     // repositories may have policies of their own
}

// A Caller is another owner whose workloads may ask. The id decides.
type Caller struct {
	Login string
	ID    int64
}

// A Grant is a named entry of a policy: who may ask, for what, for how long.
type Grant struct {
	Name         string
	Line         int
	Description  string
	Repositories []string // names or globs; nil in a repository's own file, where it is always that one
	Allow        []Allow  // any of them admits
	Permissions  scope.Permissions
	Default      time.Duration // the curfew where the request names none
	Max          time.Duration
	Reason       Reason
	LeasesPerJob int
}

// An Allow is one set of conditions. Every field that is not zero must match
// the workload; an absent claim matches nothing.
type Allow struct {
	// Repository is Self, or owner/name together with RepositoryID; "" is any
	// repository of the owner and of its callers.
	Repository   string
	RepositoryID int64
	// Workflow is a path in the caller's repository. It binds workflow_ref,
	// and job_workflow_ref too unless ReusableWorkflow is set.
	Workflow string
	// ReusableWorkflow is all of job_workflow_ref.
	ReusableWorkflow string
	Ref              string   // exact, or a glob
	Events           []string // never empty
	Environment      string
	Runner           string
	ActorIDs         []int64
}

// Self in [Allow.Repository] means that the workload's own repository is the
// one and only target.
const Self = "self"

// A Reason is what a grant wants to be told.
type Reason struct {
	Required bool
	Pattern  *regexp.Regexp // leftmost-longest, for the whole text; nil: any
	Min      int            // least number of characters
}

// matches tells whether the whole text fits the pattern. A pattern is not put
// into a group with anchors for that: it could break out, as `\Q` does.
func (r Reason) matches(text string) bool {
	if r.Pattern == nil {
		return true
	}
	found := r.Pattern.FindStringIndex(text)
	return found != nil && found[0] == 0 && found[1] == len(text)
}

// defaultEvents are those that count where a grant names none: they run what
// is already on a branch, by somebody who may push.
var defaultEvents = []string{"push", "workflow_dispatch", "schedule", "merge_group"}

func (f *File) grant(name string) *Grant {
	for i := range f.Grants {
		if f.Grants[i].Name == name {
			return &f.Grants[i]
		}
	}
	return nil
}

// rule names the place of a field: `acme/web/.github/curfew.yaml:6 grants.release.allow[0].ref`.
// A field that is not written stands where its parent does.
func (f *File) rule(field string) string {
	for at := field; ; {
		if spot, ok := f.spots[at]; ok {
			return fmt.Sprintf("%s:%d %s", f.Source.place(), spot.line, field)
		}
		cut := strings.LastIndexAny(at, ".[")
		if cut < 0 {
			return f.Source.place() + " " + field
		}
		at = at[:cut]
	}
}

func (s Source) place() string {
	if s.Repository == "" {
		return s.Path
	}
	return s.Repository + "/" + s.Path
}

// RepositoryPolicies tells whether a repository may have a policy of its own:
// a ceiling stands, and every one that stands says so.
func RepositoryPolicies(operator, organization *File) bool {
	allowed := false
	for _, f := range []*File{operator, organization} {
		if f == nil || f.Ceiling == nil {
			continue
		}
		if !f.Ceiling.RepositoryPolicies {
			return false
		}
		allowed = true
	}
	return allowed
}
