package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/exchange"
	"github.com/curfew-dev/curfew/pkg/githubapp"
	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/policy"
	"github.com/curfew-dev/curfew/pkg/rulebook"
	"github.com/curfew-dev/curfew/pkg/server"
	"github.com/curfew-dev/curfew/pkg/store"
)

// drainFor bounds how long a server that is asked to stop waits for what is in flight.
const drainFor = 30 * time.Second

type serveCommand struct {
	settings
}

// Help is shown below the flags' list.
func (serveCommand) Help() string {
	return "Example:\n\n    curfew serve --url https://curfew.example.com --app-id Iv23abc --app-key app.pem --policy ./policy"
}

// Run serves until ctx ends, then drains: what is in flight is finished, new exchanges are refused.
func (c *serveCommand) Run(ctx context.Context, t terminal) error {
	r, err := c.resolve(os.Getenv)
	if err != nil {
		return err
	}
	log, err := newLog(t.err, r.Log)
	if err != nil {
		return wrongUse{fmt.Errorf("--log: %w", err)}
	}
	s, err := open(ctx, r, log)
	if err != nil {
		return err
	}
	return s.serve(ctx)
}

// An exchanger is a whole server, wired.
type exchanger struct {
	log      *slog.Logger
	now      func() time.Time
	listener net.Listener
	tls      [2]string
	github   *githubapp.Client
	book     *rulebook.Book
	verifier *identity.Verifier
	ledger   *store.Store
	hall     *exchange.Hall
	face     *server.Server
	origin   string
	known    atomic.Pointer[githubapp.App]
}

// open wires a server and opens its listener; it does not answer yet.
func open(ctx context.Context, r resolved, log *slog.Logger) (_ *exchanger, err error) {
	s := &exchanger{log: log, now: r.now, tls: [2]string{r.TLSCertificate, r.TLSKey}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.listener, err = net.Listen("tcp", r.Listen); err != nil {
		return nil, wrongUse{fmt.Errorf("--listen: %w; choose another address, or port 0 for any that is free", err)}
	}
	if s.origin, err = publicOrigin(r.url, s.listener.Addr()); err != nil {
		return nil, wrongUse{fmt.Errorf("--url: %w", err)}
	}
	if err := s.openOutside(r); err != nil {
		return nil, err
	}
	if err := s.openLedger(ctx, r); err != nil {
		return nil, err
	}
	sealer, err := r.sealer()
	if err != nil {
		return nil, wrongUse{err}
	}
	s.hall = exchange.New(exchange.Parts{
		Verifier: s.verifier, Rules: s.book, Ledger: s.ledger, Minter: s.github,
		Sealer: sealer, Now: s.now, Log: log,
	})
	s.face = server.New(server.Options{
		Origin: s.origin, Web: r.web, Hall: s.hall, Leases: s.ledger, App: s.app, Ready: s.ready,
		OperatorTokens: r.operators, TrustedProxies: r.proxies, Now: s.now, Log: log,
	})
	return s, nil
}

// openOutside makes what looks at the outer world: issuers, GitHub, policy files.
func (s *exchanger) openOutside(r resolved) (err error) {
	s.verifier, err = identity.NewVerifier(identity.Options{
		Issuers: r.Issuer, Audience: s.origin, HTTP: issuerClient(r), Now: s.now, Log: s.log,
	})
	if err != nil {
		return wrongUse{fmt.Errorf("--issuer: %w", err)}
	}
	s.github, err = githubapp.New(githubapp.Options{
		API: r.GitHub, AppID: r.AppID, Key: r.appKey, Roots: r.roots, Now: s.now, Log: s.log,
		UserAgent: "curfew/" + versionText(),
	})
	if err != nil {
		return wrongUse{fmt.Errorf("--github, --app-id: %w", err)}
	}
	s.book, err = rulebook.Open(rulebook.Options{
		Dir: r.Policy, DefaultIssuer: r.Issuer[0], GitHub: s.github, Now: s.now, Log: s.log, OnChange: s.policyChanged,
	})
	if err != nil {
		return wrongUse{fmt.Errorf("--policy: %w", err)}
	}
	return nil
}

// openLedger opens the store and settles what a crash left behind.
func (s *exchanger) openLedger(ctx context.Context, r resolved) error {
	origin, err := url.Parse(s.origin)
	if err != nil {
		return err
	}
	signer, err := r.signer(origin.Hostname())
	if err != nil {
		return wrongUse{err}
	}
	if s.ledger, err = store.Open(ctx, store.Options{URL: r.Database, Log: s.log, Signer: signer, Now: s.now}); err != nil {
		return fmt.Errorf("--database: %w", err)
	}
	lost, err := s.ledger.Recover(ctx, s.now())
	if lost > 0 {
		s.log.Warn("intents from before the start have no known answer; they are indeterminate until GitHub's hour is over", "leases", lost)
	}
	return err
}

// serve answers until ctx ends, and then drains.
func (s *exchanger) serve(ctx context.Context) error {
	defer s.close()
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var sweeping sync.WaitGroup
	defer func() {
		stop()
		sweeping.Wait() // a sweep writes to the ledger until its last lease is settled
	}()
	sweeping.Go(func() { s.hall.Run(work) })
	go s.verifier.Warm(work)
	go s.meetApp(work)

	web := server.HTTPServer(s.face.Handler(), s.log)
	failed := make(chan error, 1)
	go func() {
		if s.tls[0] != "" {
			failed <- web.ServeTLS(s.listener, s.tls[0], s.tls[1])
		} else {
			failed <- web.Serve(s.listener)
		}
	}()
	s.log.Info("listening", "url", s.origin, "address", s.listener.Addr().String(), "version", versionText())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.log.Info("draining")
	s.face.Drain()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	err := web.Shutdown(last)
	s.hall.Wait()
	s.book.Close(last)
	s.github.Close(last)
	s.log.Info("stopped")
	return err
}

func (s *exchanger) close() {
	if s.listener != nil {
		_ = s.listener.Close() // closed already after a drain
	}
	if s.ledger != nil {
		if err := s.ledger.Close(); err != nil {
			s.log.Error("the ledger did not close well", "error", err)
		}
	}
}

// meetApp learns the App's name from GitHub, however long that takes.
func (s *exchanger) meetApp(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		app, err := s.github.App(ctx)
		if err == nil {
			s.known.Store(&app)
			s.log.Info("speaking to GitHub", "app", app.Slug, "app_id", app.ID)
			return
		}
		s.log.Warn("GitHub does not tell who the App is; trying again", "error", err, "wait", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// app is the App as far as it is known by now.
func (s *exchanger) app() githubapp.App {
	if app := s.known.Load(); app != nil {
		return *app
	}
	return githubapp.App{}
}

// ready says why no token could be issued now, or nil.
func (s *exchanger) ready(ctx context.Context) error { return s.ledger.Ping(ctx) }

// policyChanged records that a policy file has other content than before.
func (s *exchanger) policyChanged(p policy.Source) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.ledger.Record(ctx, exchange.PolicyChanged(p, s.now())); err != nil {
		s.log.Error("a changed policy could not be recorded", "path", p.Path, "error", err)
	}
}

// publicOrigin is the configured origin; on loopback, port 0 stands for the port that the listener got.
func publicOrigin(configured string, address net.Addr) (string, error) {
	host, anyPort := strings.CutSuffix(configured, ":0")
	if !anyPort {
		return configured, nil
	}
	origin, err := api.Origin(fmt.Sprintf("%s:%d", host, address.(*net.TCPAddr).Port))
	if err != nil {
		return "", err
	}
	if u, err := url.Parse(origin); err != nil || !api.Loopback(u.Hostname()) {
		return "", errors.New("port 0 is for loopback addresses only")
	}
	return origin, nil
}

// issuerClient fetches key sets under the configured roots.
func issuerClient(r resolved) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tlsWith(r.roots)
	return &http.Client{Transport: transport}
}
