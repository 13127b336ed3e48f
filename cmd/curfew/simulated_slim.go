//go:build slim

package main

// simulated are no verbs in this build.
type simulated struct{}
