package audit

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint says how many records a log had and what their root was. Signed
// and kept elsewhere, it holds the log to its past.
type Checkpoint struct {
	Origin string    `json:"origin"` // whose log it is
	Size   int64     `json:"size"`
	Root   tlog.Hash `json:"root"`
}

// Sign makes a signed note of the checkpoint.
// https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note
func (c Checkpoint) Sign(signer note.Signer) ([]byte, error) {
	if c.Origin == "" || strings.Contains(c.Origin, "\n") {
		return nil, errors.New("the origin of a log is one line that is not empty")
	}
	text := c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Root.String() + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint: %w", err)
	}
	return signed, nil
}

// OpenCheckpoint reads a signed note and fails unless verifier's key signed it.
// Lines after the root are allowed, as the format has them, and left out.
func OpenCheckpoint(signed []byte, verifier note.Verifier) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open the checkpoint: %w", err)
	}
	lines := strings.SplitN(n.Text, "\n", 4)
	if len(lines) < 4 || lines[0] == "" {
		return Checkpoint{}, errors.New("the checkpoint lacks origin, size or root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("the checkpoint's size is %q", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("the checkpoint's root is %q", lines[2])
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: tlog.Hash(root)}, nil
}

// NewKey makes an Ed25519 key for signing checkpoints, named after the log's
// origin: skey is for [note.NewSigner] and secret, vkey for [note.NewVerifier] and public.
func NewKey(origin string) (skey, vkey string, err error) {
	return note.GenerateKey(rand.Reader, origin)
}
