package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A Tree is the growing right edge of a Merkle tree (RFC 6962 section 2.1): as
// many hashes as the number of records has binary digits, which is all that
// appending and the root need. It is a value: a copy is a snapshot. The zero
// value is the empty tree.
type Tree struct {
	size int64
	edge [63]tlog.Hash // by level: the last complete subtree of 2^level leaves
}

// LoadTree restores the tree of the first size records from its stored hashes.
func LoadTree(size int64, stored tlog.HashReader) (Tree, error) {
	t := Tree{size: size}
	var levels []int
	var indexes []int64
	for level := len(t.edge) - 1; level >= 0; level-- {
		if size>>level&1 == 1 {
			levels = append(levels, level)
			indexes = append(indexes, tlog.StoredHashIndex(level, size>>level-1))
		}
	}
	hashes, err := stored.ReadHashes(indexes)
	if err != nil {
		return Tree{}, fmt.Errorf("load the tree of %d records: %w", size, err)
	}
	for i, level := range levels {
		t.edge[level] = hashes[i]
	}
	return t, nil
}

// Append adds one leaf, the [tlog.RecordHash] of an encoded record. It returns
// the hashes to store with it: the leaf's, then those of the subtrees that it completes, from level 1 up.
func (t *Tree) Append(leaf tlog.Hash) []tlog.Hash {
	hashes, err := tlog.StoredHashesForRecordHash(t.size, leaf, t)
	if err != nil {
		panic("audit: the edge of the tree is not complete: " + err.Error())
	}
	copy(t.edge[:], hashes)
	t.size++
	return hashes
}

// Size is the number of records.
func (t *Tree) Size() int64 { return t.size }

// Root is the hash that stands for all records and their order.
func (t *Tree) Root() tlog.Hash {
	root, err := tlog.TreeHash(t.size, t)
	if err != nil {
		panic("audit: the edge of the tree is not complete: " + err.Error())
	}
	return root
}

// ReadHashes gives the hashes of the edge and fails for all others. It makes a Tree a [tlog.HashReader].
func (t *Tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if n != t.size>>level-1 {
			return nil, fmt.Errorf("hash %d of level %d is not on the edge of a tree of %d records", n, level, t.size)
		}
		hashes[i] = t.edge[level]
	}
	return hashes, nil
}
