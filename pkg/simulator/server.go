package simulator

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server is a simulated GitHub on two loopback listeners.
type Server struct {
	*GitHub
	URL       string // GitHub's face
	ManageURL string // the back door, always plain http

	CA          []byte          // the authority behind an https URL, as PEM; nil with http
	Certificate tls.Certificate // of an https URL, and for others whose hosts StartTLS named

	servers []*http.Server
}

// Start serves a new GitHub on two free ports of 127.0.0.1.
func Start(o Options) (*Server, error) { return start(o, nil) }

func start(o Options, secure *tls.Config) (*Server, error) {
	s := &Server{GitHub: New(o)}
	var err error
	if s.URL, err = s.listen(s.Handler(), secure); err != nil {
		return nil, err
	}
	if s.ManageURL, err = s.listen(s.Manage(), nil); err != nil {
		s.Close()
		return nil, err
	}
	s.SetURL(s.URL)
	return s, nil
}

// Close stops both listeners, drops every open connection, and removes what git
// left on the disk.
func (s *Server) Close() {
	for _, server := range s.servers {
		_ = server.Close() // the listeners go with the process at the latest
	}
	s.GitHub.Close()
}

// listen serves on a free port of 127.0.0.1, by https unless secure is nil.
func (s *Server) listen(h http.Handler, secure *tls.Config) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen on loopback: %w", err)
	}
	scheme, address := "http://", l.Addr().String()
	if secure != nil {
		l, scheme = tls.NewListener(l, secure), "https://"
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	s.servers = append(s.servers, server)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("simulator: serve: %v", err))
		}
	}()
	return scheme + address, nil
}
