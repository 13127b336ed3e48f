package store

import (
	"github.com/curfew-dev/curfew/pkg/lease"
)

// states fixes an order, so that a tally is a plain value.
var states = [...]lease.State{
	lease.Pending, lease.Active, lease.Refused, lease.Ending,
	lease.Indeterminate, lease.Revoked, lease.Gone, lease.Expired,
}

// A tally is by how much the number of leases in each state changes.
type tally [len(states)]int

func (t *tally) add(state lease.State, n int) {
	for i, s := range states {
		if s == state {
			t[i] += n
		}
	}
}

func (t *tally) store(tx *transaction) error {
	for i, n := range t {
		if n == 0 {
			continue
		}
		if _, err := tx.exec(`INSERT INTO tally (state, leases) VALUES (?, ?)
			ON CONFLICT (state) DO UPDATE SET leases = tally.leases + excluded.leases`, string(states[i]), n); err != nil {
			return err
		}
	}
	return nil
}
