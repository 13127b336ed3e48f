// Package action is the GitHub Action: [Main] gets a token for the job that it
// runs in, [Post] gives it back.
//
// Main reads the inputs, proves with the job's OIDC token who asks, and trades
// that at the Curfew server for a GitHub token. What comes back is masked before
// anything else, remembered for Post, compared with what was asked, and only then
// handed to later steps. Whatever goes wrong in between, the half-made lease is
// ended before Main returns. Post ends the lease, and never fails a job.
//
// Neither phase trusts what earlier steps of the job can set, nor a word of any
// answer: texts are printed so that the runner reads no command in them.
package action

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"time"

	"github.com/sethvargo/go-githubactions"
)

// Env is all that a phase touches of the outside world, but for the network and
// the files that the runner names. Every field is required.
type Env struct {
	Getenv func(string) string
	Stdout io.Writer
	// Roots are the certificate authorities to trust; the input ca-certificate adds to a copy.
	Roots *x509.CertPool
	Now   func() time.Time
	// Sleep waits, or returns the context's error when that ends first.
	Sleep func(context.Context, time.Duration) error
}

// phase is one run of the container.
type phase struct {
	Env
	voice
	http *http.Client
}

func begin(env Env) *phase {
	out := &stickyWriter{w: env.Stdout}
	gh := githubactions.New(githubactions.WithGetenv(env.Getenv), githubactions.WithWriter(out))
	return &phase{Env: env, voice: voice{gh, out}}
}

// connect opens the network, trusting the input ca-certificate too.
func (p *phase) connect(ca []byte) {
	p.http = newClient(p.Roots, ca, p.Getenv)
}
