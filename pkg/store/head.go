package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"

	"github.com/curfew-dev/curfew/pkg/audit"
	"golang.org/x/mod/sumdb/tlog"
)

// follow takes up the log where the last transaction left it, of this server or another.
func (t *transaction) follow() error {
	t.tree = t.w.tree
	var size int64
	err := t.one(`SELECT size FROM head WHERE id = 1`, nil, &size)
	if errors.Is(err, sql.ErrNoRows) || err == nil && size == t.tree.Size() {
		return nil
	}
	if err != nil {
		return err
	}
	if t.tree, err = audit.LoadTree(size, tlog.HashReaderFunc(t.readHashes)); err != nil {
		return err
	}
	t.w.tree = t.tree
	return nil
}

// adopt checks that the log is the one that this signer signed last; an empty log it signs.
func (t *transaction) adopt() error {
	var checkpoint []byte
	err := t.one(`SELECT checkpoint FROM head WHERE id = 1`, nil, &checkpoint)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var records int64
	if err := t.one(`SELECT coalesce(max(n) + 1, 0) FROM records`, nil, &records); err != nil {
		return err
	}
	if records != t.tree.Size() {
		return fmt.Errorf("the audit log holds %d records, its head says %d: it was changed from outside", records, t.tree.Size())
	}
	if checkpoint == nil {
		return t.sign()
	}
	expected, err := t.checkpoint()
	if err != nil {
		return err
	}
	if !bytes.Equal(checkpoint, expected) {
		return fmt.Errorf("the checkpoint of the audit log's %d records is not what the key of %s signs: the log was changed, or another key or origin was used", records, t.w.signer.Name())
	}
	return nil
}

// sign puts the checkpoint of the log as it is now at its head.
func (t *transaction) sign() error {
	checkpoint, err := t.checkpoint()
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO head (id, size, checkpoint) VALUES (1, ?, ?)
		ON CONFLICT (id) DO UPDATE SET size = excluded.size, checkpoint = excluded.checkpoint`, t.tree.Size(), checkpoint)
	return err
}

func (t *transaction) checkpoint() ([]byte, error) {
	return audit.Checkpoint{Origin: t.w.origin, Size: t.tree.Size(), Root: t.tree.Root()}.Sign(t.w.signer)
}

func (t *transaction) readHashes(indexes []int64) ([]tlog.Hash, error) {
	return readHashes(indexes, func(n int64) (stored []byte, err error) {
		err = t.one(`SELECT hashes FROM records WHERE n = ?`, []any{n}, &stored)
		return stored, err
	})
}

// readHashes finds hashes beside the records that completed them, which row gives.
func readHashes(indexes []int64, row func(n int64) ([]byte, error)) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, k := tlog.SplitStoredHashIndex(index)
		n := (k+1)<<level - 1
		stored, err := row(n)
		if err != nil {
			return nil, fmt.Errorf("read the hashes of record %d: %w", n, err)
		}
		at := level * tlog.HashSize
		if len(stored) < at+tlog.HashSize {
			return nil, fmt.Errorf("the hashes of record %d are cut short", n)
		}
		hashes[i] = tlog.Hash(stored[at : at+tlog.HashSize])
	}
	return hashes, nil
}
