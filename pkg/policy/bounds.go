package policy

import (
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// fill gives what the request leaves out the grant's value.
func (o offer) fill(r Request) Request {
	if len(r.Permissions) == 0 {
		r.Permissions = o.grant.Permissions
	}
	if r.Duration == 0 {
		r.Duration = o.grant.Default
	}
	r.Permissions = maps.Clone(r.Permissions)
	return r
}

// bound refuses what goes beyond the grant or a ceiling, or lacks its reason. Nothing is cut to fit.
func (s *Set) bound(o offer, asked Request) *problem.Problem {
	if refusal := sound(asked); refusal != nil {
		return refusal
	}
	if misses := o.beyondGrant(asked); len(misses) > 0 {
		return problem.New(problem.AboveGrant, "the request goes beyond the grant %s", o.grant.Name).
			WithHint("ask for at most %s for %s, or raise the grant in %s", o.grant.Permissions, short(o.grant.Max), o.file.Source.place()).
			WithMismatches(misses...)
	}
	if misses := s.beyondCeilings(asked); len(misses) > 0 {
		return problem.New(problem.AboveCeiling, "the request goes beyond a ceiling").
			WithHint("%s", s.ceilingHint(o, asked)).WithMismatches(misses...)
	}
	return o.reason(asked.Reason)
}

// sound refuses what no token and no curfew can be. No permission at all would
// be every permission to GitHub.
func sound(asked Request) *problem.Problem {
	if asked.Duration < MinDuration {
		return problem.New(problem.BadForm, "a duration is at least %s", short(MinDuration))
	}
	if len(asked.Permissions) == 0 {
		return problem.New(problem.UnknownPermission, "no permission is asked for, and the grant gives none")
	}
	for _, name := range asked.Permissions.Names() {
		if !scope.Valid(name, asked.Permissions[name]) {
			return problem.New(problem.UnknownPermission, "there is no GitHub App permission %.64q at that level", name)
		}
	}
	return nil
}

func (o offer) beyondGrant(asked Request) []problem.Mismatch {
	misses := beyond(o.file, o.field("permissions"), asked.Permissions, o.grant.Permissions)
	if asked.Duration > o.grant.Max {
		misses = append(misses, tooLong(o.file, o.field("duration.max"), o.grant.Max, asked.Duration))
	}
	return misses
}

func (s *Set) beyondCeilings(asked Request) []problem.Mismatch {
	var misses []problem.Mismatch
	for _, f := range s.ceilings {
		misses = append(misses, beyond(f, "ceiling.permissions", asked.Permissions, f.Ceiling.Permissions)...)
		if asked.Duration > f.Ceiling.Duration {
			misses = append(misses, tooLong(f, "ceiling.duration", f.Ceiling.Duration, asked.Duration))
		}
	}
	return misses
}

// ceilingHint tells apart a request that asks for too much and a grant that gives too much unasked.
func (s *Set) ceilingHint(o offer, asked Request) string {
	given := o.fill(Request{})
	if given.Duration == asked.Duration && maps.Equal(given.Permissions, asked.Permissions) {
		return "the grant " + o.grant.Name + " itself goes above the ceiling: ask for less, or lower the grant in " + o.file.Source.place()
	}
	return "ask for less; only who keeps the file with the ceiling can raise it"
}

func beyond(f *File, field string, asked, outer scope.Permissions) []problem.Mismatch {
	var misses []problem.Mismatch
	for _, name := range asked.Beyond(outer) {
		misses = append(misses, problem.Mismatch{Rule: f.rule(join(field, name)), Claim: "permissions",
			Expected: name + ":" + outer[name].String(), Got: name + ":" + asked[name].String()})
	}
	return misses
}

func tooLong(f *File, field string, most, asked time.Duration) problem.Mismatch {
	return problem.Mismatch{Rule: f.rule(field), Claim: "duration", Expected: "at most " + short(most), Got: short(asked)}
}

// reason holds the reason given against what the grant wants. One that is given has to be right even where none is required.
func (o offer) reason(given string) *problem.Problem {
	want := o.grant.Reason
	field, expected := "", ""
	blank := strings.TrimSpace(given) == ""
	switch {
	case len(given) > MaxReason:
		field, expected, given = "reason", fmt.Sprintf("at most %d bytes", MaxReason), fmt.Sprintf("%d bytes", len(given))
	case given == "" && !want.Required:
		return nil
	case blank:
		field, expected = "reason.required", "a reason"
	case !want.matches(given):
		field, expected = "reason.pattern", "all of it as "+want.Pattern.String()
	case utf8.RuneCountInString(strings.TrimSpace(given)) < want.Min:
		field, expected = "reason.min", fmt.Sprintf("at least %d characters", want.Min)
	default:
		return nil
	}
	return problem.New(problem.ReasonRequired, "the grant %s wants a reason that meets its rule", o.grant.Name).
		WithHint("give the input reason: %s", expected).
		WithMismatches(problem.Mismatch{Rule: o.file.rule(o.field(field)), Claim: "reason", Expected: expected, Got: given})
}

// short writes 30m for 30m0s and 1h for 1h0m0s.
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
