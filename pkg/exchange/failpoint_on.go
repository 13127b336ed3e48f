//go:build failpoints

package exchange

// Failpoint is called at each step of an exchange and of an ending, by name. A
// binary built with the tag failpoints sets it to crash where a test wants it.
var Failpoint = func(string) {}

func failpoint(step string) { Failpoint(step) }
