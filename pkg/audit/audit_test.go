package audit_test

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "curfew.example.com/audit"

// A log is a whole audit log in memory.
type log struct {
	lines    [][]byte
	hashes   []tlog.Hash
	tree     audit.Tree
	signer   note.Signer
	verifier note.Verifier
}

func newLog(t testing.TB, records int) *log {
	t.Helper()
	l := &log{}
	l.signer, l.verifier = newKey(t)
	for i := range records {
		line, err := audit.Record{
			Time: time.Date(2026, 3, 1, 12, 0, i, 0, time.UTC), Event: audit.LeaseIssued, Lease: fmt.Sprint("lease-", i),
		}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		l.append(line)
	}
	return l
}

func newKey(t testing.TB) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := audit.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

func (l *log) append(line []byte) {
	l.lines = append(l.lines, line)
	l.hashes = append(l.hashes, l.tree.Append(tlog.RecordHash(line))...)
}

// checkpoint signs the log as it is now.
func (l *log) checkpoint(t testing.TB) []byte {
	t.Helper()
	signed, err := l.at().Sign(l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (l *log) at() audit.Checkpoint {
	return audit.Checkpoint{Origin: origin, Size: l.tree.Size(), Root: l.tree.Root()}
}

// ReadHashes reads from the flat storage that package tlog describes.
func (l *log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(l.hashes)) {
			return nil, errors.New("beyond the end")
		}
		hashes[i] = l.hashes[index]
	}
	return hashes, nil
}

func sequence(lines [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, line := range lines {
			if !yield(line, nil) {
				return
			}
		}
	}
}

func TestTreeIsThatOfRFC6962(t *testing.T) {
	l := newLog(t, 0)
	for n := range int64(130) {
		want, err := tlog.TreeHash(n, l)
		if err != nil {
			t.Fatal(err)
		}
		if l.tree.Root() != want || l.tree.Size() != n {
			t.Fatalf("the root of %d records is not that of package tlog", n)
		}
		loaded, err := audit.LoadTree(n, l)
		if err != nil || loaded.Root() != want {
			t.Fatalf("the loaded tree of %d records has root %v, %v", n, loaded.Root(), err)
		}
		line := fmt.Appendf(nil, "record %d", n)
		stored, err := tlog.StoredHashes(n, line, l)
		if err != nil {
			t.Fatal(err)
		}
		copied := l.tree
		got := copied.Append(tlog.RecordHash(line))
		if fmt.Sprint(got) != fmt.Sprint(stored) {
			t.Fatalf("record %d: the hashes to store differ from package tlog's", n)
		}
		if l.tree.Root() != want {
			t.Fatal("appending to a copy changed the tree")
		}
		if got := loaded.Append(tlog.RecordHash(line)); fmt.Sprint(got) != fmt.Sprint(stored) {
			t.Fatalf("record %d: a loaded tree appends otherwise", n)
		}
		l.append(line)
	}
	// RFC 6962 section 2.1: the hash of an empty list is the hash of an empty string.
	if got := new(audit.Tree).Root().String(); got != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Errorf("the root of no records is %s", got)
	}
}

func TestLoadTreeNeedsItsHashes(t *testing.T) {
	l := newLog(t, 5)
	if _, err := audit.LoadTree(9, l); err == nil {
		t.Error("a tree was loaded from hashes that are not there")
	}
	if _, err := l.tree.ReadHashes([]int64{tlog.StoredHashIndex(0, 1)}); err == nil {
		t.Error("the edge gives a hash that is not on it")
	}
}

func TestProofsConvinceThirdParties(t *testing.T) {
	l := newLog(t, 100)
	old := l.at()
	for i := range 37 {
		l.append(fmt.Appendf(nil, "more %d", i))
	}
	now := l.at()
	for n := range now.Size {
		p, err := audit.ProveInclusion(now.Size, n, l)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.CheckInclusion(now, n, l.lines[n]); err != nil {
			t.Errorf("record %d: %v", n, err)
		}
		if err := p.CheckInclusion(now, n, append([]byte("x"), l.lines[n]...)); err == nil {
			t.Errorf("record %d: another line is proven", n)
		}
		if err := p.CheckInclusion(now, (n+1)%now.Size, l.lines[n]); err == nil {
			t.Errorf("record %d is proven to be the next", n)
		}
		if err := p.CheckInclusion(old, n, l.lines[n]); err == nil {
			t.Errorf("record %d is proven for another checkpoint", n)
		}
	}
	p, err := audit.ProveConsistency(now.Size, old.Size, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckConsistency(now, old); err != nil {
		t.Error(err)
	}
	old.Root[0] ^= 1
	if err := p.CheckConsistency(now, old); err == nil {
		t.Error("a log is proven to continue another")
	}
	if _, err := audit.ProveInclusion(5, 5, l); err == nil {
		t.Error("a record beyond the end is proven")
	}
	if _, err := audit.ProveConsistency(5, 6, l); err == nil {
		t.Error("a shorter log is proven to continue a longer one")
	}
}

func TestAProofOfAMillionRecordsIsSmall(t *testing.T) {
	const size = 1_000_000
	blank := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return make([]tlog.Hash, len(indexes)), nil })
	p, err := audit.ProveInclusion(size, size/3, blank)
	if err != nil {
		t.Fatal(err)
	}
	if encoded := len(p) * (44 + 3); encoded > 2<<10 {
		t.Errorf("the proof has %d bytes in JSON", encoded)
	}
}

func TestCheckpointIsASignedNote(t *testing.T) {
	l := newLog(t, 3)
	signed := l.checkpoint(t)
	want := origin + "\n3\n" + l.tree.Root().String() + "\n\n— " + origin + " "
	if !strings.HasPrefix(string(signed), want) {
		t.Errorf("got\n%s\nwant it to begin with\n%s", signed, want)
	}
	if got, err := audit.OpenCheckpoint(signed, l.verifier); err != nil || got != l.at() {
		t.Errorf("got %+v, %v", got, err)
	}
	_, stranger := newKey(t)
	if _, err := audit.OpenCheckpoint(signed, stranger); err == nil {
		t.Error("another key of the same name is taken")
	}
	for i := range signed {
		flipped := append([]byte{}, signed...)
		flipped[i] ^= 1
		// The last character of the signature has bits that base64 does not use.
		if got, err := audit.OpenCheckpoint(flipped, l.verifier); err == nil && (i < len(want) || got != l.at()) {
			t.Errorf("byte %d flipped: taken as %+v", i, got)
		}
	}
	for _, bad := range []string{"", "two\nlines"} {
		if _, err := (audit.Checkpoint{Origin: bad}).Sign(l.signer); err == nil {
			t.Errorf("the origin %q is signed", bad)
		}
	}
}

func TestCheckpointIsReadStrictly(t *testing.T) {
	signer, verifier := newKey(t)
	root := new(audit.Tree).Root().String()
	for text, valid := range map[string]bool{
		"o\n7\n" + root + "\n":               true,
		"o\n7\n" + root + "\nan extension\n": true,
		"o\n07\n" + root + "\n":              false,
		"o\n+7\n" + root + "\n":              false,
		"o\n-7\n" + root + "\n":              false,
		"\n7\n" + root + "\n":                false,
		"o\n7\n" + root[:40] + "\n":          false,
		"o\n7\n" + root + " \n":              false,
		"o\n7\n":                             false,
	} {
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := audit.OpenCheckpoint(signed, verifier); (err == nil) != valid {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
