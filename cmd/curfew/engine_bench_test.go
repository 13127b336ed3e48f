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

// BenchmarkContainers measures the action's phases as containers, in milliseconds
// beyond an empty binary that is started in the same way: "start" is a phase that
// finds nothing to do, "whole" one that asks the server, which like GitHub is in this
// process. The three alternate, and each figure is the median of the differences
// within a round, so that it holds when the machine's speed drifts.
//
//	go test ./cmd/curfew -run '^$' -bench Containers -benchtime 50x
func BenchmarkContainers(b *testing.B) {
	needsImages(b)
	w := newWorld(b)
	empty := emptyAction(b)
	var floor []time.Duration
	beyond := map[string][]time.Duration{}
	for b.Loop() {
		main, post := w.timed(b, &empty, nil)
		floor = append(floor, main, post)
		for what, with := range map[string]map[string]string{"start": {"server": "nowhere"}, "whole": nil} {
			ourMain, ourPost := w.timed(b, nil, with)
			beyond[what+"-main"] = append(beyond[what+"-main"], ourMain-main)
			beyond[what+"-post"] = append(beyond[what+"-post"], ourPost-post)
			beyond[what+"-both"] = append(beyond[what+"-both"], ourMain+ourPost-main-post)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(floor), "empty-ms")
	for what, times := range beyond {
		b.ReportMetric(median(times), what+"-ms")
	}
}

// timed runs a job with an action, or else with ours, and tells how long its phases took.
func (w *world) timed(b *testing.B, action *runner.Action, with map[string]string) (main, post time.Duration) {
	b.Helper()
	job := w.docked(w.places(), w.job(nil), curfewStep, with)
	if action != nil {
		job.Actions["curfew-dev/curfew"] = *action
	}
	r := w.play(b.Context(), job)
	if wrong := with != nil; (r.Conclusion != runner.Success) != wrong {
		b.Fatal(r.Log)
	}
	return r.Step("curfew", "main").Duration, r.Step("curfew", "post").Duration
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
