//go:build failpoints

package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/curfew-dev/curfew/pkg/exchange"
)

// failpointVariable names the step at which the process kills itself: `minted`,
// or `minted:3` for the third time that the step is passed.
const failpointVariable = "CURFEW_FAILPOINT"

func init() {
	step, count, counted := strings.Cut(os.Getenv(failpointVariable), ":")
	if step == "" {
		return
	}
	n := 1
	if counted {
		var err error
		if n, err = strconv.Atoi(count); err != nil || n < 1 {
			panic(failpointVariable + " counts from 1, and does not take " + count)
		}
	}
	var passed atomic.Int64
	exchange.Failpoint = func(at string) {
		if at == step && passed.Add(1) == int64(n) {
			killSelf()
		}
	}
}

// killSelf ends the process as a power cut would: nothing is flushed, deferred or answered.
func killSelf() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic("the process could not kill itself: " + err.Error())
	}
	select {} // the signal is on its way
}
