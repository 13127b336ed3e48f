package action

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/secret"
)

const (
	// askBudget bounds all tries to get a token.
	askBudget = 60 * time.Second
	// grace is how long an answer that is under way is waited for when the job is
	// cancelled: the runner kills 10 s after its first signal, and a lease must
	// still be ended in them.
	grace = 4 * time.Second
	// hurriedBudget bounds the ending of a lease in the rest of those 10 s.
	hurriedBudget = 4 * time.Second
)

var errStopped = errors.New("the job was cancelled or timed out before the token could be used")

// Main is the action's first phase: it returns the exit code, 0 only when later
// steps have a token. When ctx ends (the runner sends SIGINT, then SIGTERM), the
// lease that may be half made is ended first.
func Main(ctx context.Context, env Env) int {
	p := begin(env)
	if err := p.main(ctx); err != nil {
		p.report(err)
		return 1
	}
	return 0
}

func (p *phase) main(ctx context.Context) error {
	w, err := p.wish()
	if err != nil {
		p.nothingToEnd()
		return err
	}
	p.connect(w.ca)
	o, err := p.prepare(w)
	if err != nil {
		p.nothingToEnd()
		return err
	}
	p.say("asking %s for grant %s", w.server, w.grant)
	granted, err := o.obtain(ctx)
	if err != nil {
		return o.giveUp(ctx, err)
	}
	if err := p.handOver(ctx, w, granted); err != nil {
		o.end(ctx, stateOf(w.server, granted), budgetFor(ctx))
		return err
	}
	p.celebrate(w, granted)
	return nil
}

// order is one request and what has become of it.
type order struct {
	*phase
	client  *api.Client
	request api.TokenRequest
	opened  bool // the server may hold a lease that nobody told us of
}

// prepare does all that can fail before the server is asked.
func (p *phase) prepare(w wish) (*order, error) {
	files := []string{outputFile}
	if p.Getenv(stateFile) != "" {
		files = append(files, stateFile)
	}
	if len(w.exportEnv) > 0 {
		files = append(files, envFile)
	}
	if err := p.writable(files...); err != nil {
		return nil, err
	}
	client, err := api.NewClient(w.server, p.http)
	if err != nil {
		return nil, err
	}
	resources, err := w.resources(p.Getenv("GITHUB_SERVER_URL"))
	if err != nil {
		return nil, err
	}
	return &order{phase: p, client: client, request: api.TokenRequest{
		Resources: resources, Scope: scopeOf(w), Grant: w.grant, Seconds: int(w.duration / time.Second),
		Reason: w.reason, Context: p.context(), IdempotencyKey: rand.Text(),
	}}, nil
}

func scopeOf(w wish) string {
	if w.permissions == nil {
		return ""
	}
	return w.permissions.String()
}

// context says what the workflow was doing, each value in quotes so that none can pose as another.
func (p *phase) context() string {
	var parts []string
	for _, v := range []struct{ name, variable string }{
		{"workflow", "GITHUB_WORKFLOW"}, {"ref", "GITHUB_REF"}, {"event", "GITHUB_EVENT_NAME"}, {"actor", "GITHUB_ACTOR"},
	} {
		if value := p.Getenv(v.variable); value != "" {
			parts = append(parts, v.name+"="+strconv.Quote(clip(value, 200)))
		}
	}
	return strings.Join(parts, " ")
}

// obtain asks until there is a token, a refusal, or no time left. Each try has a
// fresh OIDC token and the same Idempotency-Key.
func (o *order) obtain(ctx context.Context) (granted api.TokenResponse, err error) {
	err = o.retry(ctx, askBudget, func(ctx context.Context) (err error) {
		if o.request.SubjectToken, err = o.idToken(ctx, o.client.Origin()); err != nil {
			return err
		}
		patient, cancel := o.outlive(ctx)
		defer cancel()
		granted, err = o.client.Exchange(patient, o.request)
		var refusal *api.Error
		o.opened = o.opened || (err != nil && !errors.As(err, &refusal))
		return err
	})
	return granted, err
}

// outlive makes a context that lasts a little longer than ctx: an answer on its
// way names the lease to end.
func (p *phase) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	patient := context.WithoutCancel(ctx)
	cancel := context.CancelFunc(func() {})
	if deadline, bounded := ctx.Deadline(); bounded {
		patient, cancel = context.WithDeadline(patient, deadline)
	} else {
		patient, cancel = context.WithCancel(patient)
	}
	stop := context.AfterFunc(ctx, func() {
		_ = p.Sleep(patient, grace) // it ends early when the answer is there
		cancel()
	})
	return patient, func() { stop(); cancel() }
}

// giveUp ends what a failed request may have opened, and gives back what to tell
// people. Where the server could not be reached, Post tries again.
func (o *order) giveUp(ctx context.Context, err error) error {
	if !o.opened {
		o.nothingToEnd()
	}
	var refused *api.RefusedAnswer
	odd := errors.As(err, &refused) && refused.Status < http.StatusBadRequest
	if o.opened && (odd || ctx.Err() != nil) {
		found := secret.Text{}
		if odd {
			found = refused.Found
		}
		o.endUnknown(ctx, found)
	}
	if ctx.Err() != nil {
		return errStopped
	}
	return err
}

// handOver gives the token to later steps, once it is masked and checked. On an
// error the lease must be ended.
func (p *phase) handOver(ctx context.Context, w wish, granted api.TokenResponse) error {
	if err := p.mask(secrets(granted)...); err != nil {
		return fmt.Errorf("the token can't be kept out of the log: %w", err)
	}
	if err := p.remember(stateOf(w.server, granted)); err != nil {
		return err
	}
	if err := w.wider(granted, p.Now()); err != nil {
		return fmt.Errorf("the server's answer goes beyond what was asked, and is refused: %w", err)
	}
	if ctx.Err() != nil {
		return errStopped
	}
	outputs, err := outputs(granted)
	if err != nil {
		return err
	}
	if err := p.record(outputFile, outputs); err != nil {
		return err
	}
	if len(w.exportEnv) == 0 {
		return nil
	}
	var variables []pair
	for _, name := range w.exportEnv {
		variables = append(variables, pair{name, granted.AccessToken.Reveal()})
	}
	return p.record(envFile, variables)
}

// shortestMask keeps a token with tiny parts from turning the whole log to stars.
const shortestMask = 8

// secrets lists the forms in which the token and its handle could show: whole,
// in parts, and as git's HTTP header has it.
func secrets(granted api.TokenResponse) []string {
	token := granted.AccessToken.Reveal()
	forms := []string{token, base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token)), granted.RevocationHandle.Reveal()}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) >= shortestMask && part != token {
			forms = append(forms, part)
		}
	}
	return forms
}

// outputs are those that action.yml lists.
func outputs(granted api.TokenResponse) ([]pair, error) {
	permissions, err := json.Marshal(granted.Permissions)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(granted.Repositories))
	for i, repository := range granted.Repositories {
		names[i] = repository.Name
	}
	return []pair{
		{"token", granted.AccessToken.Reveal()},
		{"lease-id", granted.LeaseID},
		{"expires-at", granted.ExpiresAt.UTC().Format(time.RFC3339)},
		{"owner", granted.Owner},
		{"repositories", strings.Join(names, ",")},
		{"permissions", string(permissions)},
		{"app-slug", granted.AppSlug},
		{"git-user-name", granted.GitUserName},
		{"git-user-email", granted.GitUserEmail},
		{"token-sha256", granted.TokenSHA256},
	}, nil
}
