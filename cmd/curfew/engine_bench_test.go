package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/runner"
)

// BenchmarkContainers measures the action's phases as containers, beside an empty
// binary that is started in the same way; the two alternate, so that the difference
// holds when the machine's speed drifts. Medians in milliseconds; the step is main
// and post. Server and GitHub are in this process.
//
//	go test ./cmd/curfew -run '^$' -bench Containers -benchtime 50x
func BenchmarkContainers(b *testing.B) {
	needsImages(b)
	w := newWorld(b)
	empty := emptyAction(b)
	times := map[string][]time.Duration{}
	for b.Loop() {
		for what, action := range map[string]*runner.Action{"empty": &empty, "curfew": nil} {
			job := w.docked(w.places(), w.job(nil), curfewStep, nil)
			if action != nil {
				job.Actions["curfew-dev/curfew"] = *action
			}
			r := w.play(b.Context(), job)
			if r.Conclusion != runner.Success {
				b.Fatal(r.Log)
			}
			main, post := r.Step("curfew", "main").Duration, r.Step("curfew", "post").Duration
			times[what+" main"] = append(times[what+" main"], main)
			times[what+" post"] = append(times[what+" post"], post)
			times[what+" step"] = append(times[what+" step"], main+post)
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, phase := range []string{"main", "post", "step"} {
		floor, ours := median(times["empty "+phase]), median(times["curfew "+phase])
		b.ReportMetric(floor, "empty-"+phase+"-ms")
		b.ReportMetric(ours, phase+"-ms")
		b.ReportMetric(ours-floor, phase+"-beyond-ms")
	}
}

func median(times []time.Duration) (milliseconds float64) {
	slices.Sort(times)
	return times[len(times)/2].Seconds() * 1000
}

// emptyAction is an action whose phases end as they begin.
func emptyAction(b *testing.B) runner.Action {
	b.Helper()
	dir := b.TempDir()
	for name, text := range map[string]string{
		"empty.go":   "package main\n\nfunc main() {}\n",
		"Dockerfile": "FROM scratch\nCOPY empty /empty\nENTRYPOINT [\"/empty\"]\n",
		"action.yml": "name: empty\nruns:\n  using: docker\n  image: Dockerfile\n  entrypoint: /empty\n  post-entrypoint: /empty\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, line := range [][]string{
		{"go", "build", "-ldflags=-s -w", "-o", "empty", "empty.go"},
		{"docker", "build", "--tag", "curfew-empty:test", "."},
	} {
		cmd := exec.CommandContext(b.Context(), line[0], line[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "DOCKER_BUILDKIT=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	b.Cleanup(func() { _, _ = dockerTry("rmi", "curfew-empty:test") })
	return runner.Action{Metadata: filepath.Join(dir, "action.yml"), Image: "curfew-empty:test"}
}
