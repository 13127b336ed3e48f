package policy

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// workflowPath is where GitHub looks for workflows, and for nothing else.
const workflowPath = `\.github/workflows/[^/@*\s]+\.ya?ml`

var (
	fullName = form{
		regexp.MustCompile(`^(self|[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]{1,100})$`),
		"self or owner/name is meant"}
	workflow = form{
		regexp.MustCompile(`^` + workflowPath + `$`),
		"a path in the caller's repository is meant, such as .github/workflows/release.yml"}
	reusableWorkflow = form{
		regexp.MustCompile(`^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+/` + workflowPath + `@(refs/(heads|tags)/[^\s*]+|[0-9a-f]{40}|[0-9a-f]{64})$`),
		"all of the job_workflow_ref claim is meant, such as acme/ci/.github/workflows/deploy.yml@refs/heads/main, or a full commit SHA behind the @"}
	event = form{
		regexp.MustCompile(`^[a-z][a-z_]{0,63}$`),
		"the name of an event is meant, such as push or pull_request"}
	ref = form{
		regexp.MustCompile(`^(refs/|\*)[^\s~^:?\[\\]*$`),
		"a full ref is meant, in which only * and ** are special"}
)

func (p *parser) allow(n *yaml.Node, at string) []Allow {
	var allowed []Allow
	p.list(n, at, maxEntries, func(item *yaml.Node, at string) {
		allowed = append(allowed, p.entry(item, at))
	})
	return allowed
}

func (p *parser) entry(n *yaml.Node, at string) Allow {
	a := Allow{Events: defaultEvents}
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.fail(n, at, "has no condition; name at least one")
	}
	p.mapping(n, at, keys{refused: map[string]string{"when": notYet}, read: fields{
		"repository":        func(n *yaml.Node, at string) { a.Repository = p.formed(n, at, fullName) },
		"repository_id":     func(n *yaml.Node, at string) { a.RepositoryID = p.id(n, at) },
		"workflow":          func(n *yaml.Node, at string) { a.Workflow = p.formed(n, at, workflow) },
		"reusable_workflow": func(n *yaml.Node, at string) { a.ReusableWorkflow = p.formed(n, at, reusableWorkflow) },
		"ref":               func(n *yaml.Node, at string) { a.Ref = p.ref(n, at) },
		"environment":       func(n *yaml.Node, at string) { a.Environment = p.text(n, at) },
		"runner":            func(n *yaml.Node, at string) { a.Runner = p.choice(n, at, "github-hosted", "self-hosted") },
		"event":             func(n *yaml.Node, at string) { a.Events = p.events(n, at) },
		"actor_id":          func(n *yaml.Node, at string) { a.ActorIDs = p.actors(n, at) },
	}})
	p.pairID(n, at, a)
	return a
}

// pairID holds name and id together: a name alone may change hands, an id alone can't be read.
func (p *parser) pairID(n *yaml.Node, at string, a Allow) {
	named, numbered := p.written(at+".repository"), p.written(at+".repository_id")
	switch {
	case a.Repository == Self && numbered:
		p.fail(n, at, "self needs no repository_id; take it out")
	case named && !numbered && a.Repository != Self && a.Repository != "":
		p.fail(n, at, "repository %s needs its repository_id beside it; `gh api repos/%s --jq .id` tells it", a.Repository, a.Repository)
	case numbered && !named:
		p.fail(n, at, "repository_id needs the repository's name beside it, as owner/name")
	}
}

func (p *parser) ref(n *yaml.Node, at string) string {
	text := p.text(n, at)
	switch {
	case text == "":
	case len(text) > maxPattern:
		p.fail(n, at, "has %d bytes; at most %d are accepted", len(text), maxPattern)
	case !strings.HasPrefix(text, "refs/") && !strings.HasPrefix(text, "*"):
		p.fail(n, at, "got %s; a full ref is meant: refs/heads/%s for the branch, refs/tags/%s for the tag", shown(n), text, text)
	case !ref.pattern.MatchString(text):
		p.fail(n, at, "got %s; %s", shown(n), ref.meant)
	}
	return text
}

func (p *parser) events(n *yaml.Node, at string) []string {
	var events []string
	p.list(n, at, maxItems, func(item *yaml.Node, at string) {
		events = append(events, p.formed(item, at, event))
	})
	return events
}

func (p *parser) actors(n *yaml.Node, at string) []int64 {
	var ids []int64
	p.list(n, at, maxItems, func(item *yaml.Node, at string) {
		ids = append(ids, p.id(item, at))
	})
	return ids
}
