package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// TestScripts plays the files of testdata/script, which tell how the command
// line answers mistakes. Each finds app.pem (an App's key), operator.token,
// other.pub (the public key of a log that is not there), the address $TAKEN,
// where somebody else listens, and a server at $SERVER that works on $LEDGER.
//
//	exits N COMMAND...   wants this exit code and, for a usage error, a few lines that say why
//	mode OCTAL FILE      sets a file's mode
func TestScripts(t *testing.T) {
	binary := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	appKey := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	_, otherKey, err := audit.NewKey("other.example.com/audit")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.server.face.OperatorTokens = [][32]byte{secret.New(operatorToken).Digest()}

	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", binary+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("TAKEN", taken.Addr().String())
			e.Setenv("SERVER", w.server.origin)
			e.Setenv("LEDGER", filepath.Join(w.dir, "curfew.db"))
			return errors.Join(
				os.WriteFile(filepath.Join(e.WorkDir, "app.pem"), appKey, 0o600),
				os.WriteFile(filepath.Join(e.WorkDir, "operator.token"), []byte(operatorToken+"\n"), 0o600),
				os.WriteFile(filepath.Join(e.WorkDir, "other.pub"), []byte(otherKey+"\n"), 0o600),
			)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "mode": mode},
	})
}

const operatorToken = "operator-canary-token"

// longestError is how many lines an error may have: one, and one for each thing that is wrong.
const longestError = 8

var trace = regexp.MustCompile(`goroutine \d+|panic:|\.go:\d+`)

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	text := ts.ReadFile("stderr")
	switch lines := strings.Count(text, "\n"); {
	case trace.MatchString(text):
		ts.Fatalf("a trace shows")
	case want == exitUsage && (lines < 1 || lines > longestError || !strings.HasPrefix(text, "curfew: ")):
		ts.Fatalf("an error of %d lines", lines)
	case want == exitUsage && ts.ReadFile("stdout") != "":
		ts.Fatalf("something stands on the standard output")
	}
}

func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	bits, err := strconv.ParseUint(args[0], 8, 9)
	ts.Check(err)
	ts.Check(os.Chmod(ts.MkAbs(args[1]), os.FileMode(bits)))
}
