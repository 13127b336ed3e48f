// Package audit is the memory: what happened, in an order that can't be
// changed afterwards without being found out.
//
// An event is a [Record], one line of canonical JSON. The lines are the leaves
// of a Merkle tree (RFC 6962), kept by a [Tree] that appends in the same
// transaction as the event itself. After each append a [Checkpoint], size and
// root, is signed as a C2SP signed note. [Verify] recomputes the root from the
// lines alone: it finds every record that was flipped, deleted, reordered or
// inserted. A log whose end was cut off is found out by a checkpoint that
// somebody kept elsewhere. A [Proof] convinces a third party that one record is
// in the log, or that one log continues another, without showing the rest.
//
// Whoever holds both the records and the signing key can rewrite the log; only
// checkpoints kept out of their reach stand against that.
package audit
