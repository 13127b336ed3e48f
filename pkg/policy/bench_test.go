package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/identity"
)

// fifty is the deploy grant behind 49 others in the same file.
func fifty() scene {
	var others strings.Builder
	others.WriteString("version: 1\ngrants:\n")
	for i := range 49 {
		fmt.Fprintf(&others, "  other-%d:\n    description: Another\n    repositories: [\"*\"]\n    allow: [{ ref: \"refs/heads/**\" }]\n    permissions: { contents: read }\n", i)
	}
	s := deploying
	s.organization = strings.Replace(s.organization, "version: 1\ngrants:\n", others.String(), 1)
	return s
}

func BenchmarkDecide(b *testing.B) {
	s := fifty()
	set := s.set(b)
	for name, w := range map[string]identity.Workload{"allowed": s.workload, "denied": job(web, "other.yml")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := set.Decide(w, s.request); (d.Refusal == nil) != (name == "allowed") {
					b.Fatal(d.Refusal)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	s := fifty()
	b.ReportAllocs()
	for b.Loop() {
		s.set(b)
	}
}
