package githubapp

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const minKeyBits = 2048

// ParseKey reads the App's private key from its PEM file: RSA of at least 2048
// bits, in PKCS#1 form as GitHub gives it or in PKCS#8.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/managing-private-keys-for-github-apps
func ParseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the App key holds no PEM block; expected the .pem file that GitHub gave for the App")
	}
	key, err := decodeKey(block)
	if err != nil {
		return nil, err
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// decodeKey leaves the parser's own words out of errors: they may quote the key.
func decodeKey(block *pem.Block) (crypto.Signer, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, errors.New("the App key is encrypted; store it decrypted, readable by the server alone")
		}
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("the App key's PEM block does not hold a valid PKCS#1 RSA key")
		}
		return key, nil
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("the App key's PEM block does not hold a valid PKCS#8 key")
		}
		signer, ok := key.(*rsa.PrivateKey)
		if !ok {
			return nil, errors.New("the App key is not an RSA key; GitHub Apps sign with RS256")
		}
		return signer, nil
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the App key is encrypted; store it decrypted, readable by the server alone")
	}
	return nil, fmt.Errorf("the App key's PEM block is a %q; expected RSA PRIVATE KEY or PRIVATE KEY", block.Type)
}

func checkKey(key crypto.Signer) error {
	if key == nil {
		return errors.New("the App has no key")
	}
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return errors.New("the App key is not an RSA key; GitHub Apps sign with RS256")
	}
	if bits := public.N.BitLen(); bits < minKeyBits {
		return fmt.Errorf("the App key has %d bits; at least %d are needed", bits, minKeyBits)
	}
	return nil
}
