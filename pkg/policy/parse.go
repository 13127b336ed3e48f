package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/curfew-dev/curfew/pkg/scope"
)

// Parse reads one policy file. It fills in the source's origin and digest. An
// empty file is valid and grants nothing, but the operator's must name its
// owner. The error is a [problem.Problem] with the code PolicyInvalid; its
// cause is [Errors], every mistake that was found.
func Parse(origin Origin, source Source, content []byte) (*File, error) {
	digest := sha256.Sum256(content)
	source.Origin, source.Digest = origin, "sha256:"+hex.EncodeToString(digest[:])
	r := &reader{path: source.place(), spots: map[string]spot{}}
	p := &parser{reader: r, origin: origin, file: &File{Source: source, spots: r.spots}}
	if root := r.document(content); root != nil {
		p.root(root)
	} else if origin == Operator && len(r.errs) == 0 {
		r.add(start, "", "the file is empty; the operator's names at least version and owner")
	}
	if len(r.errs) > 0 {
		slices.SortStableFunc(r.errs, Error.compare)
		return nil, r.errs.refusal(source)
	}
	return p.file, nil
}

// A parser knows which keys belong in a file of its origin.
type parser struct {
	*reader
	origin Origin
	file   *File
}

const (
	notYet           = "is not supported by this version"
	operatorsOnly    = "belongs in the operator's file alone"
	notInRepository  = "belongs in the operator's or the organisation's file"
	alwaysRepository = "a repository's own grants are always for that repository"
)

func (p *parser) root(n *yaml.Node) {
	known := keys{
		read:     fields{"version": p.version, "ceiling": p.ceiling, "grants": p.grants},
		required: []string{"version"},
		refused:  map[string]string{"freeze": notYet},
	}
	if p.origin == Operator {
		known.read["owner"], known.read["organization_policy"] = p.owner, p.organizationPolicy
		known.required = append(known.required, "owner")
	} else {
		known.refused["owner"], known.refused["organization_policy"] = operatorsOnly, operatorsOnly
	}
	if p.origin == RepositoryOf {
		delete(known.read, "ceiling")
		known.refused["ceiling"] = notInRepository
	}
	p.mapping(n, "", known)
}

func (p *parser) version(n *yaml.Node, at string) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || n.Value != "1" {
		p.fail(n, at, "got %s; this version reads version: 1", shown(n))
	}
}

var (
	login = form{
		regexp.MustCompile(`^[A-Za-z0-9](-?[A-Za-z0-9_]){0,99}$`),
		"the name of a user or organisation is meant, such as acme"}
	repositoryName = form{
		regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`),
		"the name of a repository is meant, without its owner"}
	issuerURL = form{
		regexp.MustCompile(`^(https://[^\s/?#]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?)(/[^\s?#]*[^\s/?#])?$`),
		"an https URL without a slash at its end is meant, as the iss claim has it"}
)

func (p *parser) owner(n *yaml.Node, at string) {
	o := &p.file.Owner
	p.mapping(n, at, keys{required: []string{"login", "id"}, read: fields{
		"login":  func(n *yaml.Node, at string) { o.Login = p.formed(n, at, login) },
		"id":     func(n *yaml.Node, at string) { o.ID = p.id(n, at) },
		"issuer": func(n *yaml.Node, at string) { o.Issuer = p.formed(n, at, issuerURL) },
	}})
}

func (p *parser) id(n *yaml.Node, at string) int64 { return p.number(n, at, 1, math.MaxInt64) }

func (p *parser) organizationPolicy(n *yaml.Node, at string) {
	l := &Location{Required: true}
	p.file.OrganizationPolicy = l
	p.mapping(n, at, keys{required: []string{"repository", "repository_id", "path"}, read: fields{
		"repository":    func(n *yaml.Node, at string) { l.Repository = p.formed(n, at, repositoryName) },
		"repository_id": func(n *yaml.Node, at string) { l.RepositoryID = p.id(n, at) },
		"path":          func(n *yaml.Node, at string) { l.Path = p.path(n, at) },
		"required":      func(n *yaml.Node, at string) { l.Required = p.boolean(n, at) },
	}})
}

func (p *parser) path(n *yaml.Node, at string) string {
	text := p.text(n, at)
	if text != "" && (path.Clean("/"+text) != "/"+text || strings.ContainsAny(text, `?#\`)) {
		p.fail(n, at, "got %s; a path from the repository's root is meant, such as curfew.yaml", shown(n))
	}
	return text
}

func (p *parser) ceiling(n *yaml.Node, at string) {
	c := &Ceiling{Permissions: scope.Permissions{}, Duration: MaxDuration}
	p.file.Ceiling = c
	p.mapping(n, at, keys{read: fields{
		"permissions": func(n *yaml.Node, at string) { c.Permissions = p.permissions(n, at) },
		"duration":    func(n *yaml.Node, at string) { c.Duration = p.duration(n, at) },
		"callers":     func(n *yaml.Node, at string) { c.Callers = p.callers(n, at) },
		"repository_policies": func(n *yaml.Node, at string) {
			c.RepositoryPolicies = p.choice(n, at, "allow", "deny") == "allow"
		},
	}})
}

func (p *parser) callers(n *yaml.Node, at string) []Caller {
	var callers []Caller
	p.list(n, at, maxItems, func(item *yaml.Node, at string) {
		var c Caller
		p.mapping(item, at, keys{required: []string{"login", "id"}, read: fields{
			"login": func(n *yaml.Node, at string) { c.Login = p.formed(n, at, login) },
			"id":    func(n *yaml.Node, at string) { c.ID = p.id(n, at) },
		}})
		callers = append(callers, c)
	})
	return callers
}

// permissions reads GitHub's names and levels.
func (p *parser) permissions(n *yaml.Node, at string) scope.Permissions {
	read := scope.Permissions{}
	p.entries(n, at, func(key, value *yaml.Node) {
		field := join(at, key.Value)
		name, _, err := scope.ParsePermission(key.Value, value.Value)
		if name != "" {
			field = join(at, name)
		}
		p.spots[field] = spotOf(key)
		switch {
		case value.Kind != yaml.ScalarNode || value.Tag != "!!str":
			p.fail(value, field, "got %s; a level is meant: read, write or admin", shown(value))
		case err != nil:
			p.fail(key, field, "%s", advice(err))
		case scope.KindOf(name) == scope.OfOrganization:
			p.fail(key, field, "is a permission of organisations, which %s; take it out", notYet)
		default:
			if err := read.Add(name, value.Value); err != nil {
				p.fail(key, field, "%s", advice(err))
			}
		}
	})
	return read
}
