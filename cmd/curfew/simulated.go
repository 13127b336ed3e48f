//go:build !slim

package main

// simulated are the verbs that bring a GitHub of their own. The tag slim leaves them out.
type simulated struct {
	Demo demoCommand `cmd:"" help:"Play the life of one token on this machine, against a simulated GitHub."`
}
