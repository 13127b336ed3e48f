package action

import (
	"context"
	"errors"

	"github.com/curfew-dev/curfew/pkg/api"
)

// Post is the action's last phase: it ends the lease that Main opened. It always
// returns 0, because a failing post step would fail the job; what it could not
// end, the server does.
func Post(ctx context.Context, env Env) int {
	p := begin(env)
	defer func() {
		// The promise above holds even for our own mistakes; the value could hold a secret.
		if recover() != nil {
			p.warn("ending the lease failed unexpectedly; %s", serverWill)
		}
	}()
	p.post(context.WithoutCancel(ctx))
	return 0
}

const serverWill = "the server ends the token when it learns that the job is over, and at its curfew at the latest"

func (p *phase) post(ctx context.Context) {
	s := p.recall()
	if s.lease == noLease {
		p.say("nothing to end: no token was granted")
		return
	}
	var w wish
	if err := p.readCA(&w); err != nil {
		p.warn("%s", err)
	}
	p.connect(w.ca)
	if !s.handle.Empty() {
		p.end(ctx, s, endBudget)
		return
	}
	p.endWithoutState(ctx)
}

// endWithoutState is for runners that keep no state between the phases.
func (p *phase) endWithoutState(ctx context.Context) {
	var w wish
	if err := p.readServer(&w); err != nil {
		p.say("nothing to end: %s", err)
		return
	}
	client, err := api.NewClient(w.server, p.http)
	if err != nil {
		p.warn("%s", err)
		return
	}
	ended, err := p.endJob(ctx, client, endBudget)
	switch {
	case errors.Is(err, errNoIDToken):
		p.say("nothing to end: %s", err)
	case err != nil:
		p.warn("the leases of this job could not be ended: %s; %s", err, serverWill)
	default:
		p.say("leases of this job ended: %d", ended)
	}
}
