package secret

import (
	"fmt"
	"io"
	"os"
)

// maxFile bounds a key file; a 16384-bit RSA key in PEM form has 13 KiB.
const maxFile = 64 << 10

// ReadFile reads a file that holds a secret. It refuses a file that
// everybody may read or write (the group may: secrets mounted into containers need
// it), one that is not a regular file, and one over 64 KiB.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if mode := st.Mode().Perm(); mode&0o007 != 0 {
		return nil, fmt.Errorf("%s has mode %04o: everybody on this machine can reach this secret; run: chmod o= %s", path, mode, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes, too large for a key", path, maxFile)
	}
	return content, nil
}
