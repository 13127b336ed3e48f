package githubapp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	dialTimeout   = 5 * time.Second
	headerTimeout = 10 * time.Second
	// Shorter than GitHub keeps a silent connection, so that a mint rarely meets one that is just being closed.
	idleTimeout  = 30 * time.Second
	maxIdleConns = 64
)

// newTransport speaks HTTP/1.1 only. There a request has its connection for
// itself, so counting writes on it tells for certain whether any of the request
// left; over HTTP/2 the transport may send a request again on its own.
func newTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	secure := &tls.Dialer{NetDialer: dialer, Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            counting(dialer.DialContext),
		DialTLSContext:         counting(secure.DialContext),
		Protocols:              protocols,
		ResponseHeaderTimeout:  headerTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    maxIdleConns,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
	}
}

type dial = func(ctx context.Context, network, address string) (net.Conn, error)

func counting(d dial) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: conn}, nil
	}
}

// A countedConn counts writes. It counts before it writes, and a connection that
// is closed writes no more: so a count that has not moved when a call
// has failed never moves later.
type countedConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// A wire watches one request and knows whether any of it was written.
type wire struct {
	conn   *countedConn
	before int64
}

func (w *wire) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if conn, ok := got.Conn.(*countedConn); ok {
			w.conn, w.before = conn, conn.writes.Load()
		}
	}})
}

// sent is false only if it is certain that nothing left.
func (w *wire) sent() bool { return w.conn != nil && w.conn.writes.Load() != w.before }
