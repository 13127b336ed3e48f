package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A Proof is a path of hashes through the tree, at most 63: 44 bytes each in JSON, so
// 1.2 KB for a hundred million records.
type Proof []tlog.Hash

// ProveInclusion proves that record n is one of those that a checkpoint of the
// given size vouches for (RFC 6962 section 2.1.1). It reads O(log size) stored hashes.
func ProveInclusion(size, n int64, stored tlog.HashReader) (Proof, error) {
	p, err := tlog.ProveRecord(size, n, stored)
	if err != nil {
		return nil, fmt.Errorf("prove record %d of %d: %w", n, size, err)
	}
	return Proof(p), nil
}

// CheckInclusion fails unless p proves that the encoded record is number n of
// those that c vouches for.
func (p Proof) CheckInclusion(c Checkpoint, n int64, record []byte) error {
	if err := tlog.CheckRecord(tlog.RecordProof(p), c.Size, c.Root, n, tlog.RecordHash(record)); err != nil {
		return fmt.Errorf("record %d is not proven to be in the log of %d: %w", n, c.Size, err)
	}
	return nil
}

// ProveConsistency proves that the log of size records continues the one of
// old, 1 or more (RFC 6962 section 2.1.2). It reads O(log size) stored hashes.
func ProveConsistency(size, old int64, stored tlog.HashReader) (Proof, error) {
	p, err := tlog.ProveTree(size, old, stored)
	if err != nil {
		return nil, fmt.Errorf("prove that a log of %d continues one of %d: %w", size, old, err)
	}
	return Proof(p), nil
}

// CheckConsistency fails unless p proves that c's log continues older's.
func (p Proof) CheckConsistency(c, older Checkpoint) error {
	if err := tlog.CheckTree(tlog.TreeProof(p), c.Size, c.Root, older.Size, older.Root); err != nil {
		return fmt.Errorf("the log of %d is not proven to continue that of %d: %w", c.Size, older.Size, err)
	}
	return nil
}
