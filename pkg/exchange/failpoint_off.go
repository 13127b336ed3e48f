//go:build !failpoints

package exchange

// failpoint marks a step at which a crash is tested. Without the build tag failpoints it is nothing.
func failpoint(string) {}
