// Package store is the ledger on disk: leases, used tickets and the audit log,
// in SQLite.
//
// One goroutine owns the only connection that writes. It takes whatever
// operations wait, runs each inside a savepoint of one transaction, signs one
// audit checkpoint, commits once and only then answers: a commit costs one
// flush to disk, however many exchanges share it. An operation that is refused
// leaves nothing behind; a commit that fails fails everybody in it. Reads go
// through connections of their own and see what is committed.
//
// SQL is kept to what PostgreSQL understands too; sqlite.go holds what it would not.
package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
	"golang.org/x/mod/sumdb/note"
)

// Options say where the ledger is and who signs its audit log.
type Options struct {
	URL    string           // sqlite:PATH
	Log    *slog.Logger     // nil: silent
	Signer note.Signer      // of the audit checkpoints
	Origin string           // first line of the checkpoints; empty: the signer's name
	Now    func() time.Time // when tickets are forgotten; nil: the system's clock
}

// A Store is a ledger. Its methods may be called by many goroutines; what can't be
// written or read is [problem.StoreUnavailable]. If a context ends while a write
// waits, the caller is let go with that error but the write may still happen.
type Store struct {
	writer  *writer
	readers *sql.DB

	mu     sync.RWMutex // held for reading while an operation is queued
	closed bool
}

// Open opens the ledger, brings its schema up to date, and makes a file that is
// not there, readable by its owner alone. It refuses a log that is not the one its
// last checkpoint vouches for, or that another key signed: signing on would hide that.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Signer == nil {
		return nil, errors.New("open the ledger: there is no key to sign the audit log with")
	}
	if o.Origin == "" {
		o.Origin = o.Signer.Name()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	file, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	writing, err := file.openWriter(ctx)
	if err != nil {
		return nil, err
	}
	w := newWriter(writing, o)
	if err := w.start(); err != nil {
		return nil, errors.Join(err, writing.Close())
	}
	return &Store{writer: w, readers: file.openReaders()}, nil
}

// Close refuses new operations, waits for those that are queued, and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.writer.queue)
	s.mu.Unlock()
	<-s.writer.stopped
	return errors.Join(s.readers.Close(), s.writer.close())
}

// Ping tells whether the ledger can be written to right now.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, func(t *transaction) error {
		_, err := t.exec(`UPDATE head SET size = size WHERE id = 1`)
		return err
	})
}

// write queues an operation and waits until it is durable.
func (s *Store) write(ctx context.Context, do func(*transaction) error) error {
	o := &operation{ctx: ctx, do: do, done: make(chan error, 1)}
	if err := s.enqueue(ctx, o); err != nil {
		return err
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

func (s *Store) enqueue(ctx context.Context, o *operation) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return unavailable(errors.New("the store is closed"))
	}
	select {
	case s.writer.queue <- o:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// unavailable hides why the database failed from clients and keeps it for the log.
func unavailable(cause error) error {
	return problem.New(problem.StoreUnavailable, "the ledger is not available right now").WithCause(cause)
}
