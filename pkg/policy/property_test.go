package policy_test

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// A world is a set's files, drawn from few values so that they often meet. The
// names of grants differ from file to file: where two files use one name, the
// first shadows the second by design.
type world struct {
	files   [3]*policy.File // operator, organisation, repository
	target  []scope.Repository
	asker   identity.Workload
	request policy.Request
}

func (w world) decide() policy.Decision { return w.deciding(w.asker, w.request) }

func (w world) deciding(asker identity.Workload, r policy.Request) policy.Decision {
	target := scope.Scope{Owner: "acme", OwnerID: 1001, Repositories: w.target}
	return policy.NewSet(target, w.files[0], w.files[1], w.files[2]).Decide(asker, r)
}

var (
	levels    = rapid.SampledFrom([]scope.Level{scope.Read, scope.Write})
	names     = rapid.SampledFrom([]string{"contents", "issues"})
	minutes   = rapid.Map(rapid.IntRange(1, 4), func(n int) time.Duration { return time.Duration(n) * time.Minute })
	anyScope  = rapid.MapOfN(names, levels, 1, 2)
	anyRef    = rapid.SampledFrom([]string{"refs/heads/main", "refs/heads/dev"})
	anyCaller = rapid.SampledFrom([]int64{1001, 1001, 1001, 1900})
	anyOwn    = rapid.SampledFrom([]scope.Repository{web, api})
)

// maybe draws the zero value half of the time.
func maybe[T any](t *rapid.T, label string, g *rapid.Generator[T]) T {
	var zero T
	return rapid.OneOf(rapid.Just(zero), g).Draw(t, label)
}

func drawWorld(t *rapid.T) world {
	var w world
	w.target = rapid.SliceOfNDistinct(anyOwn, 1, 2, func(r scope.Repository) int64 { return r.ID }).Draw(t, "target")
	for i, origin := range []policy.Origin{policy.Operator, policy.Organization, policy.RepositoryOf} {
		w.files[i] = drawFile(t, origin)
	}
	w.files[0].Owner = policy.Owner{Login: "acme", ID: 1001, Issuer: issuer}
	w.asker = drawAsker(t)
	origin := rapid.IntRange(0, 2).Draw(t, "whose grant")
	w.request = policy.Request{
		Grant:       w.files[origin].Grants[0].Name,
		Permissions: maybe(t, "permissions", anyScope),
		Duration:    maybe(t, "duration", minutes),
		Reason:      maybe(t, "reason", rapid.Just("because")),
	}
	return w
}

func drawFile(t *rapid.T, origin policy.Origin) *policy.File {
	f := &policy.File{Source: policy.Source{Origin: origin, Path: string(origin)}}
	for i := range 2 {
		most := minutes.Draw(t, "max")
		g := policy.Grant{
			Name:        string(origin) + strconv.Itoa(i),
			Permissions: rapid.MapOfN(names, levels, 0, 2).Draw(t, "granted"),
			Max:         most, Default: min(most, minutes.Draw(t, "default")),
			Reason:       policy.Reason{Required: rapid.Bool().Draw(t, "required")},
			LeasesPerJob: 3,
		}
		if origin != policy.RepositoryOf {
			g.Repositories = rapid.SliceOfN(rapid.SampledFrom([]string{"web", "api", "w*"}), 1, 2).Draw(t, "repositories")
		}
		for range rapid.IntRange(1, 2).Draw(t, "entries") {
			g.Allow = append(g.Allow, drawEntry(t))
		}
		f.Grants = append(f.Grants, g)
	}
	if origin != policy.RepositoryOf && rapid.Bool().Draw(t, "ceiling") {
		f.Ceiling = &policy.Ceiling{Permissions: anyScope.Draw(t, "ceiling's"), Duration: minutes.Draw(t, "longest"),
			Callers: maybe(t, "callers", rapid.Just([]policy.Caller{{Login: "umbrella", ID: 1900}})), RepositoryPolicies: rapid.Bool().Draw(t, "repository policies")}
	}
	return f
}

func drawEntry(t *rapid.T) policy.Allow {
	a := policy.Allow{
		Ref:         maybe(t, "ref", rapid.SampledFrom([]string{"refs/heads/main", "refs/heads/*", "**"})),
		Environment: maybe(t, "environment", rapid.Just("production")),
		Events:      rapid.SampledFrom([][]string{{"push"}, {"push", "schedule"}}).Draw(t, "events"),
	}
	switch rapid.IntRange(0, 2).Draw(t, "repository") {
	case 1:
		a.Repository = policy.Self
	case 2:
		r := anyOwn.Draw(t, "named")
		a.Repository, a.RepositoryID = "acme/"+r.Name, r.ID
	}
	return a
}

func drawAsker(t *rapid.T) identity.Workload {
	w := job(anyOwn.Draw(t, "asker"), "release.yml")
	w.RepositoryOwnerID = anyCaller.Draw(t, "owner")
	w.Ref = maybe(t, "asker's ref", anyRef)
	w.Environment = maybe(t, "asker's environment", rapid.Just("production"))
	w.EventName = rapid.SampledFrom([]string{"push", "schedule"}).Draw(t, "asker's event")
	return w
}

// What is allowed is within the request, one grant and every ceiling.
func TestAllowedIsWithinEveryBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		d := w.decide()
		if d.Refusal != nil {
			return
		}
		target := scope.Scope{OwnerID: 1001, Repositories: w.target, Permissions: d.Scope.Permissions}
		within := d.Scope.Within(target) && d.Curfew > 0 && d.Curfew <= time.Hour
		if w.request.Permissions != nil {
			within = within && maps.Equal(d.Scope.Permissions, w.request.Permissions)
		}
		if w.request.Duration > 0 {
			within = within && d.Curfew == w.request.Duration
		}
		for _, f := range w.files[:2] {
			if f.Ceiling != nil {
				within = within && d.Scope.Permissions.Within(f.Ceiling.Permissions) && d.Curfew <= f.Ceiling.Duration
			}
		}
		granted := slices.ContainsFunc(w.files[:], func(f *policy.File) bool {
			return slices.ContainsFunc(f.Grants, func(g policy.Grant) bool {
				return g.Name == w.request.Grant && d.Scope.Permissions.Within(g.Permissions) && d.Curfew <= g.Max
			})
		})
		if !within || !granted {
			t.Fatalf("%+v allows %v for %v", w, d.Scope, d.Curfew)
		}
	})
}

// narrowings take something away from one file.
var narrowings = map[string]func(*rapid.T, *policy.File){
	"remove a grant":  func(t *rapid.T, f *policy.File) { f.Grants = f.Grants[1:] },
	"remove an entry": func(t *rapid.T, f *policy.File) { f.Grants[0].Allow = f.Grants[0].Allow[1:] },
	"cover less": func(t *rapid.T, f *policy.File) {
		if g := &f.Grants[0]; len(g.Repositories) > 0 {
			g.Repositories = g.Repositories[1:]
		}
	},
	"remove a granted permission": func(t *rapid.T, f *policy.File) { delete(f.Grants[0].Permissions, names.Draw(t, "removed")) },
	"lower a granted permission":  func(t *rapid.T, f *policy.File) { lower(f.Grants[0].Permissions) },
	"shorten the grant": func(t *rapid.T, f *policy.File) {
		g := &f.Grants[0]
		g.Max = min(g.Max, minutes.Draw(t, "shorter"))
		g.Default = min(g.Default, g.Max)
	},
	"require a reason": func(t *rapid.T, f *policy.File) { f.Grants[0].Reason.Required = true },
	"require a ref": func(t *rapid.T, f *policy.File) {
		each(f, func(a *policy.Allow) { a.Ref = or(a.Ref, "refs/heads/main") })
	},
	"require an environment": func(t *rapid.T, f *policy.File) {
		each(f, func(a *policy.Allow) { a.Environment = or(a.Environment, "production") })
	},
	"require self": func(t *rapid.T, f *policy.File) {
		each(f, func(a *policy.Allow) { a.Repository = or(a.Repository, policy.Self) })
	},
	"drop an event": func(t *rapid.T, f *policy.File) { each(f, func(a *policy.Allow) { a.Events = a.Events[:1] }) },
	"require a workflow": func(t *rapid.T, f *policy.File) {
		each(f, func(a *policy.Allow) { a.Workflow = ".github/workflows/other.yml" })
	},
	"remove a permission of the ceiling": func(t *rapid.T, f *policy.File) {
		ceiling(f, func(c *policy.Ceiling) { delete(c.Permissions, "contents") })
	},
	"lower the ceiling":        func(t *rapid.T, f *policy.File) { ceiling(f, func(c *policy.Ceiling) { lower(c.Permissions) }) },
	"remove the callers":       func(t *rapid.T, f *policy.File) { ceiling(f, func(c *policy.Ceiling) { c.Callers = nil }) },
	"deny repository policies": func(t *rapid.T, f *policy.File) { ceiling(f, func(c *policy.Ceiling) { c.RepositoryPolicies = false }) },
}

func lower(p scope.Permissions) {
	for name := range p {
		p[name] = scope.Read
	}
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func each(f *policy.File, change func(*policy.Allow)) {
	for i := range f.Grants[0].Allow {
		change(&f.Grants[0].Allow[i])
	}
}

func ceiling(f *policy.File, change func(*policy.Ceiling)) {
	if f.Ceiling != nil {
		change(f.Ceiling)
	}
}

// I14: what a workload can get after something was taken away, it could ask for before.
func TestTakingAwayNeverEnlarges(t *testing.T) {
	kinds := slices.Sorted(maps.Keys(narrowings))
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w
		before.files = [3]*policy.File{clone(w.files[0]), clone(w.files[1]), clone(w.files[2])}
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		narrowings[kind](t, w.files[rapid.IntRange(0, 2).Draw(t, "file")])
		after := w.decide()
		if after.Refusal != nil {
			return
		}
		explicit := policy.Request{Grant: w.request.Grant, Permissions: after.Scope.Permissions, Duration: after.Curfew, Reason: w.request.Reason}
		if d := before.deciding(w.asker, explicit); d.Refusal != nil {
			t.Fatalf("%s: allows %v for %v, which was refused before: %v", kind, after.Scope, after.Curfew, d.Refusal)
		}
	})
}

func clone(f *policy.File) *policy.File {
	c := *f
	if f.Ceiling != nil {
		ceiling := *f.Ceiling
		ceiling.Permissions = maps.Clone(ceiling.Permissions)
		c.Ceiling = &ceiling
	}
	c.Grants = slices.Clone(f.Grants)
	for i := range c.Grants {
		c.Grants[i].Allow = slices.Clone(c.Grants[i].Allow)
		c.Grants[i].Permissions = maps.Clone(c.Grants[i].Permissions)
	}
	return &c
}

// I15: a workload that goes by another name gets nothing that it did not get
// before, and one with another id of owner gets nothing.
func TestRenamingNeverWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		renamed := w.asker
		renamed.Repository = rapid.SampledFrom([]string{"acme/web", "acme/api", "acme/ops", "umbrella/web", ""}).Draw(t, "new name")
		renamed.RepositoryOwner = "anything"
		before, after := w.decide(), w.deciding(renamed, w.request)
		if after.Refusal == nil && (before.Refusal != nil || !after.Scope.Within(before.Scope)) {
			t.Fatalf("%s renamed to %s gets %v; before: %v", w.asker.Repository, renamed.Repository, after.Scope, before.Refusal)
		}
		renamed.RepositoryOwnerID = 1002
		if d := w.deciding(renamed, w.request); d.Refusal == nil {
			t.Fatalf("a stranger gets %v", d.Scope)
		}
	})
}

// I23: the same arguments give the same decision, also from many goroutines.
func TestDecisionsAreDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		want := w.decide()
		got := make([]policy.Decision, 4)
		var running sync.WaitGroup
		for i := range got {
			running.Go(func() { got[i] = w.decide() })
		}
		running.Wait()
		for _, d := range got {
			if diff := cmp.Diff(want, d, refusals); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
