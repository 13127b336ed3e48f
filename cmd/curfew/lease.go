package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/secret"
)

type leaseCommand struct {
	List leaseListCommand `cmd:"" help:"List leases, newest first."`
}

// Help is shown below the flags' list.
func (leaseCommand) Help() string { return leaseListCommand{}.Help() }

type leaseListCommand struct {
	Server            string        `required:"" help:"The server's origin." placeholder:"ORIGIN"`
	OperatorTokenFile string        `required:"" help:"File that holds an operator's token." type:"path" placeholder:"FILE"`
	State             []string      `help:"Only these states: pending, active, refused, ending, indeterminate, revoked, gone, expired."`
	Live              bool          `help:"Only leases with a token that works or may work."`
	Owner             string        `help:"Only this owner's."`
	Repository        string        `help:"Only this repository's, named without its owner."`
	Limit             int           `default:"100" help:"At most so many."`
	JSON              bool          `name:"json" help:"Print JSON, one lease a line."`
	Timeout           time.Duration `default:"30s" help:"Give up after this long."`
}

// Help is shown below the flags' list.
func (leaseListCommand) Help() string {
	return "Example:\n\n    curfew lease list --server https://curfew.example.com --operator-token-file token --live"
}

// Run lists leases of a running server.
func (c *leaseListCommand) Run(ctx context.Context, t terminal) error {
	origin, err := api.Origin(c.Server)
	if err != nil {
		return wrongUse{fmt.Errorf("--server: %q: %w", redactURL(c.Server), err)}
	}
	if c.Limit < 1 {
		return wrongUse{fmt.Errorf("--limit: %d is not 1 or more", c.Limit)}
	}
	for _, state := range c.State {
		if !lease.State(state).Valid() {
			return wrongUse{fmt.Errorf("--state: %q is none of pending, active, refused, ending, indeterminate, revoked, gone, expired", state)}
		}
	}
	token, err := readToken(c.OperatorTokenFile)
	if err != nil {
		return wrongUse{fmt.Errorf("--operator-token-file: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	leases, err := c.fetch(ctx, origin, token)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, leases)
	}
	return printLeases(t.out, leases)
}

// readToken reads a file of one line, which is a secret.
func readToken(path string) (secret.Text, error) {
	content, err := secret.ReadFile(path)
	if err != nil {
		return secret.Text{}, err
	}
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return secret.Text{}, fmt.Errorf("%s does not hold one token on one line", path)
	}
	return secret.New(token), nil
}

// fetch follows the pages until there are enough leases or no more.
func (c *leaseListCommand) fetch(ctx context.Context, origin string, token secret.Text) ([]api.LeaseView, error) {
	const page = 1000
	query := url.Values{"state": c.State}
	for name, value := range map[string]string{"owner": c.Owner, "repository": c.Repository} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if c.Live {
		query.Set("live", "true")
	}
	var leases []api.LeaseView
	for {
		query.Set("limit", strconv.Itoa(min(page, c.Limit-len(leases))))
		var list api.LeaseList
		if err := getJSON(ctx, origin+api.PathLeases+"?"+query.Encode(), token, &list); err != nil {
			return nil, err
		}
		leases = append(leases, list.Leases...)
		if list.Next == "" || len(leases) >= c.Limit {
			return leases, nil
		}
		query.Set("after", list.Next)
	}
}

// getJSON asks an operators' route. A refusal becomes an error in the server's words.
func getJSON(ctx context.Context, address string, token secret.Text, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the server gave no answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body := json.NewDecoder(io.LimitReader(response.Body, 16<<20))
	if response.StatusCode == http.StatusOK {
		return body.Decode(into)
	}
	var refusal api.ErrorBody
	if err := body.Decode(&refusal); err != nil || refusal.Code == "" {
		return fmt.Errorf("the server answers %s", response.Status)
	}
	return fmt.Errorf("the server refused (%s): %s; %s", refusal.Code, refusal.ErrorDescription, refusal.Hint)
}

func printJSON(w io.Writer, leases []api.LeaseView) error {
	enc := json.NewEncoder(w)
	for _, l := range leases {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

func printLeases(w io.Writer, leases []api.LeaseView) error {
	if len(leases) == 0 {
		_, err := fmt.Fprintln(w, "no leases")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "LEASE\tSTATE\tCAUSE\tGRANT\tPERMISSIONS\tREPOSITORIES\tRUN\tEXPIRES\tENDED") // Flush tells of errors
	for _, l := range leases {
		names := make([]string, len(l.Repositories))
		for i, r := range l.Repositories {
			names[i] = l.Owner + "/" + r.Name
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d.%d\t%s\t%s\n", l.LeaseID, l.State, orDash(l.Cause), l.Grant,
			l.Permissions, strings.Join(names, ","), l.Job.RunID, l.Job.RunAttempt, moment(l.ExpiresAt), moment(l.EndedAt))
	}
	return table.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
