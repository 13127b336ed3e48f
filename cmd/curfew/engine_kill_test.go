package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/runner"
	"github.com/curfew-dev/curfew/pkg/store"
)

const (
	killRunsVariable = "CURFEW_KILL_RUNS"
	killedVariable   = "CURFEW_TEST_KILLED_JOB"
	killedCurfew     = 10 * time.Second
)

// A machine dies with everything on it, at any moment of a job: no post step runs.
// GitHub's own record then says what became of every token.
//
//	CURFEW_KILL_RUNS=200 go test ./cmd/curfew -run KilledRunners -v
func TestKilledRunnersLeaveNoToken(t *testing.T) {
	t.Parallel()
	needsImages(t)
	runs, seed := 20, time.Now().UnixNano()
	if n, err := strconv.Atoi(os.Getenv(killRunsVariable)); err == nil && n > 0 {
		runs = n
	}
	dice := rand.New(rand.NewPCG(uint64(seed), 0))
	w := newWorld(t)
	w.github.SetRateLimit(1 << 30)
	fates := map[string]int{}
	var last time.Time
	var mu sync.Mutex
	for begun := 0; begun < runs; begun += 20 { // 20 at a time
		var all sync.WaitGroup
		for range min(20, runs-begun) {
			job := w.docked(w.places(), w.job(nil), curfewStep+"- run: sleep 4\n", map[string]string{"duration": killedCurfew.String()})
			// Twenty containers at once take a few seconds to start.
			mercy := time.Duration(dice.Int64N(int64(7 * time.Second)))
			all.Go(func() {
				fate := w.kill(job, mercy)
				mu.Lock()
				fates[fate]++
				mu.Unlock()
			})
		}
		all.Wait()
		last = time.Now()
	}
	made, living := w.alive()
	left := living
	deadline := time.NewTimer(killedCurfew + time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for late := false; living > 0 && !late; _, living = w.alive() {
		select {
		case <-tick.C:
		case <-deadline.C:
			late = true
		}
	}
	worst := w.longestLife()
	t.Logf("seed %d: %d runs, killed %v; %d tokens made, %d alive when the last machine was dead, %d alive %v later; the longest life was %v with a curfew of %v",
		seed, runs, fates, made, left, living, time.Since(last).Round(time.Second), worst.Round(time.Millisecond), killedCurfew)
	if living > 0 || worst > killedCurfew+5*time.Second {
		t.Errorf("%d tokens are alive, the oldest lived %v", living, worst)
	}
	if made == 0 || fates["not at all"] == runs {
		t.Errorf("nothing was put to the test: %v", fates)
	}
	w.eventually("every lease has its end", func() bool { return w.unfinished() == 0 })
}

// A killedJob is what another process needs to know of a job.
type killedJob struct {
	Workflow                        string
	Actions                         map[string]runner.Action
	Context                         map[string]string
	IDTokenURL, IDTokenRequestToken string
	With                            map[string]map[string]string
	Docker                          runner.Docker
	Dir                             string
}

// kill runs a job on a machine of its own, which dies after a while, and tells in which part of the job that was.
func (w *world) kill(job *runner.Job, after time.Duration) (fate string) {
	spec := filepath.Join(filepath.Dir(job.Workflow), "job.json")
	text, err := json.Marshal(killedJob{job.Workflow, job.Actions, job.Context, job.IDTokenURL, job.IDTokenRequestToken, job.With, job.Docker, job.Dir})
	if err == nil {
		err = os.WriteFile(spec, text, 0o600)
	}
	if err != nil {
		w.t.Error(err)
		return "never begun"
	}
	machine := exec.CommandContext(w.t.Context(), os.Args[0], "-test.run", "^TestKilledJobProcess$")
	machine.Env = append(os.Environ(), killedVariable+"="+spec)
	machine.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // by which its clients of the engine are found
	if err := machine.Start(); err != nil {
		w.t.Error(err)
		return "never begun"
	}
	ended := make(chan error, 1)
	go func() { ended <- machine.Wait() }()
	power := time.NewTimer(after)
	defer power.Stop()
	select {
	case err := <-ended:
		if err != nil {
			w.t.Errorf("a job that nobody killed: %v", err)
		}
		return "not at all"
	case <-power.C:
	}
	_ = machine.Process.Kill() // it may have ended just now
	<-ended                    //nolint:errcheck // it was killed
	endSession(machine.Process.Pid)
	removeLabelled(job.Docker.Label)
	begun, _ := os.ReadFile(spec + ".steps")
	switch len(begun) {
	case 0:
		return "in main"
	case 1:
		return "in the job"
	case 2:
		return "in post"
	}
	return "after it"
}

// TestKilledJobProcess is a machine of the test above when that starts it, and nothing otherwise.
func TestKilledJobProcess(t *testing.T) {
	spec := os.Getenv(killedVariable)
	if spec == "" {
		return
	}
	text, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	var told killedJob
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatal(err)
	}
	job := runner.Job{
		Workflow: told.Workflow, Actions: told.Actions, Context: told.Context, IDTokenURL: told.IDTokenURL,
		IDTokenRequestToken: told.IDTokenRequestToken, With: told.With, Docker: told.Docker, Dir: told.Dir,
	}
	steps, err := os.Create(spec + ".steps")
	if err != nil {
		t.Fatal(err)
	}
	job.OnStep = func(runner.Step) { _, _ = fmt.Fprint(steps, ".") }
	result, err := job.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if result.Conclusion != runner.Success {
		t.Fatal(result.Log)
	}
}

// longestLife is how long any lease's token has worked, by GitHub's clock.
func (w *world) longestLife() (longest time.Duration) {
	forLeases, _ := leaseTokens(w.github.Mints())
	for _, m := range forLeases {
		died := m.RevokedAt
		if died.IsZero() {
			died = w.now()
		}
		longest = max(longest, died.Sub(m.Time))
	}
	return longest
}

// unfinished counts the leases that have not come to an end.
func (w *world) unfinished() int {
	found, _, err := w.server.ledger.List(w.t.Context(), store.Filter{Live: true, Limit: 1000})
	w.must(err)
	return len(found)
}

// endSession kills what a dead machine left running.
func endSession(leader int) {
	processes, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range processes {
		stat, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 3 && fields[3] == strconv.Itoa(leader) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended just now
		}
	}
}
