package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

type healthCommand struct {
	Listen string `default:"127.0.0.1:8080" help:"The server's --listen."`
	TLS    bool   `name:"tls" help:"The server serves TLS itself."`
}

// Help is shown below the flags' list.
func (healthCommand) Help() string {
	return "Example:\n\n    curfew health --listen 127.0.0.1:8080\n\nExits with 1 if the server does not answer."
}

// Run asks /healthz on loopback and fails unless the answer is 200. The
// certificate is not checked: it is made out to the public name.
func (c *healthCommand) Run(ctx context.Context) error {
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return wrongUse{fmt.Errorf("--listen: %q is not of the form HOST:PORT", c.Listen)}
	}
	transport := &http.Transport{TLSClientConfig: tlsWith(nil)}
	scheme := "http"
	if c.TLS {
		scheme = "https"
		transport.TLSClientConfig.InsecureSkipVerify = true // loopback, and nothing secret is sent
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort("127.0.0.1", port)+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz answers %s", response.Status)
	}
	return nil
}
