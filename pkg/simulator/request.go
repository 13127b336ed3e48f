package simulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// request is one request, and who it turned out to come from.
type request struct {
	*http.Request
	body  []byte
	fault Fault
	base  string // GitHub's public base URL
	app   *app   // who signed the assertion, on an App's routes
	token *Mint  // on a token's routes
	in    *installation
	repo  *repository // the one the path names
}

// credential is the token that the Authorization header carries, by any of
// GitHub's schemes. With Basic, git's only one, it is the password, or the user
// name when there is no password.
// https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api
func (q *request) credential() string {
	if name, password, basic := q.BasicAuth(); basic {
		if password == "" || password == "x-oauth-basic" { //nolint:gosec // a fixed word, no secret
			return name
		}
		return password
	}
	scheme, value, _ := strings.Cut(q.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "token") {
		return ""
	}
	return value
}

// id is a number in the path; what is none, names nothing.
func (q *request) id(name string) int64 {
	n, err := strconv.ParseInt(q.PathValue(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// members reads a JSON object by exact member names: to GitHub "Permissions" is
// not "permissions", to encoding/json's structs it is.
func (q *request) members() (map[string]json.RawMessage, error) {
	if len(bytes.TrimSpace(q.body)) == 0 {
		return nil, nil
	}
	var members map[string]json.RawMessage
	err := json.Unmarshal(q.body, &members)
	return members, err
}

// text reads one string member; it is empty when the member is absent or something else.
func text(members map[string]json.RawMessage, name string) string {
	var s string
	if json.Unmarshal(members[name], &s) != nil {
		return ""
	}
	return s
}

func problemsParsing() answer { return refuse(http.StatusBadRequest, "Problems parsing JSON") }

// Call is one request that GitHub, its issuer or its id-token endpoint got.
type Call struct {
	Time        time.Time `json:"time"`
	Method      string    `json:"method"`
	Path        string    `json:"path"` // without the query
	Route       string    `json:"route"`
	Status      int       `json:"status"`       // 0 when no answer was sent
	TokenSHA256 string    `json:"token_sha256"` // base64, of whatever credential was presented
}

func (q *request) call(rt route, at time.Time, a answer) Call {
	c := Call{Time: at, Method: q.Method, Path: q.URL.Path, Route: rt.name, Status: a.status}
	if a.ending == dropped || a.ending == hung {
		c.Status = 0
	}
	if credential := q.credential(); credential != "" {
		c.TokenSHA256 = sha256Base64(credential)
	}
	return c
}

func sha256Base64(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (c Call) String() string { return fmt.Sprintf("%s %s %s %d", c.Route, c.Method, c.Path, c.Status) }
