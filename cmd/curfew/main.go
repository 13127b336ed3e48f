// Command curfew is the exchanger: it serves, and it has the verbs with which
// people look at leases, check the audit log, and watch the whole story.
//
// It exits with 0 if all is well, 1 if it found something wrong, and 2 if it
// was used wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands are the verbs; each lives in a file of its own.
type commands struct {
	simulated
	Serve   serveCommand   `cmd:"" help:"Run the exchanger."`
	Lease   leaseCommand   `cmd:"" help:"Look at leases of a running server."`
	Audit   auditCommand   `cmd:"" help:"Check the audit log."`
	Health  healthCommand  `cmd:"" help:"Ask a server on this machine whether it is alive (for container health checks)."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// A terminal is where a verb writes.
type terminal struct{ out, err io.Writer }

// exitCode is an error that carries only how to exit; what there was to say is said.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

const (
	exitFound = 1 // something is wrong with what was looked at
	exitUsage = 2 // the command was used wrongly
)

// wrongUse is an error in how the command was called or configured.
type wrongUse struct{ error }

func (w wrongUse) Unwrap() error { return w.error }

func main() {
	dropEmptyVariables()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], terminal{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// dropEmptyVariables makes a variable that is set to nothing the same as one that
// is not set, as it is in containers: kong would read an empty path as the folder one is in.
func dropEmptyVariables() {
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "CURFEW_") && value == "" {
			_ = os.Unsetenv(name) // it fails for names only that no variable has
		}
	}
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, t terminal) int {
	exited := -1
	var c commands
	parser, err := kong.New(&c,
		kong.Name("curfew"),
		kong.Description("Just-in-time privilege elevation for GitHub Actions. Each flag can be set by an environment variable too: --app-key by CURFEW_APP_KEY."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("CURFEW"),
		kong.Writers(t.out, t.err),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(t),
	)
	if err != nil {
		return report(t, err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited // help was asked for and printed
	}
	if err != nil {
		return report(t, misread(err))
	}
	return report(t, parsed.Run())
}

// misread says what was wrong with the command line, and where its help is.
func misread(err error) error {
	text, verb := err.Error(), "curfew"
	var at *kong.ParseError
	if errors.As(err, &at) && at.Context.Selected() != nil {
		verb = at.Context.Selected().FullPath()
	}
	if flag, rest, found := strings.Cut(text, ": expected "); found && strings.HasSuffix(rest, "(<EOL>)") {
		text = flag + ": its value is missing"
	}
	return wrongUse{fmt.Errorf("%s; see: %s --help", text, verb)}
}

// report says what went wrong, once, and gives the exit code for it.
func report(t terminal, err error) int {
	var code exitCode
	var misused wrongUse
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &misused):
		_, _ = fmt.Fprintf(t.err, "curfew: %s\n", strings.TrimSpace(err.Error()))
		return exitUsage
	default:
		_, _ = fmt.Fprintf(t.err, "curfew: %s\n", strings.TrimSpace(err.Error()))
		return exitFound
	}
}
