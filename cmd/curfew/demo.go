//go:build !slim

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// demoFor bounds the whole demo.
const demoFor = 3 * time.Minute

type demoCommand struct {
	Action string `help:"The action's binary; built from ./cmd/action if not given." type:"path" placeholder:"PATH"`
	Root   string `help:"A checkout of this repository, for its examples; found from here if not given." type:"path" placeholder:"DIR"`
	Serve  bool   `help:"Keep GitHub's simulator and the server running, and print how to talk to them with curl."`
	JSON   bool   `name:"json" help:"Print what was seen as JSON."`
	Keep   bool   `help:"Keep the folder with database, logs and keys, and print where it is."`
}

// Help is shown below the flags' list.
func (demoCommand) Help() string {
	return "Example:\n\n    go run ./cmd/curfew demo\n\nExits with 0 only if every act held."
}

// Run plays every act in turn and reports what was seen.
func (c *demoCommand) Run(ctx context.Context, t terminal) (err error) {
	if !c.Serve {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, demoFor)
		defer cancel()
	}
	root, err := c.checkout()
	if err != nil {
		return wrongUse{err}
	}
	dir, err := os.MkdirTemp("", "curfew-demo-")
	if err != nil {
		return err
	}
	defer func() {
		if c.Keep {
			_, _ = fmt.Fprintln(t.err, "kept:", dir)
		} else {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	told := newTelling(t, c.JSON)
	s, err := setStage(ctx, self, root, dir, c.Action, told)
	if err != nil {
		return err
	}
	defer s.strike()
	if c.Serve {
		return s.stayUp(ctx, t)
	}
	told.progress("building the action")
	if err := s.buildAction(ctx); err != nil {
		return err
	}
	told.world(s)
	for _, play := range acts {
		if err := told.act(ctx, play, s); err != nil {
			return err
		}
	}
	return told.close()
}

// checkout finds the repository that holds the examples: the folder given, or
// the nearest one above the current folder.
func (c *demoCommand) checkout() (string, error) {
	dir := c.Root
	if dir == "" {
		var err error
		if dir, err = os.Getwd(); err != nil {
			return "", err
		}
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "examples", "workflows", "release.yml")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if c.Root != "" || parent == dir {
			return "", errors.New("--root: examples/workflows/release.yml was not found; run this inside a checkout of the repository, or name one")
		}
		dir = parent
	}
}
