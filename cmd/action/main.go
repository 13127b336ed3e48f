// Command action is the container's entry point. The image holds it under two
// names, curfew-main and curfew-post, because GitHub gives entry points no
// arguments; people may also run `curfew-action main` or `curfew-action post`.
package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/curfew-dev/curfew/pkg/action"
)

// version is set by the linker in releases.
var version string

func main() { os.Exit(run(os.Args)) }

func run(args []string) int {
	forget("SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	roots, err := trustedRoots(imageRoots)
	if err != nil {
		// Post must not fail a job, so what needs a certificate fails later, and says so.
		fmt.Fprintln(os.Stderr, "curfew: no certificate authorities to trust:", err)
		roots = x509.NewCertPool()
	}
	env := action.Env{Getenv: os.Getenv, Stdout: os.Stdout, Roots: roots, Now: time.Now, Sleep: sleep}
	switch phaseOf(args) {
	case "main":
		return action.Main(ctx, env)
	case "post":
		return action.Post(ctx, env)
	case "version":
		fmt.Println("curfew-action", versionName())
		return 0
	}
	fmt.Fprintln(os.Stderr, "usage: curfew-action main|post|version")
	return 2
}

// phaseOf reads the phase from the name the program was started under, else
// from its only argument.
func phaseOf(args []string) string {
	if name, found := strings.CutPrefix(filepath.Base(args[0]), "curfew-"); found && name != "action" {
		return name
	}
	if len(args) == 2 {
		return args[1]
	}
	return ""
}

func versionName() string {
	if version != "" {
		return version
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		return build.Main.Version
	}
	return "unknown"
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
