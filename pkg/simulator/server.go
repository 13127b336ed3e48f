package simulator

import (
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
	ManageURL string // the back door

	servers []*http.Server
}

// Start serves a new GitHub on two free ports of 127.0.0.1.
func Start(o Options) (*Server, error) {
	s := &Server{GitHub: New(o)}
	var err error
	if s.URL, err = s.listen(s.Handler()); err != nil {
		return nil, err
	}
	if s.ManageURL, err = s.listen(s.Manage()); err != nil {
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

func (s *Server) listen(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen on loopback: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	s.servers = append(s.servers, server)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("simulator: serve: %v", err))
		}
	}()
	return "http://" + l.Addr().String(), nil
}
