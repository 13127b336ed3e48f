package runner

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const maxLine = 1 << 20

// A program is how a phase is started: a process, or the client of the container
// that it runs in.
type program struct {
	path      string
	args      []string
	env       []string
	directory string
}

// run runs the program in a process group of its own and passes on each line
// of its output. When ctx ends, the program is ended step by step, see
// [Grace]. What it leaves running in its group is killed, as a container's
// processes are. An error means that it didn't start.
func (p program) run(ctx context.Context, grace Grace, line func(string)) (exitCode int, err error) {
	cmd := &exec.Cmd{
		Path: p.path, Args: append([]string{p.path}, p.args...), Env: p.env, Dir: p.directory,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	streams, err := pipes(cmd)
	if err != nil {
		return -1, err
	}
	err = cmd.Start()
	streams.started()
	if err != nil {
		streams.drain(func(string) {})
		return -1, err
	}
	exited := make(chan struct{})
	go grace.end(ctx, cmd.Process, exited)
	finished := make(chan struct{})
	go func() { streams.drain(line); close(finished) }()

	err = cmd.Wait()
	close(exited)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nobody left is fine
	streams.expire(time.Now().Add(grace.drain))
	<-finished
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return -1, err
	}
	return exitCodeOf(cmd.ProcessState), nil
}

func exitCodeOf(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// end waits for ctx and then ends the process: SIGINT, SIGTERM, and SIGKILL to its whole group.
func (g Grace) end(ctx context.Context, p *os.Process, exited <-chan struct{}) {
	select {
	case <-exited:
		return
	case <-ctx.Done():
	}
	for _, measure := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, g.Interrupt}, {syscall.SIGTERM, g.Terminate}} {
		_ = p.Signal(measure.signal) // it may have ended meanwhile
		patience := time.NewTimer(measure.wait)
		defer patience.Stop()
		select {
		case <-exited:
			return
		case <-patience.C:
		}
	}
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
}

// orDefault fills in the runner's own times.
func (g Grace) orDefault() Grace {
	for _, t := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&g.Interrupt, 7500 * time.Millisecond}, {&g.Terminate, 2500 * time.Millisecond}, {&g.Total, 5 * time.Minute}, {&g.drain, 5 * time.Second}} {
		if *t.value <= 0 {
			*t.value = t.fallback
		}
	}
	return g
}

// plumbing is the two output streams of a process: ours to read, its to write.
type plumbing struct{ read, write []*os.File }

func pipes(cmd *exec.Cmd) (*plumbing, error) {
	streams := &plumbing{}
	for _, end := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			streams.started()
			streams.drain(func(string) {})
			return nil, err
		}
		streams.read, streams.write = append(streams.read, r), append(streams.write, w)
		*end = w
	}
	return streams, nil
}

// started closes the ends that the process has by now.
func (s *plumbing) started() {
	for _, w := range s.write {
		_ = w.Close()
	}
}

// drain reads both streams to their end.
func (s *plumbing) drain(line func(string)) {
	var all sync.WaitGroup
	for _, r := range s.read {
		all.Go(func() {
			eachLine(r, line)
			_ = r.Close()
		})
	}
	all.Wait()
}

func (s *plumbing) expire(at time.Time) {
	for _, r := range s.read {
		_ = r.SetReadDeadline(at) // it may be closed already
	}
}

// eachLine splits a stream as the runner does: at LF, CR LF, and at a CR alone.
// Of a line longer than 1 MiB the rest is dropped.
func eachLine(r io.Reader, line func(string)) {
	in := bufio.NewReader(r)
	var current []byte
	carriage := false
	for {
		b, err := in.ReadByte()
		if err != nil {
			break
		}
		switch {
		case b == '\n' && carriage:
			carriage = false
			continue
		case b == '\n' || b == '\r':
			line(strings.ToValidUTF8(string(current), "\ufffd"))
			current = current[:0]
		case len(current) < maxLine:
			current = append(current, b)
		}
		carriage = b == '\r'
	}
	if len(current) > 0 {
		line(strings.ToValidUTF8(string(current), "\ufffd"))
	}
}
