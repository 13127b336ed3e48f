package store_test

import (
	"path/filepath"
	"testing"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/store"
	"github.com/curfew-dev/curfew/pkg/store/storetest"
	"golang.org/x/mod/sumdb/note"
)

const origin = "curfew.example.com/audit"

// newKey makes a key for signing checkpoints.
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

func TestSQLiteIsALedger(t *testing.T) {
	signer, verifier := newKey(t)
	storetest.Run(t, storetest.Backend{
		Verifier: verifier,
		Open: func(t *testing.T, place string) storetest.Ledger {
			s, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(place, "curfew.db"), Signer: signer})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		},
	})
}
