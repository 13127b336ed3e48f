package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// KeySize is the length of a sealing key in bytes.
const KeySize = 32

// A Sealer encrypts texts for storage with AES-256-GCM (NIST SP 800-38D). Each
// sealed text is bound to an id, so that swapping two of them is found out.
type Sealer struct{ aead cipher.AEAD }

// NewSealer makes a sealer from a key of [KeySize] bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a sealing key has %d bytes, got %d", KeySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead}, nil
}

// NewSealKey makes a random key for [NewSealer].
func NewSealKey() []byte {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails: it ends the program instead
	return key
}

// Seal encrypts t for the row called id.
func (s *Sealer) Seal(id string, t Text) []byte {
	return s.aead.Seal(nil, nil, []byte(t.value), []byte(id))
}

// ErrUnsealed says that a sealed text does not open: another key, another id, or changed bytes.
var ErrUnsealed = errors.New("the sealed value does not open with this key for this id")

// Open decrypts what [Sealer.Seal] made for the same id, else [ErrUnsealed].
func (s *Sealer) Open(id string, sealed []byte) (Text, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(id))
	if err != nil {
		return Text{}, ErrUnsealed
	}
	return Text{string(plain)}, nil
}
