package action

import (
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// state is what Main tells Post: which lease to end, and with what. Runners that
// keep no state give Post an empty one.
type state struct {
	server  string
	lease   string
	handle  secret.Text
	token   secret.Text
	expires time.Time
}

// noLease stands in place of a lease id when there certainly is nothing to end.
const noLease = "none"

// The names of the state's pairs; Post finds them behind `STATE_`.
const (
	stateServer  = "CURFEW_SERVER"
	stateLease   = "CURFEW_LEASE"
	stateHandle  = "CURFEW_HANDLE"
	stateToken   = "CURFEW_TOKEN"
	stateExpires = "CURFEW_EXPIRES"
)

func stateOf(server string, granted api.TokenResponse) state {
	return state{server, granted.LeaseID, granted.RevocationHandle, granted.AccessToken, granted.ExpiresAt}
}

// remember saves the state, where the runner keeps any.
func (p *phase) remember(s state) error {
	if p.Getenv(stateFile) == "" {
		return nil
	}
	return p.record(stateFile, []pair{
		{stateServer, s.server},
		{stateLease, s.lease},
		{stateHandle, s.handle.Reveal()},
		{stateToken, s.token.Reveal()},
		{stateExpires, s.expires.UTC().Format(time.RFC3339)},
	})
}

// nothingToEnd spares Post the way to the server. If it can't be saved, Post
// asks in vain, which does no harm.
func (p *phase) nothingToEnd() {
	if p.Getenv(stateFile) != "" {
		_ = p.record(stateFile, []pair{{stateLease, noLease}})
	}
}

func (p *phase) recall() state {
	get := func(name string) string { return p.Getenv("STATE_" + name) }
	expires, _ := time.Parse(time.RFC3339, get(stateExpires)) // zero if there is none
	return state{get(stateServer), get(stateLease), secret.New(get(stateHandle)), secret.New(get(stateToken)), expires}
}
