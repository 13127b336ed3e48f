package policy

import (
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v4"

	"github.com/curfew-dev/curfew/pkg/scope"
)

// What one file may hold, so that the work of a decision is bounded.
const (
	maxGrants      = 500
	maxEntries     = 64  // allow entries of a grant
	maxItems       = 100 // items of any other list
	maxDescription = 1 << 10
	maxPattern     = 256
)

var (
	grantName = form{
		regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`),
		"a grant's name starts with a letter and has at most 63 of a-z, 0-9 and -"}
	repositoryGlob = form{
		regexp.MustCompile(`^(\*?[A-Za-z0-9._-]){0,100}\*?$`),
		`a name without its owner is meant, in which * may stand for any text, such as "svc-*"`}
)

func (p *parser) grants(n *yaml.Node, at string) {
	p.entries(n, at, func(key, value *yaml.Node) {
		field := join(at, key.Value)
		p.spots[field] = spotOf(key)
		if !grantName.pattern.MatchString(key.Value) {
			p.fail(key, at, "got %s; %s", shown(key), grantName.meant)
			return
		}
		if len(p.file.Grants) == maxGrants {
			p.fail(key, field, "is one too many; a file has at most %d grants", maxGrants)
			return
		}
		g := Grant{Name: key.Value, Line: key.Line, LeasesPerJob: defaultLeasesPerJob,
			Default: defaultDuration, Max: MaxDuration}
		p.grant(value, field, &g)
		p.file.Grants = append(p.file.Grants, g)
	})
}

func (p *parser) grant(n *yaml.Node, at string, g *Grant) {
	known := keys{
		read: fields{
			"description":    func(n *yaml.Node, at string) { g.Description = p.description(n, at) },
			"allow":          func(n *yaml.Node, at string) { g.Allow = p.allow(n, at) },
			"permissions":    func(n *yaml.Node, at string) { g.Permissions = p.granted(n, at) },
			"duration":       func(n *yaml.Node, at string) { p.durations(n, at, g) },
			"reason":         func(n *yaml.Node, at string) { g.Reason = p.reason(n, at) },
			"leases_per_job": func(n *yaml.Node, at string) { g.LeasesPerJob = int(p.number(n, at, 1, maxLeasesPerJob)) },
		},
		required: []string{"description", "allow", "permissions"},
		refused:  map[string]string{"organization": notYet},
	}
	if p.origin == RepositoryOf {
		known.refused["repositories"] = alwaysRepository
	} else {
		known.read["repositories"] = func(n *yaml.Node, at string) { g.Repositories = p.repositories(n, at) }
		known.required = append(known.required, "repositories")
	}
	p.mapping(n, at, known)
	p.guardWrites(at, g)
}

// guardWrites refuses a grant that would let any branch write by mistake.
func (p *parser) guardWrites(at string, g *Grant) {
	if !g.Permissions.Writes() {
		return
	}
	for i := range g.Allow {
		entry := fmt.Sprintf("%s.allow[%d]", at, i)
		if !p.written(entry+".ref") && !p.written(entry+".reusable_workflow") {
			p.add(p.spots[entry], entry, `would let any branch write; add ref, such as refs/heads/main `+
				`("**" says any on purpose), or reusable_workflow`)
		}
	}
}

func (p *parser) description(n *yaml.Node, at string) string {
	text := p.text(n, at)
	if len(text) > maxDescription {
		p.fail(n, at, "has %d bytes; at most %d are accepted", len(text), maxDescription)
	}
	return text
}

func (p *parser) repositories(n *yaml.Node, at string) []string {
	var globs []string
	p.list(n, at, maxItems, func(item *yaml.Node, at string) {
		globs = append(globs, p.formed(item, at, repositoryGlob))
	})
	return globs
}

func (p *parser) granted(n *yaml.Node, at string) scope.Permissions {
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.fail(n, at, "names no permission; a grant gives at least one")
	}
	return p.permissions(n, at)
}

func (p *parser) durations(n *yaml.Node, at string, g *Grant) {
	p.mapping(n, at, keys{read: fields{
		"default": func(n *yaml.Node, at string) { g.Default = p.duration(n, at) },
		"max":     func(n *yaml.Node, at string) { g.Max = p.duration(n, at) },
	}})
	switch {
	case !p.written(at + ".default"):
		g.Default = min(g.Default, g.Max)
	case g.Default > g.Max && g.Max > 0:
		p.fail(n, at, "the default of %s is above the max of %s; lower one or raise the other", short(g.Default), short(g.Max))
	}
}

func (p *parser) reason(n *yaml.Node, at string) Reason {
	var reason Reason
	p.mapping(n, at, keys{read: fields{
		"required": func(n *yaml.Node, at string) { reason.Required = p.boolean(n, at) },
		"pattern":  func(n *yaml.Node, at string) { reason.Pattern = p.pattern(n, at) },
		"min":      func(n *yaml.Node, at string) { reason.Min = int(p.number(n, at, 1, MaxReason)) },
	}})
	return reason
}

func (p *parser) pattern(n *yaml.Node, at string) *regexp.Regexp {
	text := p.text(n, at)
	if len(text) > maxPattern {
		p.fail(n, at, "has %d bytes; at most %d are accepted", len(text), maxPattern)
		return nil
	}
	pattern, err := regexp.Compile(text)
	if err != nil {
		p.fail(n, at, "%v; write a regular expression as https://go.dev/s/re2syntax has it", err)
		return nil
	}
	pattern.Longest()
	return pattern
}
