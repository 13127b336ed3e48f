package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"

	"github.com/curfew-dev/curfew/pkg/audit"
	"golang.org/x/mod/sumdb/tlog"
)

// pageLength is how many records are read at once.
const pageLength = 128

// A Log reads the audit log as it was at one moment, whatever is written to it
// meanwhile. It gives the stored hashes too, as a [tlog.HashReader] for proofs. It is for one goroutine.
type Log struct {
	tx         *sql.Tx
	db         *sql.DB // closed with the log; nil if it is a store's
	checkpoint []byte
}

// OpenReadOnly opens the audit log of a database, also while a server writes to
// it. It changes nothing and needs no key. The log ends with ctx or Close.
func OpenReadOnly(ctx context.Context, url string) (*Log, error) {
	file, err := parse(url)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(string(file)); err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	log, err := file.openLog(ctx, readOnly)
	if _, noWAL := os.Stat(string(file) + "-wal"); err != nil && noWAL != nil {
		// No server has it open, and perhaps the folder lets nobody write.
		log, err = file.openLog(ctx, frozen)
	}
	if err != nil {
		return nil, fmt.Errorf("read the audit log in %s: %w", file, err)
	}
	return log, nil
}

func (f sqliteFile) openLog(ctx context.Context, mode accessMode) (*Log, error) {
	db, err := sql.Open("sqlite", f.source(mode, "query_only(1)"))
	if err != nil {
		return nil, err
	}
	log, err := newLog(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	log.db = db
	return log, nil
}

// Log is the audit log as it is now. It holds a connection until ctx ends or it is closed.
func (s *Store) Log(ctx context.Context) (*Log, error) {
	log, err := newLog(ctx, s.readers)
	if err != nil {
		return nil, unavailable(err)
	}
	return log, nil
}

func newLog(ctx context.Context, db *sql.DB) (*Log, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	log := &Log{tx: tx}
	if err := tx.QueryRowContext(ctx, `SELECT checkpoint FROM head WHERE id = 1`).Scan(&log.checkpoint); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, errors.Join(err, tx.Rollback())
	}
	return log, nil
}

// Close gives the connection back.
func (l *Log) Close() error {
	err := l.tx.Rollback()
	if errors.Is(err, sql.ErrTxDone) {
		err = nil
	}
	if l.db != nil {
		err = errors.Join(err, l.db.Close())
	}
	return err
}

// Checkpoint is the signed note of the log's size and root; nil if somebody removed it.
func (l *Log) Checkpoint() []byte { return l.checkpoint }

// Records gives the encoded records in order, beginning with number from. A
// record that is missing ends them with an [*audit.Gap]. It can be read more than once.
func (l *Log) Records(ctx context.Context, from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		next := from
		for {
			page, err := l.page(ctx, next)
			for _, line := range page {
				if !yield(line, nil) {
					return
				}
				next++
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) < pageLength {
				return
			}
		}
	}
}

// page reads records up to the first that is missing.
func (l *Log) page(ctx context.Context, from int64) ([][]byte, error) {
	rows, err := l.tx.QueryContext(ctx, `SELECT n, line FROM records WHERE n >= ? ORDER BY n LIMIT ?`, from, pageLength)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = rows.Close() }()
	var lines [][]byte
	for rows.Next() {
		var n int64
		var line []byte
		if err := rows.Scan(&n, &line); err != nil {
			return lines, unavailable(err)
		}
		if want := from + int64(len(lines)); n != want {
			return lines, &audit.Gap{Index: want}
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		return lines, unavailable(err)
	}
	return lines, nil
}

// ReadHashes gives stored hashes by their [tlog.StoredHashIndex].
func (l *Log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	return readHashes(indexes, func(n int64) (stored []byte, err error) {
		err = l.tx.QueryRow(`SELECT hashes FROM records WHERE n = ?`, n).Scan(&stored)
		return stored, err
	})
}

// Records gives the encoded records from number from on, as they are when the reading begins; see [Log.Records].
func (s *Store) Records(ctx context.Context, from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		log, err := s.Log(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = log.Close() }()
		log.Records(ctx, from)(yield)
	}
}

// Checkpoint is the signed note of the audit log's size and root right now.
func (s *Store) Checkpoint(ctx context.Context) ([]byte, error) {
	log, err := s.Log(ctx)
	if err != nil {
		return nil, err
	}
	return log.Checkpoint(), log.Close()
}
