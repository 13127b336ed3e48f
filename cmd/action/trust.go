package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// imageRoots is where the action's image, and Debian and its kin, keep the
// certificate authorities.
const imageRoots = "/etc/ssl/certs/ca-certificates.crt"

// forget removes variables that earlier steps of the job can set and that change
// whom the standard library trusts. Removing GODEBUG takes effect at once: the
// runtime tells every setting to read its value anew.
func forget(names ...string) {
	for _, name := range names {
		_ = os.Unsetenv(name) // fails only for names that can't be in the environment
	}
}

// trustedRoots reads the image's own certificate authorities; machines that keep
// them elsewhere are asked for theirs.
func trustedRoots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return x509.SystemCertPool()
	}
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return roots, nil
}
