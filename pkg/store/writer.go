package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"golang.org/x/mod/sumdb/note"
)

const (
	queueLength = 1024 // operations that may wait
	batchLength = 256  // operations that share a commit
)

// An operation is one caller's transaction.
type operation struct {
	ctx  context.Context
	do   func(*transaction) error
	done chan error // takes the one result without waiting
}

// A writer owns the connection that writes. Only its goroutine touches the fields below queue.
type writer struct {
	db      *sql.DB
	log     *slog.Logger
	signer  note.Signer
	origin  string
	now     func() time.Time
	queue   chan *operation
	stopped chan struct{}

	conn       *sql.Conn // nil after a failure
	statements map[string]*sql.Stmt
	tree       audit.Tree
	unswept    int       // tickets taken since the last sweep
	sweptAt    time.Time // of expired tickets
}

func newWriter(db *sql.DB, o Options) *writer {
	return &writer{
		db: db, log: o.Log, signer: o.Signer, origin: o.Origin, now: o.Now,
		queue: make(chan *operation, queueLength), stopped: make(chan struct{}),
	}
}

// start checks the log and begins to take operations.
func (w *writer) start() error {
	t, err := w.begin()
	if err == nil {
		err = t.adopt()
	}
	if err == nil {
		err = t.commit()
	}
	if err != nil {
		w.abandon()
		return fmt.Errorf("open the ledger: %w", err)
	}
	go w.run()
	return nil
}

func (w *writer) run() {
	defer close(w.stopped)
	batch := make([]*operation, 0, batchLength)
	for o := range w.queue {
		batch = w.gather(append(batch[:0], o))
		w.serve(batch)
	}
}

// gather adds the operations that wait already. It does not wait for more: while
// one commit is flushed the next batch builds up by itself.
func (w *writer) gather(batch []*operation) []*operation {
	runtime.Gosched() // lets those whom the last batch answered queue their next: a quarter less work for 64 callers
	for len(batch) < batchLength {
		select {
		case o, open := <-w.queue:
			if !open {
				return batch
			}
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

// serve runs a batch in one transaction and answers everybody when it is durable.
func (w *writer) serve(batch []*operation) {
	results, err := w.transact(batch)
	if err != nil {
		w.log.Error("the ledger could not commit", "operations", len(batch), "cause", err)
		w.abandon()
	}
	for i, o := range batch {
		if err != nil {
			o.done <- unavailable(err)
			continue
		}
		o.done <- results[i]
	}
}

func (w *writer) transact(batch []*operation) ([]error, error) {
	t, err := w.begin()
	if err != nil {
		return nil, err
	}
	results := make([]error, len(batch))
	for i, o := range batch {
		if results[i], err = t.attempt(o); err != nil {
			return nil, err
		}
	}
	return results, t.commit()
}

// begin starts a transaction that may write, on a new connection if the last one
// failed. If another server wrote to the log in between, its tree is read again.
func (w *writer) begin() (*transaction, error) {
	if w.conn == nil {
		conn, err := w.db.Conn(context.Background())
		if err != nil {
			return nil, err
		}
		w.conn, w.statements, w.tree = conn, map[string]*sql.Stmt{}, audit.Tree{}
	}
	t := &transaction{w: w}
	if _, err := t.exec(`BEGIN IMMEDIATE`); err != nil {
		return nil, err
	}
	return t, t.follow()
}

// abandon gives up the transaction and the connection, whose state nobody knows after a failure.
func (w *writer) abandon() {
	if w.conn == nil {
		return
	}
	_, _ = w.conn.ExecContext(context.Background(), `ROLLBACK`)  // there may be none
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // closes it instead of pooling it
	w.conn, w.statements = nil, nil
}

func (w *writer) close() error {
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(append(errs, w.db.Close())...)
}

func (w *writer) prepare(query string) (*sql.Stmt, error) {
	if s := w.statements[query]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	w.statements[query] = s
	return s, nil
}
