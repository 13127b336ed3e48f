package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/scope"
	"github.com/curfew-dev/curfew/pkg/simulator"
)

// BenchmarkExchange measures whole exchanges against `curfew serve` in a
// process of its own, every grant durable on SQLite, beside the floor: a
// process that verifies the OIDC token and mints, and stores nothing. Batches
// alternate between the two, so that the ratio holds when the machine's speed
// drifts. GitHub is simulated in this process, which shares the processors.
//
//	go test ./cmd/curfew -run '^$' -bench Exchange -benchtime 6000x
func BenchmarkExchange(b *testing.B) {
	for _, delay := range []time.Duration{0, 50 * time.Millisecond} {
		for _, clients := range []int{1, 8, 64} {
			if delay > 0 && clients != 64 {
				continue
			}
			b.Run(fmt.Sprintf("github=%s/clients=%d", delay, clients), func(b *testing.B) { benchmarkExchange(b, clients, delay) })
		}
	}
}

func benchmarkExchange(b *testing.B, clients int, delay time.Duration) {
	w := &world{t: b, dir: b.TempDir(), log: &safeBuffer{}}
	var err error
	w.github, err = simulator.Start(simulator.Options{})
	w.must(err)
	defer w.github.Close()
	w.populate()
	w.github.SetRateLimit(1 << 30)
	if delay > 0 {
		w.github.Inject(simulator.Fault{Route: "mint", Delay: delay})
	}
	curfew := w.process(b, w.build(b), "serve", "--url", "http://127.0.0.1:0", "--listen", "127.0.0.1:0",
		"--app-id", "Iv23test", "--app-key", filepath.Join(w.dir, "app.pem"), "--github", w.github.URL+"/api/v3",
		"--issuer", w.github.Issuer(), "--policy", filepath.Join("..", "..", "examples", "policies", "operator"),
		"--database", "sqlite:"+filepath.Join(w.dir, "curfew.db"), "--log", "info,json")
	floor := w.process(b, os.Args[0], "-test.run=^TestFloorProcess$", "-test.v")

	const batch = 2000
	measured := map[*contender]*figures{curfew: {}, floor: {}}
	for _, c := range []*contender{curfew, floor} { // warm up, cold caches are counted elsewhere
		w.load(b, c, w.tokens(c, 4*clients), clients, &figures{})
	}
	curfew.start, floor.start = curfew.cpu(b), floor.cpu(b)
	b.ResetTimer()
	for done := 0; done < b.N; done += batch {
		n := min(batch, b.N-done)
		for _, c := range []*contender{curfew, floor} {
			b.StopTimer()
			tokens := w.tokens(c, n)
			b.StartTimer()
			w.load(b, c, tokens, clients, measured[c])
		}
	}
	b.StopTimer()
	reportFigures(b, "curfew", measured[curfew], curfew)
	reportFigures(b, "floor", measured[floor], floor)
	b.ReportMetric(measured[curfew].rate()/measured[floor].rate(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// A contender is a server process that takes part.
type contender struct {
	command *exec.Cmd
	url     string
	start   time.Duration // CPU used before the measurement
}

// figures gather the times of single exchanges and of whole batches.
type figures struct {
	mu    sync.Mutex
	each  []time.Duration
	total time.Duration
}

func (f *figures) rate() float64 { return float64(len(f.each)) / f.total.Seconds() }

func reportFigures(b *testing.B, name string, f *figures, c *contender) {
	slices.Sort(f.each)
	at := func(q float64) float64 { return f.each[int(q*float64(len(f.each)-1))].Seconds() * 1000 }
	cpu := (c.cpu(b) - c.start).Seconds() / float64(len(f.each)) * 1000
	b.ReportMetric(f.rate(), name+"/s")
	b.ReportMetric(at(0.50), name+"-p50-ms")
	b.ReportMetric(at(0.99), name+"-p99-ms")
	b.ReportMetric(cpu, name+"-cpu-s/1000")
	b.ReportMetric(c.memory(b), name+"-MiB")
}

func (w *world) build(b *testing.B) string {
	b.Helper()
	path := filepath.Join(w.dir, "curfew")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// process starts a server and waits until its log says where it listens.
func (w *world) process(b *testing.B, path string, args ...string) *contender {
	b.Helper()
	c := &contender{command: exec.Command(path, args...)}
	c.command.Env = append(os.Environ(), floorVariable+"="+w.github.URL+" "+w.github.Issuer()+" "+filepath.Join(w.dir, "app.pem"))
	output, err := c.command.StderrPipe()
	w.must(err)
	w.must(c.command.Start())
	b.Cleanup(func() {
		_ = c.command.Process.Signal(syscall.SIGTERM) // it may have ended already
		_ = c.command.Wait()
	})
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadString('\n')
		w.must(err)
		var entry struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
			c.url = entry.URL
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return c
		}
	}
}

// tokens makes an OIDC token of a job of its own for each exchange.
func (w *world) tokens(c *contender, n int) []string {
	w.t.Helper()
	tokens := make([]string, n)
	var all sync.WaitGroup
	for part := range runtime.NumCPU() {
		jobs := make([]simulator.StartedJob, 0, n)
		for i := part; i < n; i += runtime.NumCPU() {
			jobs = append(jobs, w.job(nil))
		}
		all.Go(func() {
			for k, j := range jobs {
				token, err := w.github.IDToken(j.ID, c.url, nil)
				if err != nil {
					w.t.Error(err)
				}
				tokens[part+k*runtime.NumCPU()] = token
			}
		})
	}
	all.Wait()
	return tokens
}

// load spends the tokens through so many clients at once.
func (w *world) load(b *testing.B, c *contender, tokens []string, clients int, f *figures) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	next := make(chan string, len(tokens))
	for _, t := range tokens {
		next <- t
	}
	close(next)
	start := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for token := range next {
				begun := time.Now()
				if err := exchangeOnce(client, c.url, token); err != nil {
					b.Error(err)
					return
				}
				took := time.Since(begun)
				f.mu.Lock()
				f.each = append(f.each, took)
				f.mu.Unlock()
			}
		})
	}
	all.Wait()
	f.total += time.Since(start)
}

func exchangeOnce(client *http.Client, server, oidc string) error {
	form := url.Values{
		"grant_type": {api.GrantTypeTokenExchange}, "subject_token_type": {api.TokenTypeJWT},
		"subject_token": {oidc}, "grant": {"release"},
	}
	response, err := client.PostForm(server+api.PathToken, form)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || !strings.Contains(string(body), `"access_token":"ghs_`)) {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return err
}

// cpu is what the process has used so far, by /proc/PID/stat.
func (c *contender) cpu(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.command.Process.Pid))
	if err != nil {
		b.Skip("CPU times are read from /proc, which this system does not have")
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ is 100 on Linux
}

// memory is the process's peak resident set in MiB.
func (c *contender) memory(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.command.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

const floorVariable = "CURFEW_TEST_FLOOR"

// TestFloorProcess is the floor of BenchmarkExchange when that starts it, and nothing otherwise.
func TestFloorProcess(t *testing.T) {
	spec := strings.Fields(os.Getenv(floorVariable))
	if len(spec) != 3 {
		return
	}
	key, err := os.ReadFile(spec[2])
	if err != nil {
		t.Fatal(err)
	}
	signer, err := githubapp.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	origin := "http://" + listener.Addr().String()
	verifier, err := identity.NewVerifier(identity.Options{Issuers: []string{spec[1]}, Audience: origin, HTTP: http.DefaultClient, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	app, err := githubapp.New(githubapp.Options{API: spec[0] + "/api/v3", AppID: "Iv23test", Key: signer, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	want := scope.Scope{
		Owner: "acme", OwnerID: 1001, Repositories: []scope.Repository{{ID: 3002, Name: "web"}},
		Permissions: scope.Permissions{"contents": scope.Write},
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := verifier.Verify(r.Context(), r.PostFormValue("subject_token")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		token, _, err := app.Mint(context.WithoutCancel(r.Context()), want)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"access_token": token.Reveal()})
	})
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	fmt.Fprintf(os.Stderr, "{\"msg\":\"listening\",\"url\":%q}\n", origin)
	_ = server.Serve(listener) // until the benchmark ends it with SIGTERM
}
