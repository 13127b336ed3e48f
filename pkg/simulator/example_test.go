package simulator_test

import (
	"fmt"
	"net/http"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// A test sets the stage, spoils one answer, and reads what really happened.
func Example() {
	github, err := simulator.Start(simulator.Options{})
	if err != nil {
		panic(err)
	}
	defer github.Close()
	if _, err := github.AddOwner(simulator.Owner{Login: "acme"}); err != nil {
		panic(err)
	}
	github.Inject(simulator.Fault{Route: "user", Status: http.StatusBadGateway, Times: 1})
	for range 2 {
		answer, err := http.Get(github.URL + "/users/acme")
		if err != nil {
			panic(err)
		}
		_ = answer.Body.Close()
	}
	for _, call := range github.Calls() {
		fmt.Println(call)
	}
	// Output:
	// user GET /users/acme 502
	// user GET /users/acme 200
}
