package githubapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/secret"
)

const (
	callTimeout = 15 * time.Second
	// maxComplaint bounds what is read of an answer that is not a success.
	maxComplaint = 64 << 10
)

// A call is one request to GitHub.
type call struct {
	method, path string
	body         []byte      // JSON; nil means none
	token        secret.Text // empty: as the App
	anonymous    bool        // neither token nor App
	etag         string
	limit        int64 // how long a successful answer may be; 0: its body is of no interest
}

// An answer is GitHub's, with the body read whole.
type answer struct {
	call   call
	status int
	header http.Header
	body   []byte
}

// lost says that no whole answer came, and whether any of the request left.
type lost struct {
	sent  bool
	cause error
}

func (l *lost) Error() string { return "no whole answer from GitHub: " + l.cause.Error() }
func (l *lost) Unwrap() error { return l.cause }

var (
	errOverlong = errors.New("the answer is longer than it may be")
	errBroken   = errors.New("the connection broke, or what came was not HTTP")
)

// do asks once. Its error is always a [*lost].
func (c *Client) do(ctx context.Context, ask call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var w wire
	req, client, err := c.request(w.watch(ctx), ask)
	if err != nil {
		return answer{}, &lost{false, err}
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, &lost{w.sent(), quiet(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	c.observe(resp.Header)
	body, err := readBody(resp, ask.limit)
	if err != nil {
		return answer{}, &lost{true, err}
	}
	return answer{ask, resp.StatusCode, resp.Header, body}, nil
}

// quiet takes an error of net/http that may quote what was received: a
// connection out of step quotes an earlier answer, token and all.
func quiet(err error) error {
	if strings.Contains(err.Error(), "transport connection broken") {
		return errBroken
	}
	return err
}

func (c *Client) request(ctx context.Context, ask call) (*http.Request, *http.Client, error) {
	var body any
	if ask.body != nil {
		body = json.RawMessage(ask.body)
	}
	req, err := c.requests.NewRequest(ask.method, ask.path, body)
	if err != nil {
		return nil, nil, err
	}
	req = req.WithContext(ctx)
	// Without it net/http can't send the body a second time: whether to repeat is our decision.
	req.GetBody = nil
	if ask.etag != "" {
		req.Header.Set("If-None-Match", ask.etag)
	}
	if ask.anonymous {
		return req, c.asToken, nil
	}
	if ask.token.Empty() {
		return req, c.asApp, nil
	}
	req.Header.Set("Authorization", "Bearer "+ask.token.Reveal())
	return req, c.asToken, nil
}

// readBody reads a success whole, up to limit bytes. Of anything else it reads
// what it can get: the status alone already says no.
func readBody(resp *http.Response, limit int64) ([]byte, error) {
	if limit == 0 || resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, errOverlong
	}
	return body, nil
}

func (a answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// String tells the log which call got which status; nothing of it comes from GitHub's body.
func (a answer) String() string {
	text := fmt.Sprintf("%s %s: %d", a.call.method, a.call.path, a.status)
	if id := a.header.Get("X-GitHub-Request-Id"); id != "" {
		text += fmt.Sprintf(" (request %.64q)", id)
	}
	return text
}
