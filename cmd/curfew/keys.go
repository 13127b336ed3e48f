package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// sealer reads the key that seals tokens at rest: 32 bytes in hex. Beside a
// SQLite file a missing one is made on the first start.
func (r *resolved) sealer() (*secret.Sealer, error) {
	content, err := readOrMake(r.SealKey, r.sqlite+".seal-key", func() (string, error) {
		return hex.EncodeToString(secret.NewSealKey()) + "\n", nil
	})
	if err != nil {
		return nil, fmt.Errorf("--seal-key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(content)))
	if err != nil || len(key) != secret.KeySize {
		return nil, fmt.Errorf("--seal-key: the file does not hold %d bytes in hex; make one with: openssl rand -hex %d", secret.KeySize, secret.KeySize)
	}
	return secret.NewSealer(key)
}

// signer reads the key that signs the audit log, in the form of C2SP signed
// notes. When it is made, the public half is written beside it for auditors.
func (r *resolved) signer(host string) (note.Signer, error) {
	public := ""
	content, err := readOrMake(r.AuditKey, auditKeyFile(r.sqlite), func() (string, error) {
		private, verifier, err := audit.NewKey(strings.ReplaceAll(host, "+", "-") + "/audit")
		public = verifier
		return private + "\n", err
	})
	if err != nil {
		return nil, fmt.Errorf("--audit-key: %w", err)
	}
	if public != "" {
		if err := os.WriteFile(publicKeyFile(auditKeyFile(r.sqlite)), []byte(public+"\n"), 0o644); err != nil { //nolint:gosec // a public key is for everybody
			return nil, fmt.Errorf("--audit-key: write the public half: %w", err)
		}
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(content)))
	if err != nil {
		return nil, errors.New("--audit-key: the file does not hold a signed note's private key (PRIVATE+KEY+...)")
	}
	return signer, nil
}

func auditKeyFile(sqlite string) string   { return sqlite + ".audit-key" }
func publicKeyFile(private string) string { return private + ".pub" }

// readOrMake reads a secret file. If no path was given the one beside the data
// is read, and made if it is not there, readable by its owner alone.
func readOrMake(path, beside string, fresh func() (string, error)) ([]byte, error) {
	if path != "" {
		return secret.ReadFile(path)
	}
	content, err := secret.ReadFile(beside)
	if !errors.Is(err, fs.ErrNotExist) {
		return content, err
	}
	text, err := fresh()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(beside))
	}
	return []byte(text), nil
}
