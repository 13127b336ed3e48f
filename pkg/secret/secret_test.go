package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/secret"
)

func TestTextNeverShows(t *testing.T) {
	const value = "ghs_canary"
	s := secret.New(value)
	holder := struct{ Token secret.Text }{s}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("hello", "token", s, "holder", holder)
	slog.New(slog.NewTextHandler(&log, nil)).Info("hello", "token", s, "holder", holder)
	encoded, err := json.Marshal(map[string]any{"token": s, "holder": holder})
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(encoded) + s.String() + fmt.Sprint(s, &s, holder)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, holder) + fmt.Sprintf(verb, []secret.Text{s})
	}
	if strings.Contains(shown, value) || strings.Contains(shown, fmt.Sprintf("%x", value)) {
		t.Errorf("the value shows in %s", shown)
	}
	if s.Reveal() != value {
		t.Errorf("Reveal gives %q", s.Reveal())
	}
}

func TestDigestIsGitHubsHashedToken(t *testing.T) {
	// printf abc | openssl dgst -sha256 -binary | base64
	if got, want := secret.New("abc").DigestBase64(), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSealed(t *testing.T) {
	sealer, err := secret.NewSealer(secret.NewSealKey())
	if err != nil {
		t.Fatal(err)
	}
	sealed := sealer.Seal("lease-1", secret.New("ghs_canary"))
	if bytes.Contains(sealed, []byte("canary")) {
		t.Error("the sealed form holds the plain text")
	}
	if got, err := sealer.Open("lease-1", sealed); err != nil || got.Reveal() != "ghs_canary" {
		t.Errorf("open gives %v", err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	stranger, _ := secret.NewSealer(secret.NewSealKey())
	for name, open := range map[string]func() (secret.Text, error){
		"another lease's": func() (secret.Text, error) { return sealer.Open("lease-2", sealed) },
		"a changed byte":  func() (secret.Text, error) { return sealer.Open("lease-1", flipped) },
		"another key":     func() (secret.Text, error) { return stranger.Open("lease-1", sealed) },
		"an empty value":  func() (secret.Text, error) { return sealer.Open("lease-1", nil) },
	} {
		if _, err := open(); !errors.Is(err, secret.ErrUnsealed) {
			t.Errorf("%s: got %v, want ErrUnsealed", name, err)
		}
	}
	if _, err := secret.NewSealer([]byte("short")); err == nil {
		t.Error("a short key is taken")
	}
}

func TestReadFileWantsAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := secret.ReadFile(path); err != nil || string(got) != "key" {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, mode := range []os.FileMode{0o604, 0o602, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.ReadFile(path); err == nil || !strings.Contains(err.Error(), "chmod o=") {
			t.Errorf("mode %o: got %v", mode, err)
		}
	}
	if _, err := secret.ReadFile(t.TempDir()); err == nil {
		t.Error("a folder is taken for a file")
	}
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, 64<<10+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.ReadFile(big); err == nil {
		t.Error("an endless key file is taken")
	}
}
