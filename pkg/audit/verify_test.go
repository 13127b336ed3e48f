package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"golang.org/x/mod/sumdb/tlog"
)

// verify gives the report of a log that can be read.
func verify(t testing.TB, l *log, lines [][]byte, checkpoint []byte, kept ...[]byte) audit.Report {
	t.Helper()
	report, err := audit.Verify(sequence(lines), checkpoint, l.verifier, kept...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestAnUntouchedLogVerifies(t *testing.T) {
	for _, records := range []int{0, 1, 2, 3, 7, 8, 100} {
		l := newLog(t, records)
		want := audit.Report{Records: int64(records), Root: l.tree.Root(), Checkpoint: l.at(), First: -1}
		if got := verify(t, l, l.lines, l.checkpoint(t)); got != want {
			t.Errorf("%d records: got %+v", records, got)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	l := newLog(t, 5)
	checkpoint := l.checkpoint(t)
	for n, line := range l.lines {
		for i := range line {
			for bit := range 8 {
				lines := slices.Clone(l.lines)
				lines[n] = bytes.Clone(line)
				lines[n][i] ^= 1 << bit
				if report := verify(t, l, lines, checkpoint); report.Problem == "" {
					t.Fatalf("record %d, byte %d, bit %d flipped: not found", n, i, bit)
				}
				if first, err := audit.Locate(sequence(lines), l); first != int64(n) || err != nil {
					t.Fatalf("record %d, byte %d, bit %d flipped: located at %d, %v", n, i, bit, first, err)
				}
			}
		}
	}
}

func TestEveryEditIsFound(t *testing.T) {
	const records = 9
	l := newLog(t, records)
	checkpoint := l.checkpoint(t)
	check := func(first int, lines [][]byte, edit string, args ...any) {
		t.Helper()
		if report := verify(t, l, lines, checkpoint); report.Problem == "" {
			t.Errorf(edit+": not found", args...)
		}
		if got, _ := audit.Locate(sequence(lines), l); got != int64(first) {
			t.Errorf(edit+": located at %d, want %d", append(args, got, first)...)
		}
	}
	for n := range records {
		cut := n
		if n == records-1 {
			cut = -1 // what is left is as it was
		}
		check(cut, slices.Delete(slices.Clone(l.lines), n, n+1), "record %d deleted", n)
		check(n, slices.Insert(slices.Clone(l.lines), n, []byte("{}")), "a record inserted before %d", n)
		check(-1, l.lines[:n], "all from record %d cut off", n)
		for m := range n {
			swapped := slices.Clone(l.lines)
			swapped[n], swapped[m] = swapped[m], swapped[n]
			check(m, swapped, "records %d and %d swapped", m, n)
		}
	}
	joined := append([][]byte{append(bytes.Clone(l.lines[0]), l.lines[1]...)}, l.lines[2:]...)
	check(0, joined, "two records joined")
	if report := verify(t, l, l.lines[:4], checkpoint); !strings.Contains(report.Problem, "holds 4 records, its checkpoint vouches for 9") {
		t.Errorf("a log cut short is told as %q", report.Problem)
	}
	doubled := verify(t, l, append(slices.Clone(l.lines), l.lines[records-1]), checkpoint)
	if doubled.Problem == "" {
		t.Error("a record appended without a signature: not found")
	}
}

func TestOnlyACheckpointKeptElsewhereFindsALogCutAndSignedAgain(t *testing.T) {
	l := newLog(t, 20)
	kept := l.checkpoint(t)
	cut := newLog(t, 0)
	cut.signer, cut.verifier = l.signer, l.verifier
	for _, line := range l.lines[:15] {
		cut.append(line)
	}
	if report := verify(t, cut, cut.lines, cut.checkpoint(t)); report.Problem != "" {
		t.Fatalf("whoever has the key can sign a shorter log, got %q", report.Problem)
	}
	if report := verify(t, cut, cut.lines, cut.checkpoint(t), kept); !strings.Contains(report.Problem, "cut short") {
		t.Errorf("got %q", report.Problem)
	}
	for i := range 10 { // longer again, but not the same
		cut.append(fmt.Appendf(nil, "forged %d", i))
	}
	if report := verify(t, cut, cut.lines, cut.checkpoint(t), kept); !strings.Contains(report.Problem, "first 20 records") {
		t.Errorf("got %q", report.Problem)
	}
}

func TestKeptCheckpoints(t *testing.T) {
	l := newLog(t, 0)
	kept := [][]byte{l.checkpoint(t)}
	for _, line := range newLog(t, 10).lines {
		l.append(line)
		kept = append(kept, l.checkpoint(t))
	}
	slices.Reverse(kept) // any order
	if report := verify(t, l, l.lines, l.checkpoint(t), kept...); report.Problem != "" || report.Kept != len(kept) {
		t.Errorf("got %+v", report)
	}

	foreign := l.at()
	foreign.Origin = "another.example.com"
	signed, err := foreign.Sign(l.signer)
	if err != nil {
		t.Fatal(err)
	}
	if report := verify(t, l, l.lines, l.checkpoint(t), signed); !strings.Contains(report.Problem, "another.example.com") {
		t.Errorf("a checkpoint of another log: got %q", report.Problem)
	}

	forged := newLog(t, 10) // has a key of its own
	if _, err := audit.Verify(sequence(l.lines), l.checkpoint(t), l.verifier, forged.checkpoint(t)); err == nil {
		t.Error("a kept checkpoint of another key counts")
	}
}

func TestACheckpointThatDoesNotOpenIsAProblem(t *testing.T) {
	l, stranger := newLog(t, 3), newLog(t, 3)
	for name, checkpoint := range map[string][]byte{"none": nil, "not a note": []byte("hello\n"), "another key's": stranger.checkpoint(t)} {
		if report := verify(t, l, l.lines, checkpoint); report.Problem == "" || report.Records != 3 {
			t.Errorf("%s: got %+v", name, report)
		}
	}
}

func TestAGapIsAProblemAndAFailedReadAnError(t *testing.T) {
	l := newLog(t, 5)
	failing := func(failure error) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			if yield(l.lines[0], nil) && yield(l.lines[1], nil) {
				yield(nil, failure)
			}
		}
	}
	report, err := audit.Verify(failing(&audit.Gap{Index: 2}), l.checkpoint(t), l.verifier)
	if err != nil || report.First != 2 || report.Problem == "" {
		t.Errorf("got %+v, %v", report, err)
	}
	if first, err := audit.Locate(failing(&audit.Gap{Index: 2}), l); first != 2 || err != nil {
		t.Errorf("located at %d, %v", first, err)
	}
	broken := errors.New("disk on fire")
	if _, err := audit.Verify(failing(broken), l.checkpoint(t), l.verifier); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := audit.Locate(failing(broken), l); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkVerify verifies a log of a million records, 600 bytes each.
func BenchmarkVerify(b *testing.B) {
	const records = 1_000_000
	line := bytes.Repeat([]byte("x"), 600)
	million := func(yield func([]byte, error) bool) {
		for i := range records {
			line[0], line[1], line[2] = byte(i), byte(i>>8), byte(i>>16)
			if !yield(line, nil) {
				return
			}
		}
	}
	l := newLog(b, 0)
	million(func(line []byte, _ error) bool {
		l.tree.Append(tlog.RecordHash(line))
		return true
	})
	checkpoint := l.checkpoint(b)
	b.ReportAllocs()
	for b.Loop() {
		report, err := audit.Verify(million, checkpoint, l.verifier)
		if err != nil || report.Problem != "" {
			b.Fatal(report, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed()/time.Millisecond)/float64(b.N), "ms/million")
}
