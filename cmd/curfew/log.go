package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
)

// newLog makes the log that --log describes: a level and a format, in either order. On a
// terminal the default format is text.
func newLog(w io.Writer, text string) (*slog.Logger, error) {
	var level slog.Level
	format, levels, formats := "json", 0, 0
	for part := range strings.SplitSeq(text, ",") {
		switch part {
		case "json", "text":
			format = part
			formats++
		default:
			if err := level.UnmarshalText([]byte(part)); err != nil {
				return nil, fmt.Errorf("%q is neither a level (debug, info, warn, error) nor a format (json, text)", part)
			}
			levels++
		}
	}
	if levels > 1 || formats > 1 {
		return nil, fmt.Errorf("%q names more than one level or more than one format", text)
	}
	options := &slog.HandlerOptions{Level: level}
	if format == "text" || isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return slog.New(slog.NewJSONHandler(w, options)), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// tlsWith trusts the given roots, or the system's if nil.
func tlsWith(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}
