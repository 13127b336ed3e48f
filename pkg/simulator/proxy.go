package simulator

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// Proxy is an https proxy that leads each host of a table to an address such as
// 127.0.0.1:8443, whatever the port asked for, and refuses every other. Clients
// that insist on github.com find a simulator through it.
// RFC 9110, section 9.3.6
func Proxy(hosts map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := hosts[r.URL.Hostname()]
		if r.Method != http.MethodConnect || address == "" {
			http.Error(w, "this proxy leads nowhere but to a simulator", http.StatusForbidden)
			return
		}
		there, err := net.Dial("tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = there.Close() }() // whatever is left unsaid is lost with the other end
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusHTTPVersionNotSupported)
			return
		}
		defer func() { _ = here.Close() }() // as above
		if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
			return // the client has left
		}
		var both sync.WaitGroup
		both.Go(func() { pour(there, buffered) })
		both.Go(func() { pour(here, there) })
		both.Wait()
	})
}

// pour copies until the source ends, and says so to the other side.
func pour(to io.Writer, from io.Reader) {
	_, _ = io.Copy(to, from) // a side that broke off is noticed by the other
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // likewise
	}
}
