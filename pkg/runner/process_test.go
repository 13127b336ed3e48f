package runner

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A trigger is a log that acts once when a line appears, so that tests wait for
// what a process says and not for time.
type trigger struct {
	mu   sync.Mutex
	log  bytes.Buffer
	word string
	act  func()
	once sync.Once
}

func (tr *trigger) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.log.Write(p)
	if strings.Contains(tr.log.String(), "\n"+tr.word+"\n") {
		tr.once.Do(tr.act)
	}
	return len(p), nil
}

// waiting is a script that says ready and waits for signals, which it tells.
const waiting = `
exec 3<> <(:)
trap 'echo got INT; ON_INT' INT
trap 'echo got TERM; ON_TERM' TERM
echo ready
while :; do read -t 0.05 -u 3; done
`

func signals(onInt, onTerm string) string {
	return strings.NewReplacer("ON_INT", onInt, "ON_TERM", onTerm).Replace(waiting)
}

func TestCancellation(t *testing.T) {
	short := Grace{Interrupt: 300 * time.Millisecond, Terminate: 300 * time.Millisecond, Total: 10 * time.Second}
	for _, row := range []struct {
		why, main string
		steps     string
		told      []string
		exit      int
		order     string
	}{
		{
			"SIGINT is enough for a polite process", signals("exit 5", ""), "", []string{"ready", "got INT"}, 5,
			"thing:main=cancelled after:run=skipped thing:post=success",
		},
		{
			"a process that leaves with 0 was cancelled all the same", signals("exit 0", ""), "", []string{"ready", "got INT"}, 0,
			"thing:main=cancelled after:run=skipped thing:post=success",
		},
		{
			"SIGTERM follows", signals("", "exit 6"), "", []string{"ready", "got INT", "got TERM"}, 6,
			"thing:main=cancelled after:run=skipped thing:post=success",
		},
		{
			"SIGKILL ends who ignores both", signals("", ""), "", []string{"ready", "got INT", "got TERM"}, 137,
			"thing:main=cancelled after:run=skipped thing:post=success",
		},
	} {
		t.Run(row.why, func(t *testing.T) {
			s := newStage(t, "- { id: thing, uses: acme/thing@v1 }\n- { id: after, run: 'true' }")
			s.action("thing", "a: {}", row.main, `echo "post of a cancelled job"`)
			ctx, cancel := context.WithCancel(t.Context())
			s.Log, s.Grace = &trigger{word: "ready", act: cancel}, short
			r := s.run(ctx)
			if got := order(r); got != row.order || r.Conclusion != Cancelled {
				t.Errorf("order\n got %s, %s\nwant %s", got, r.Conclusion, row.order)
			}
			step := r.Step("thing", "main")
			if diff := cmp.Diff(row.told, lines(step.RawLog)); diff != "" {
				t.Errorf("signals (-want +got):\n%s", diff)
			}
			if step.ExitCode != row.exit {
				t.Errorf("exit code %d, want %d", step.ExitCode, row.exit)
			}
			if diff := cmp.Diff([]Annotation{{"error", "", "The operation was canceled."}}, step.Annotations); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAStepThatAlwaysRunsIsNotInterrupted(t *testing.T) {
	s := newStage(t, "- { id: s, if: always(), run: 'echo ready; read -t 0.2 <> <(:) || true; echo done' }\n- { id: skipped, run: 'true' }")
	ctx, cancel := context.WithCancel(t.Context())
	s.Log = &trigger{word: "ready", act: cancel}
	r := s.run(ctx)
	if got, want := order(r), "s:run=success skipped:run=skipped"; got != want || r.Conclusion != Cancelled {
		t.Errorf("order\n got %s, %s\nwant %s", got, r.Conclusion, want)
	}
}

func TestACancelledJobHasALastMoment(t *testing.T) {
	s := newStage(t, "- { id: thing, uses: acme/thing@v1 }\n- { id: s, run: 'echo ready; read <> <(:)' }")
	s.action("thing", "a: {}", "true", signals("", ""))
	ctx, cancel := context.WithCancel(t.Context())
	s.Log = &trigger{word: "ready", act: cancel}
	s.Grace = Grace{Interrupt: 50 * time.Millisecond, Terminate: 50 * time.Millisecond, Total: 600 * time.Millisecond}
	r := s.run(ctx)
	if got, want := order(r), "thing:main=success s:run=cancelled thing:post=cancelled"; got != want {
		t.Errorf("order\n got %s\nwant %s", got, want)
	}
}

func TestAJobCancelledBeforeItBeganRunsNothing(t *testing.T) {
	s := newStage(t, "- { id: a, uses: acme/a@v1 }")
	s.action("a", "x: {}", "true", "true")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := s.run(ctx)
	if got, want := order(r), "a:main=skipped"; got != want || r.Conclusion != Cancelled {
		t.Errorf("got %s, %s", got, r.Conclusion)
	}
}

func TestAPhaseThatTakesTooLongFails(t *testing.T) {
	s := newStage(t, "- { id: thing, uses: acme/thing@v1 }")
	s.action("thing", "a: {}", signals("exit 0", ""), `echo post`)
	s.PhaseTimeout = time.Second
	r := s.run(t.Context())
	if got, want := order(r), "thing:main=failure thing:post=success"; got != want || r.Conclusion != Failure {
		t.Errorf("order\n got %s, %s\nwant %s", got, r.Conclusion, want)
	}
	want := []Annotation{{"error", "", "The action 'Run acme/thing@v1' has timed out after 1s."}}
	if diff := cmp.Diff(want, r.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestTimeoutsOfTheFile(t *testing.T) {
	s := newStage(t, "- run: x")
	s.workflow("jobs:\n  a:\n    timeout-minutes: 3\n    steps:\n      - { run: x, timeout-minutes: 7 }\n      - run: x\n")
	plan, err := s.plan()
	if err != nil {
		t.Fatal(err)
	}
	x := &execution{job: &s.Job, plan: plan}
	for i, want := range []time.Duration{7 * time.Minute, 2 * time.Minute} {
		if got := x.limit(phase{plannedStep: plan.steps[i]}); got != want {
			t.Errorf("step %d may take %v, want %v", i, got, want)
		}
	}
	ctx, cancel := x.bounded(t.Context())
	defer cancel()
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 3*time.Minute {
		t.Errorf("the job has the deadline %v", deadline)
	}
}

func TestTheRunnersOwnTimes(t *testing.T) {
	want := Grace{Interrupt: 7500 * time.Millisecond, Terminate: 2500 * time.Millisecond, Total: 5 * time.Minute, drain: 5 * time.Second}
	if got := (Grace{}).orDefault(); got != want {
		t.Errorf("got %+v", got)
	}
	want.Interrupt = time.Second
	if got := (Grace{Interrupt: time.Second}).orDefault(); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestWhatAPhaseLeavesRunningDiesWithIt(t *testing.T) {
	s := newStage(t, "- { id: s, run: 'sleep 60 & echo $!' }")
	r := s.run(t.Context())
	pid, err := strconv.Atoi(strings.TrimSpace(r.Step("s", "run").RawLog))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for isAlive(pid) {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("process %d is alive", pid)
		}
	}
}

// isAlive says whether a process runs; a zombie that nobody has reaped yet doesn't.
func isAlive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestADescendantThatHoldsTheOutputStopsNobody(t *testing.T) {
	s := newStage(t, "- { id: s, run: 'setsid sleep 8 & echo said' }")
	s.Grace.drain = 100 * time.Millisecond
	begun := time.Now()
	r := s.run(t.Context())
	if got := r.Step("s", "run"); got.RawLog != "said\n" || got.Outcome != Success {
		t.Errorf("%q, %s", got.RawLog, got.Outcome)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func shellOf(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
