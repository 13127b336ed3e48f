package audit

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Report is what [Verify] found.
type Report struct {
	Records    int64      `json:"records"`    // how many the log holds
	Root       tlog.Hash  `json:"root"`       // recomputed from them
	Checkpoint Checkpoint `json:"checkpoint"` // what the log's own checkpoint says
	Kept       int        `json:"kept"`       // checkpoints kept elsewhere that agree
	// Problem says what is wrong; empty if every record is as it was signed.
	Problem string `json:"problem,omitempty"`
	// First is the index, from 0, of the first record known to be bad; -1 if none is or it can't be told.
	First int64 `json:"first"`
}

// A Gap is the error of a sequence of records that lacks the one at Index.
type Gap struct{ Index int64 }

// Error names the record.
func (g *Gap) Error() string { return fmt.Sprintf("record %d is missing", g.Index) }

// Verify reads a whole log, recomputes its Merkle root (RFC 6962) and holds it
// against the log's own checkpoint and those kept elsewhere. It trusts nothing
// but verifier's key: a record that was flipped, deleted, reordered or inserted
// changes the root; a log cut short and signed again contradicts a kept
// checkpoint. What is wrong with the log stands in the report; the error is for
// a log that can't be read. Memory stays constant however long the log.
func Verify(records iter.Seq2[[]byte, error], checkpoint []byte, verifier note.Verifier, kept ...[]byte) (Report, error) {
	report := Report{First: -1}
	promises, err := openKept(kept, verifier)
	if err != nil {
		return report, err
	}
	own, ownErr := OpenCheckpoint(checkpoint, verifier)
	report.Checkpoint = own

	var tree Tree
	check := func() {
		for len(promises) > 0 && promises[0].Size == tree.Size() {
			report.hold(promises[0], &tree, own.Origin)
			promises = promises[1:]
		}
	}
	check()
	for record, err := range records {
		var gap *Gap
		if errors.As(err, &gap) {
			report.Records, report.Root, report.First = tree.Size(), tree.Root(), gap.Index
			report.Problem = gap.Error()
			return report, nil
		}
		if err != nil {
			return report, fmt.Errorf("read record %d: %w", tree.Size(), err)
		}
		tree.Append(tlog.RecordHash(record))
		check()
	}
	report.Records, report.Root = tree.Size(), tree.Root()
	switch {
	case report.Problem != "":
	case ownErr != nil:
		report.Problem = ownErr.Error()
	case own.Size != tree.Size():
		report.Problem = fmt.Sprintf("the log holds %d records, its checkpoint vouches for %d", tree.Size(), own.Size)
	case own.Root != tree.Root():
		report.Problem = fmt.Sprintf("the %d records are not those that were signed: their root is %s, the checkpoint's is %s", own.Size, tree.Root(), own.Root)
	case len(promises) > 0:
		report.Problem = fmt.Sprintf("the log was cut short: it holds %d records, a checkpoint kept elsewhere vouches for %d", tree.Size(), promises[0].Size)
	}
	return report, nil
}

// hold compares the tree with a kept checkpoint of the same size.
func (r *Report) hold(promise Checkpoint, tree *Tree, origin string) {
	switch {
	case r.Problem != "":
	case origin != "" && promise.Origin != origin:
		r.Problem = fmt.Sprintf("a checkpoint kept elsewhere is of the log %q, this one is %q", promise.Origin, origin)
	case promise.Root != tree.Root():
		r.Problem = fmt.Sprintf("the first %d records are not those that a checkpoint kept elsewhere vouches for", promise.Size)
	default:
		r.Kept++
	}
}

// openKept opens the checkpoints kept elsewhere, smallest first. One that this key did not sign proves nothing, so it is an error.
func openKept(kept [][]byte, verifier note.Verifier) ([]Checkpoint, error) {
	var promises []Checkpoint
	for i, signed := range kept {
		c, err := OpenCheckpoint(signed, verifier)
		if err != nil {
			return nil, fmt.Errorf("kept checkpoint %d: %w", i+1, err)
		}
		promises = append(promises, c)
	}
	slices.SortFunc(promises, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	return promises, nil
}

// Locate compares each record with the leaf hash that was stored beside it and
// returns the index of the first that differs or is missing, or -1. Stored hashes prove nothing:
// use it to point at a record after [Verify] has found the log to be wrong.
func Locate(records iter.Seq2[[]byte, error], stored tlog.HashReader) (int64, error) {
	var n int64
	for record, err := range records {
		var gap *Gap
		if errors.As(err, &gap) {
			return gap.Index, nil
		}
		if err != nil {
			return -1, fmt.Errorf("read record %d: %w", n, err)
		}
		leaf, err := stored.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
		if err != nil {
			return -1, fmt.Errorf("read the hash of record %d: %w", n, err)
		}
		if leaf[0] != tlog.RecordHash(record) {
			return n, nil
		}
		n++
	}
	return -1, nil
}
