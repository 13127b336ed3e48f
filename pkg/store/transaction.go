package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"golang.org/x/mod/sumdb/tlog"
)

// A transaction is what the operations of one batch share. Its copy-able part,
// ledgerChange, is set back when an operation fails.
type transaction struct {
	w *writer
	ledgerChange
}

type ledgerChange struct {
	tree    audit.Tree
	tickets int
	tally   tally
}

// attempt runs one operation. The first error is its own and leaves the others alone; the second ends the batch.
func (t *transaction) attempt(o *operation) (refusal, failure error) {
	if err := o.ctx.Err(); err != nil {
		return unavailable(err), nil
	}
	if _, err := t.exec(`SAVEPOINT operation`); err != nil {
		return nil, err
	}
	before := t.ledgerChange
	if refusal = o.do(t); refusal != nil {
		t.ledgerChange = before
		if _, err := t.exec(`ROLLBACK TO operation`); err != nil {
			// SQLite ends the whole transaction by itself when the disk is full, for one.
			return nil, errors.Join(refusal, err)
		}
	}
	_, failure = t.exec(`RELEASE operation`)
	return refusal, failure
}

// commit signs the log as it is now and makes everything durable.
func (t *transaction) commit() error {
	if t.tree.Size() != t.w.tree.Size() {
		if err := t.sign(); err != nil {
			return err
		}
	}
	if err := t.tally.store(t); err != nil {
		return err
	}
	if err := t.sweepTickets(); err != nil {
		return err
	}
	if _, err := t.exec(`COMMIT`); err != nil {
		return err
	}
	t.w.tree = t.tree
	return nil
}

// exec runs a statement and tells how many rows it changed.
func (t *transaction) exec(query string, args ...any) (int64, error) {
	s, err := t.w.prepare(query)
	if err != nil {
		return 0, unavailable(err)
	}
	result, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, unavailable(err)
	}
	return result.RowsAffected()
}

// one reads a single row into dest; [sql.ErrNoRows] if there is none.
func (t *transaction) one(query string, args []any, dest ...any) error {
	s, err := t.w.prepare(query)
	if err != nil {
		return unavailable(err)
	}
	if err := s.QueryRowContext(context.Background(), args...).Scan(dest...); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return unavailable(err)
	}
	return nil
}

// leases reads the rows of a query for [leaseColumns].
func (t *transaction) leases(query string, args ...any) ([]lease.Lease, error) {
	s, err := t.w.prepare(query)
	if err != nil {
		return nil, unavailable(err)
	}
	rows, err := s.QueryContext(context.Background(), args...)
	return collect(rows, err)
}

// An entry is an audit record ready to be appended. It is made before the writer's turn.
type entry struct {
	line []byte
	leaf tlog.Hash
}

func newEntry(r audit.Record) (entry, error) {
	line, err := r.Encode()
	if err != nil {
		return entry{}, fmt.Errorf("append to the audit log: %w", err)
	}
	return entry{line, tlog.RecordHash(line)}, nil
}

// append adds a record to the log.
func (t *transaction) append(e entry) error {
	n := t.tree.Size()
	hashes := t.tree.Append(e.leaf)
	stored := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		stored = append(stored, h[:]...)
	}
	_, err := t.exec(`INSERT INTO records (n, hashes, line) VALUES (?, ?, ?)`, n, stored, e.line)
	return err
}
