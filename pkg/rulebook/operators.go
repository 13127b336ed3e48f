package rulebook

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/curfew-dev/curfew/pkg/policy"
)

// readOperators reads every policy file of the directory, in the order of names.
func readOperators(dir, defaultIssuer string) ([]*policy.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the operator's policy directory: %w", err)
	}
	var files []*policy.File
	var mistakes []error
	for _, e := range entries {
		if !isPolicy(e.Name()) {
			continue
		}
		f, err := readOperator(filepath.Join(dir, e.Name()))
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		if f.Owner.Issuer == "" {
			f.Owner.Issuer = defaultIssuer
		}
		if err := duplicate(files, f); err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		files = append(files, f)
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("the operator's policies do not load:\n%w", errors.Join(mistakes...))
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("the operator's policy directory %s holds no *.yaml file: nobody would be served", dir)
	}
	return files, nil
}

func isPolicy(name string) bool {
	ext := filepath.Ext(name)
	return (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(name, ".")
}

func readOperator(path string) (*policy.File, error) {
	content, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	f, err := policy.Parse(policy.Operator, policy.Source{Path: filepath.ToSlash(path)}, content)
	var mistakes policy.Errors
	if errors.As(err, &mistakes) {
		return nil, mistakes
	}
	return f, err
}

// readBounded reads one byte more than a policy may have, so that Parse says what is wrong with a longer one.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, policy.MaxFileSize+1))
}

// duplicate refuses a second file for one owner: two files would be two truths.
func duplicate(files []*policy.File, f *policy.File) error {
	for _, other := range files {
		if f.Owner.Issuer != other.Owner.Issuer {
			continue
		}
		if f.Owner.ID == other.Owner.ID || strings.EqualFold(f.Owner.Login, other.Owner.Login) {
			return policy.Error{Path: f.Source.Path, Line: 1, Column: 1, Field: "owner",
				Message: fmt.Sprintf("%s (id %d) has a policy in %s already; keep one file for each owner", f.Owner.Login, f.Owner.ID, other.Source.Path)}
		}
	}
	return nil
}
