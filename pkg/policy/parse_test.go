package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/problem"
)

const (
	operator     = policy.Operator
	organization = policy.Organization
	repository   = policy.RepositoryOf
)

const acme = "version: 1\nowner: { login: acme, id: 1001 }\n"

// grant is a file with one grant that reads; lines are added to the grant from line 7 on.
func grant(lines string) string {
	return "version: 1\ngrants:\n  job:\n    description: A test\n    allow: [{ ref: \"**\" }]\n    permissions: { contents: read }\n" + lines
}

// entry is a file with one grant that reads, under the given conditions in line 5.
func entry(conditions string) string {
	return strings.Replace(grant(""), `ref: "**"`, conditions, 1)
}

// numbered are grants of four lines each.
func numbered(count int) []string {
	grants := make([]string, count)
	for i := range grants {
		grants[i] = fmt.Sprintf("  n%d:\n    description: A test\n    allow: [{ ref: \"**\" }]\n    permissions: { contents: read }\n", i)
	}
	return grants
}

// writing makes a file's grant write.
func writing(text string) string {
	return strings.Replace(text, "contents: read", "contents: write", 1)
}

// A mistake is a file that does not load, and what its author is told.
type mistake struct {
	why    string
	origin policy.Origin
	text   string
	want   []string // without the file's path in front
}

func told(lines ...string) []string { return lines }

func refuses(t *testing.T, mistakes []mistake) {
	t.Helper()
	for _, m := range mistakes {
		source := places[m.origin]
		_, err := policy.Parse(m.origin, source, []byte(m.text))
		var all policy.Errors
		if !problem.Is(err, problem.PolicyInvalid) || !errors.As(err, &all) {
			t.Errorf("%s: got %v; want policy_invalid", m.why, err)
			continue
		}
		path := source.Path
		if source.Repository != "" {
			path = source.Repository + "/" + source.Path
		}
		var want []string
		for _, line := range m.want {
			want = append(want, path+":"+line)
		}
		if diff := cmp.Diff(want, strings.Split(all.Error(), "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", m.why, diff)
		}
	}
}

func TestOnlyPlainYAMLLoads(t *testing.T) {
	refuses(t, []mistake{
		{"broken YAML", repository, "grants: [\n", told("2:1: this is not YAML: did not find expected node content while parsing a flow node")},
		{"a tab for indentation", repository, "version: 1\ngrants:\n\tjob: {}\n", told("3:1: this is not YAML: found character that cannot start any token while scanning for the next token")},
		{"a tag", repository, "version: !!int 1\n", told("1:10: a tag (!!int) is not accepted; remove it")},
		{"a tag on a mapping", repository, "version: 1\ngrants: !!map {}\n", told("2:9: a tag (!!map) is not accepted; remove it")},
		{"a tag of its own", repository, "version: 1\ngrants: !mine {}\n", told("2:9: a tag (!mine) is not accepted; remove it")},
		{"a tag that says nothing", repository, "version: ! 1\n", told("1:10: a tag (!) is not accepted; remove it")},
		{"a tag on a key", repository, "!!str version: 1\n", told("1:1: a tag (!!str) is not accepted; remove it")},
		{"an anchor", repository, "version: &v 1\n", told("1:10: an anchor (&v) is not accepted; remove it")},
		{"an alias", repository, "version: &v 1\ngrants: *v\n", told("1:10: an anchor (&v) is not accepted; remove it", "2:9: an alias (*v) is not accepted; write the value out")},
		{"a merge key", repository, "version: 1\n<<: { grants: {} }\n", told("2:1: a merge key (<<) is not accepted; write the keys out")},
		{"a second document", repository, "version: 1\n---\nversion: 1\n", told("2:1: a second document starts here; a policy is one document")},
		{"a second document that is empty", repository, "version: 1\n---\n", told("2:1: a second document starts here; a policy is one document")},
		{"a second document that is broken", repository, "version: 1\n---\nversion: [\n", told("4:1: this is not YAML: did not find expected node content while parsing a flow node")},
		{"a key twice", repository, "version: 1\nversion: 1\n", told("2:1: the key version stands in line 1 already; each key stands once, in one spelling")},
		{"a key in two cases", repository, "version: 1\nVersion: 1\n", told("2:1: the key Version stands in line 1 already; each key stands once, in one spelling")},
		{"a grant twice", repository, "version: 1\ngrants:\n  job: {}\n  job: {}\n", told("4:3: the key job stands in line 3 already; each key stands once, in one spelling")},
		{"a number for a key", repository, "1: x\n", told("1:1: 1 is not a key; keys are plain words")},
		{"a list for a key", repository, "? [a]\n: x\n", told("1:3: a list is not a key; keys are plain words")},
		{"nesting without end", repository, "version: 1\ngrants: " + strings.Repeat("[", 1000), told("2:25: this is not YAML: nested deeper than 16 while increasing flow level")},
		{"bytes that are not UTF-8", repository, "version: 1\n# ä\xff\n", told("2:4: byte 0xff is not UTF-8; save the file as UTF-8")},
		{"a byte order mark", repository, "\ufeffversion: 1\n", told("1:1: the character U+FEFF does not belong in a policy; remove it")},
		{"UTF-16", repository, "v\x00e\x00", told("1:2: the character U+0000 does not belong in a policy; remove it")},
		{"an escape sequence", repository, "version: 1 # \x1b[31m\n", told("1:14: the character U+001B does not belong in a policy; remove it")},
		{"a line break that few editors show", repository, "version: 1 #\u2028grants: {}\n", told("1:13: the character U+2028 does not belong in a policy; remove it")},
		{"a carriage return alone", repository, "version: 1 #\rgrants: {}\n", told("1:13: the character U+000D does not belong in a policy; remove it")},
		{"text that runs backwards", repository, "version: 1 # \u202e\n", told("1:14: the character U+202E does not belong in a policy; remove it")},
		{"one byte too many", repository, "#" + strings.Repeat("x", policy.MaxFileSize), told("1:1: the file has 65537 bytes; a policy has at most 65536")},
		{"a list", repository, "- version: 1\n", told("1:1: got a list; a mapping of keys to values is meant")},
		{"a word", repository, "version\n", told(`1:1: got "version"; a mapping of keys to values is meant`)},
	})
}

func TestKeysHaveTheirPlace(t *testing.T) {
	refuses(t, []mistake{
		{"a typo", repository, "version: 1\ngrant: {}\n", told(`2:1: "grant" is not a key here; did you mean grants?`)},
		{"an invention", repository, "version: 1\nwhatever: {}\n", told(`2:1: "whatever" is not a key here; accepted are grants, version`)},
		{"another case", repository, "Version: 1\n", told(`1:1: "Version" is not a key here; did you mean version?`, "1:1: version is missing")},
		{"no version", repository, "grants: {}\n", told("1:1: version is missing")},
		{"another version", repository, "version: 2\n", told("1:10: version: got 2; this version reads version: 1")},
		{"a version in quotes", repository, "version: \"1\"\n", told(`1:10: version: got "1"; this version reads version: 1`)},
		{"an owner in a repository's file", repository, acme, told("2:1: owner: belongs in the operator's file alone; take it out")},
		{"an owner in the organisation's file", organization, acme, told("2:1: owner: belongs in the operator's file alone; take it out")},
		{"the place of the organisation's policy in its own file", organization, "version: 1\norganization_policy: {}\n", told("2:1: organization_policy: belongs in the operator's file alone; take it out")},
		{"a ceiling in a repository's file", repository, "version: 1\nceiling: {}\n", told("2:1: ceiling: belongs in the operator's or the organisation's file; take it out")},
		{"repositories in a repository's file", repository, grant("    repositories: [web]\n"), told("7:5: grants.job.repositories: a repository's own grants are always for that repository; take it out")},
		{"no repositories in the organisation's file", organization, grant(""), told("4:5: grants.job: repositories is missing")},
		{"a freeze", organization, "version: 1\nfreeze: []\n", told("2:1: freeze: is not supported by this version; take it out")},
		{"organisation permissions", operator, acme + strings.TrimPrefix(grant("    repositories: [web]\n    organization: true\n"), "version: 1\n"), told("9:5: grants.job.organization: is not supported by this version; take it out")},
		{"a condition in CEL", repository, entry(`when: "true"`), told("5:15: grants.job.allow[0].when: is not supported by this version; take it out")},
		{"a grant of nothing", repository, "version: 1\ngrants:\n  job: {}\n",
			told("3:8: grants.job: description is missing", "3:8: grants.job: allow is missing", "3:8: grants.job: permissions is missing")},
		{"an empty grant", repository, "version: 1\ngrants:\n  job:\n", told("3:7: grants.job: got nothing; a mapping of keys to values is meant")},
		{"a list of grants", repository, "version: 1\ngrants: [job]\n", told("2:9: grants: got a list; a mapping of keys to values is meant")},
		{"a grant's name in capitals", repository, "version: 1\ngrants:\n  Job: {}\n", told(`3:3: grants: got "Job"; a grant's name starts with a letter and has at most 63 of a-z, 0-9 and -`)},
		{"a grant's name of 64 letters", repository, "version: 1\ngrants:\n  " + strings.Repeat("a", 64) + ": {}\n",
			told(`3:3: grants: got "` + strings.Repeat("a", 64) + `"; a grant's name starts with a letter and has at most 63 of a-z, 0-9 and -`)},
	})
}

func TestOperatorsAndCeilings(t *testing.T) {
	const whole = "a whole number in digits is meant, without quotes"
	refuses(t, []mistake{
		{"an empty file of the operator's", operator, "# nothing\n", told("1:1: the file is empty; the operator's names at least version and owner")},
		{"no owner", operator, "version: 1\n", told("1:1: owner is missing")},
		{"an owner without id", operator, "version: 1\nowner: { login: acme }\n", told("2:8: owner: id is missing")},
		{"an id in quotes", operator, "version: 1\nowner: { login: acme, id: \"1001\" }\n", told(`2:27: owner.id: got "1001"; ` + whole)},
		{"an id in hexadecimal", operator, "version: 1\nowner: { login: acme, id: 0x3e9 }\n", told("2:27: owner.id: got 0x3e9; " + whole)},
		{"an id with a leading zero", operator, "version: 1\nowner: { login: acme, id: 01001 }\n", told("2:27: owner.id: got 01001; " + whole)},
		{"an id of nought", operator, "version: 1\nowner: { login: acme, id: 0 }\n", told("2:27: owner.id: got 0; accepted are 1 to 9223372036854775807")},
		{"an id beyond 63 bits", operator, "version: 1\nowner: { login: acme, id: 9223372036854775808 }\n", told("2:27: owner.id: got 9223372036854775808; " + whole)},
		{"a URL for a login", operator, "version: 1\nowner: { login: https://github.com/acme, id: 1 }\n", told(`2:17: owner.login: got "https://github.com/acme"; the name of a user or organisation is meant, such as acme`)},
		{"an issuer over plain http", operator, "version: 1\nowner: { login: acme, id: 1, issuer: http://ghes.example }\n", told(`2:38: owner.issuer: got "http://ghes.example"; an https URL without a slash at its end is meant, as the iss claim has it`)},
		{"an issuer that ends in a slash", operator, "version: 1\nowner: { login: acme, id: 1, issuer: https://ghes.example/ }\n", told(`2:38: owner.issuer: got "https://ghes.example/"; an https URL without a slash at its end is meant, as the iss claim has it`)},
		{"a policy repository with all that can be wrong", operator, acme + "organization_policy: { repository: acme/.github, path: ../x.yaml, required: yes }\n", told(
			"3:22: organization_policy: repository_id is missing",
			`3:36: organization_policy.repository: got "acme/.github"; the name of a repository is meant, without its owner`,
			`3:56: organization_policy.path: got "../x.yaml"; a path from the repository's root is meant, such as curfew.yaml`,
			`3:77: organization_policy.required: got "yes"; write true or false`)},
		{"a ceiling of wrong kinds", operator, acme + "ceiling:\n  permissions: [contents]\n  duration: 600\n  repository_policies: true\n  callers: umbrella\n", told(
			"4:16: ceiling.permissions: got a list; a mapping of keys to values is meant",
			"5:13: ceiling.duration: got 600; a duration has a unit, such as 90s, 15m or 1h",
			"6:24: ceiling.repository_policies: got true; accepted are allow, deny",
			`7:12: ceiling.callers: got "umbrella"; a list is meant: put it in [ ]`)},
		{"a ceiling of wrong values", operator, acme + "ceiling:\n  permissions: { contents: admin, contnts: read, profile: write, members: read, pull-requests: read, pull_requests: read, issues: }\n  duration: 2h\n  callers: [{ login: umbrella }]\n", told(
			"4:18: ceiling.permissions.contents: contents has no level 'admin'; contents accepts: read, write",
			"4:35: ceiling.permissions.contnts: there is no GitHub App permission 'contnts'; did you mean contents?",
			"4:50: ceiling.permissions.profile: profile can't be part of an installation token; use permissions of repositories or organisations",
			"4:66: ceiling.permissions.members: is a permission of organisations, which is not supported by this version; take it out",
			"4:102: ceiling.permissions.pull_requests: pull_requests stands twice; name each permission once",
			"4:131: ceiling.permissions.issues: got nothing; a level is meant: read, write or admin",
			`5:13: ceiling.duration: got "2h"; accepted are 5s to 1h`,
			"6:13: ceiling.callers[0]: id is missing")},
		{"an empty ceiling", operator, acme + "ceiling:\n", told("3:9: ceiling: got nothing; a mapping of keys to values is meant")},
	})
}

func TestGrantsThatDoNotLoad(t *testing.T) {
	const glob = `a name without its owner is meant, in which * may stand for any text, such as "svc-*"`
	refuses(t, []mistake{
		{"repositories of every wrong kind", organization, grant("    repositories: [acme/web, \"**\", \"\", 7, yes]\n"), told(
			`7:20: grants.job.repositories[0]: got "acme/web"; `+glob,
			`7:30: grants.job.repositories[1]: got "**"; `+glob,
			"7:36: grants.job.repositories[2]: is blank; give it a value",
			`7:40: grants.job.repositories[3]: got 7, which is not a string to every reader of YAML; quote it: "7"`,
			`7:43: grants.job.repositories[4]: got yes, which is not a string to every reader of YAML; quote it: "yes"`)},
		{"an empty list of repositories", organization, grant("    repositories: []\n"), told("7:19: grants.job.repositories: the list is empty; name at least one")},
		{"a list of too many", organization, grant("    repositories: [" + strings.Repeat("a, ", 101) + "]\n"), told("7:19: grants.job.repositories: the list has 101 items; at most 100 are accepted")},
		{"a description of a page", repository, strings.Replace(grant(""), "A test", strings.Repeat("x", 1025), 1), told("4:18: grants.job.description: has 1025 bytes; at most 1024 are accepted")},
		{"one entry too many", repository, strings.Replace(grant(""), `{ ref: "**" }`, strings.Repeat(`{ ref: "**" }, `, 65), 1), told("5:12: grants.job.allow: the list has 65 items; at most 64 are accepted")},
		{"one grant too many", repository, grant(strings.Join(numbered(500), "")), told("2003:3: grants.n499: is one too many; a file has at most 500 grants")},
		{"a job without leases", repository, grant("    leases_per_job: 0\n"), told("7:21: grants.job.leases_per_job: got 0; accepted are 1 to 100")},
		{"a job of too many leases", repository, grant("    leases_per_job: 101\n"), told("7:21: grants.job.leases_per_job: got 101; accepted are 1 to 100")},
		{"a duration that is no mapping", repository, grant("    duration: 15m\n"), told(`7:15: grants.job.duration: got "15m"; a mapping of keys to values is meant`)},
		{"durations without unit and over an hour", repository, grant("    duration: { default: 15, max: 61m }\n"), told(
			"7:26: grants.job.duration.default: got 15; a duration has a unit, such as 90s, 15m or 1h",
			`7:35: grants.job.duration.max: got "61m"; accepted are 5s to 1h`)},
		{"durations in part of a second and under five", repository, grant("    duration: { default: 5500ms, max: 4s }\n"), told(
			`7:26: grants.job.duration.default: got "5500ms"; write a duration in whole seconds, such as 90s, 15m or 1h`,
			`7:39: grants.job.duration.max: got "4s"; accepted are 5s to 1h`)},
		{"a default above the max", repository, grant("    duration: { default: 20m, max: 10m }\n"), told("7:15: grants.job.duration: the default of 20m is above the max of 10m; lower one or raise the other")},
		{"a reason of wrong kinds", repository, grant("    reason: { required: \"true\", pattern: \"(\", min: 2000 }\n"), told(
			`7:25: grants.job.reason.required: got "true"; write true or false`,
			"7:42: grants.job.reason.pattern: error parsing regexp: missing closing ): `(`; write a regular expression as https://go.dev/s/re2syntax has it",
			"7:52: grants.job.reason.min: got 2000; accepted are 1 to 1024")},
		{"a pattern that would break out of a group", repository, grant("    reason: { pattern: \"a)|(b\" }\n"), told(
			"7:24: grants.job.reason.pattern: error parsing regexp: unexpected ): `a)|(b`; write a regular expression as https://go.dev/s/re2syntax has it")},
		{"a pattern that is too long", repository, grant("    reason: { pattern: \"" + strings.Repeat("x", 257) + "\" }\n"), told("7:24: grants.job.reason.pattern: has 257 bytes; at most 256 are accepted")},
		{"a number for a description", repository, strings.Replace(grant(""), "A test", "2024", 1), told(`4:18: grants.job.description: got 2024, which is not a string to every reader of YAML; quote it: "2024"`)},
		{"a blank description", repository, strings.Replace(grant(""), "A test", "\" \"", 1), told("4:18: grants.job.description: is blank; give it a value")},
		{"no permission at all", repository, strings.Replace(grant(""), "{ contents: read }", "{}", 1), told("6:18: grants.job.permissions: names no permission; a grant gives at least one")},
		{"all permissions in a word", repository, strings.Replace(grant(""), "{ contents: read }", "write-all", 1), told(`6:18: grants.job.permissions: got "write-all"; a mapping of keys to values is meant`)},
		{"a level that is no word", repository, strings.Replace(grant(""), "read", "true", 1), told("6:30: grants.job.permissions.contents: got true; a level is meant: read, write or admin")},
	})
}

func TestConditionsThatDoNotLoad(t *testing.T) {
	const quote = ", which is not a string to every reader of YAML; quote it: "
	const anyBranch = `5:13: grants.job.allow[0]: would let any branch write; add ref, such as refs/heads/main ("**" says any on purpose), or reusable_workflow`
	const full = "5:20: grants.job.allow[0].ref: "
	const path = "a path in the caller's repository is meant, such as .github/workflows/release.yml"
	refuses(t, []mistake{
		{"a write from any branch", repository, writing(entry("repository: self, event: [push]")), told(anyBranch)},
		{"a write from any branch of a workflow", repository, writing(entry("workflow: .github/workflows/release.yml, environment: production")), told(anyBranch)},
		{"a write whose ref is wrong", repository, writing(entry("ref: main")), told(full + `got "main"; a full ref is meant: refs/heads/main for the branch, refs/tags/main for the tag`)},
		{"no condition", repository, entry(""), told("5:13: grants.job.allow[0]: has no condition; name at least one")},
		{"no entry", repository, strings.Replace(entry(""), "[{  }]", "[]", 1), told("5:12: grants.job.allow: the list is empty; name at least one")},
		{"an entry outside a list", repository, strings.Replace(entry("ref: \"**\""), "[{ ref: \"**\" }]", "{ ref: \"**\" }", 1), told("5:12: grants.job.allow: got a mapping; a list is meant: put it in [ ]")},
		{"a condition that does not exist", repository, entry("actors: [1]"), told(`5:15: grants.job.allow[0]: "actors" is not a key here; accepted are actor_id, environment, event, ref, repository, repository_id, reusable_workflow, runner, workflow`)},
		{"a number for a ref", repository, entry("ref: 123"), told(full + "got 123" + quote + `"123"`)},
		{"a word that is true to some", repository, entry("ref: on"), told(full + "got on" + quote + `"on"`)},
		{"a list of refs", repository, entry("ref: [refs/heads/main]"), told(full + "got a list; a string is meant")},
		{"a ref with a wildcard that is none", repository, entry("ref: refs/heads/ma?n"), told(full + `got "refs/heads/ma?n"; a full ref is meant, in which only * and ** are special`)},
		{"a ref that is too long", repository, entry("ref: refs/heads/" + strings.Repeat("x", 300)), told(full + "has 311 bytes; at most 256 are accepted")},
		{"an empty ref", repository, entry("ref:"), told("5:20: grants.job.allow[0].ref: is empty; give it a value, or take the key out")},
		{"a repository without owner", repository, entry("repository: ops, repository_id: 3001"), told(`5:27: grants.job.allow[0].repository: got "ops"; self or owner/name is meant`)},
		{"a repository without id", repository, entry("repository: acme/ops"), told("5:13: grants.job.allow[0]: repository acme/ops needs its repository_id beside it; `gh api repos/acme/ops --jq .id` tells it")},
		{"an id without repository", repository, entry("repository_id: 3001"), told("5:13: grants.job.allow[0]: repository_id needs the repository's name beside it, as owner/name")},
		{"self with an id", repository, entry("repository: self, repository_id: 3001"), told("5:13: grants.job.allow[0]: self needs no repository_id; take it out")},
		{"a workflow's name", repository, entry("workflow: release.yml"), told(`5:25: grants.job.allow[0].workflow: got "release.yml"; ` + path)},
		{"a glob of workflows", repository, entry("workflow: .github/workflows/*.yml"), told(`5:25: grants.job.allow[0].workflow: got ".github/workflows/*.yml"; ` + path)},
		{"a workflow with its ref", repository, entry("workflow: .github/workflows/a.yml@main.yml"), told(`5:25: grants.job.allow[0].workflow: got ".github/workflows/a.yml@main.yml"; ` + path)},
		{"a reusable workflow by a short ref", repository, entry("reusable_workflow: acme/ci/.github/workflows/x.yml@v1"), told(`5:34: grants.job.allow[0].reusable_workflow: got "acme/ci/.github/workflows/x.yml@v1"; all of the job_workflow_ref claim is meant, such as acme/ci/.github/workflows/deploy.yml@refs/heads/main, or a full commit SHA behind the @`)},
		{"a label for a runner", repository, entry("runner: ubuntu-latest"), told(`5:23: grants.job.allow[0].runner: got "ubuntu-latest"; accepted are github-hosted, self-hosted`)},
		{"an event outside a list", repository, entry("event: push"), told(`5:22: grants.job.allow[0].event: got "push"; a list is meant: put it in [ ]`)},
		{"no event", repository, entry("event: []"), told("5:22: grants.job.allow[0].event: the list is empty; name at least one")},
		{"an event with a hyphen", repository, entry("event: [pull-request]"), told(`5:23: grants.job.allow[0].event[0]: got "pull-request"; the name of an event is meant, such as push or pull_request`)},
		{"an actor's name", repository, entry("actor_id: [mona]"), told(`5:26: grants.job.allow[0].actor_id[0]: got "mona"; a whole number in digits is meant, without quotes`)},
	})
}
