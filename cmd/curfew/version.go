package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set at release by -ldflags "-X main.version=v1.2.3".
var version string

type versionCommand struct{}

// Help is shown below the flags' list.
func (versionCommand) Help() string { return "Example:\n\n    curfew version" }

// Run prints version, revision and toolchain.
func (versionCommand) Run(t terminal) error {
	_, err := fmt.Fprintln(t.out, "curfew", versionText(), runtime.Version())
	return err
}

func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return info.Main.Version + " " + s.Value[:12]
		}
	}
	return info.Main.Version
}
