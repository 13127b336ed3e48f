package runner

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxCommandFile = 16 << 20
	maxSummary     = 1 << 20
)

// A pair is one entry of a GITHUB_OUTPUT, GITHUB_STATE or GITHUB_ENV file.
type pair struct{ name, value string }

// parsePairs reads `name=value` lines and `name<<delimiter` blocks, whose value
// ends at the first line that equals the delimiter. On an error it
// also returns the pairs before it, because the runner has obeyed them by then.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#multiline-strings
func parsePairs(text string) (pairs, error) {
	var found pairs
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if line == "" {
			continue
		}
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case equals == 0 || heredoc == 0:
			return found, fmt.Errorf("invalid format '%s': the name must not be empty", line)
		case equals > 0 && (heredoc < 0 || equals < heredoc):
			found = append(found, pair{line[:equals], line[equals+1:]})
		case heredoc > 0:
			value, rest, err := cutHeredoc(text, line[heredoc+len("<<"):])
			if err != nil {
				return found, err
			}
			found, text = append(found, pair{line[:heredoc], value}), rest
		default:
			return found, fmt.Errorf("invalid format '%s'", line)
		}
	}
	return found, nil
}

func cutHeredoc(text, delimiter string) (value, rest string, err error) {
	if delimiter == "" {
		return "", "", errors.New("invalid format: the delimiter must not be empty")
	}
	var lines []string
	for text != "" {
		line, after, _ := strings.Cut(text, "\n")
		if line == delimiter {
			return strings.Join(lines, "\n"), after, nil
		}
		lines, text = append(lines, line), after
	}
	return "", "", fmt.Errorf("invalid value: matching delimiter not found '%s'", delimiter)
}

// commandFiles are the files of one phase through which it speaks to the runner.
// They are left where they are, readable for every later step.
type commandFiles struct{ directory, suffix string }

// The names are those that the runner gives the files.
var fileCommands = map[string]string{
	"output":       "set_output_",
	"state":        "save_state_",
	"env":          "set_env_",
	"path":         "add_path_",
	"step_summary": "step_summary_",
}

func makeCommandFiles(directory string) (commandFiles, error) {
	files := commandFiles{directory, rand.Text()}
	for name := range fileCommands {
		if err := os.WriteFile(files.path(name), nil, 0o600); err != nil {
			return files, err
		}
	}
	return files, nil
}

func (f commandFiles) path(name string) string {
	return filepath.Join(f.directory, fileCommands[name]+f.suffix)
}

// read returns the file's text. One that the phase removed is empty; one that it
// replaced by something else than a file is an error.
func (f commandFiles) read(name string) (string, error) {
	info, err := os.Stat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is no longer a regular file")
	}
	file, err := os.Open(f.path(name))
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxCommandFile+1))
	if err == nil && len(text) > maxCommandFile {
		err = fmt.Errorf("it is larger than %d bytes", maxCommandFile)
	}
	return strings.ToValidUTF8(strings.TrimPrefix(string(text), "\ufeff"), "\ufffd"), err
}
