package action

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
)

// The runner's file commands: each variable names a file that a step appends to.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#environment-files
const (
	outputFile  = "GITHUB_OUTPUT"
	stateFile   = "GITHUB_STATE"
	envFile     = "GITHUB_ENV"
	summaryFile = "GITHUB_STEP_SUMMARY"
)

// A pair is one name and value of a file command.
type pair struct{ name, value string }

// heredoc writes pairs, and refuses those that would end early and start a pair
// of their own.
func heredoc(delimiter string, pairs []pair) (string, error) {
	var b strings.Builder
	for _, p := range pairs {
		if strings.Contains(p.value, delimiter) || strings.ContainsAny(p.name, "=<\r\n") {
			return "", fmt.Errorf("%q can't be written safely", p.name)
		}
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", p.name, delimiter, p.value, delimiter)
	}
	return b.String(), nil
}

// record appends pairs to the file that the variable names, all at once.
func (p *phase) record(variable string, pairs []pair) error {
	text, err := heredoc("curfew_"+rand.Text(), pairs)
	if err != nil {
		return err
	}
	return p.extend(variable, text)
}

func (p *phase) extend(variable, text string) error {
	f, err := p.open(variable)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", variable, err)
	}
	return nil
}

// open opens the file that the variable names for appending.
func (p *phase) open(variable string) (*os.File, error) {
	path := p.Getenv(variable)
	if path == "" {
		return nil, fmt.Errorf("%s is not set: this is not a step of a workflow job", variable)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", variable, err)
	}
	return f, nil
}

// writable finds out early whether a file can be opened, so that nothing is
// asked of the server for a token that nobody could be given.
func (p *phase) writable(variables ...string) error {
	for _, variable := range variables {
		f, err := p.open(variable)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
