package lease

import "errors"

// ErrMoved says that a lease is no longer in the state that a move starts from: somebody else was quicker.
var ErrMoved = errors.New("the lease has moved on")

// Repeated says that an idempotency key already belongs to Lease.
type Repeated struct{ Lease Lease }

// Error names the earlier lease.
func (r *Repeated) Error() string {
	return "the idempotency key belongs to lease " + r.Lease.ID + ", which is " + string(r.Lease.State)
}
