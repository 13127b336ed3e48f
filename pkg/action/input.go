package action

import (
	"crypto/x509"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// wish is what the inputs ask for.
type wish struct {
	server       string // origin
	grant        string
	owner        string
	repositories []string // names
	named        bool     // the repositories are named; otherwise it is this one
	organization bool     // organisation permissions alone: no repository
	permissions  scope.Permissions
	duration     time.Duration
	reason       string
	ca           []byte // PEM
	exportEnv    []string
}

// The longest and shortest life a token may be asked for, and how much may be said about why.
const (
	maxDuration = time.Hour
	minDuration = 5 * time.Second
	maxReason   = 1 << 10
)

// A badInput says which input was wrong, what was got, and what is accepted.
type badInput struct{ name, got, accepted string }

func (b badInput) Error() string {
	got := "got nothing"
	if b.got != "" {
		got = fmt.Sprintf("got %q", clip(b.got, 100))
	}
	return fmt.Sprintf("input %s: %s; accepted: %s", b.name, got, b.accepted)
}

// badInputs are all inputs that were wrong.
type badInputs []error

func (b badInputs) Error() string { return fmt.Sprintf("%d inputs are wrong", len(b)) }

// Input names, as action.yml lists them.
const (
	inputServer       = "server"
	inputGrant        = "grant"
	inputOwner        = "owner"
	inputRepositories = "repositories"
	inputPermissions  = "permissions"
	inputDuration     = "duration"
	inputReason       = "reason"
	inputCA           = "ca-certificate"
	inputExportEnv    = "export-env"
)

// wish reads all inputs; the error is [badInputs].
func (p *phase) wish() (w wish, err error) {
	var bad badInputs
	for _, read := range []func(*wish) error{p.readServer, p.readGrant, p.readTarget, p.readPermissions, p.readDuration, p.readReason, p.readCA, p.readExportEnv} {
		if err := read(&w); err != nil {
			bad = append(bad, err)
		}
	}
	if len(bad) > 0 {
		return w, bad
	}
	return w, nil
}

func (p *phase) readServer(w *wish) (err error) {
	got := p.gh.GetInput(inputServer)
	if w.server, err = api.Origin(got); err != nil {
		accepted := "the https address of your Curfew server, such as https://curfew.example.com"
		if got != "" {
			accepted += "; " + err.Error()
		}
		return badInput{inputServer, got, accepted}
	}
	return nil
}

var grantName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

func (p *phase) readGrant(w *wish) error {
	w.grant = p.gh.GetInput(inputGrant)
	if !grantName.MatchString(w.grant) {
		return badInput{inputGrant, w.grant, "the name of a grant in your policy: a-z first, then a-z, 0-9 and hyphens, 63 characters at most"}
	}
	return nil
}

func (p *phase) readDuration(w *wish) (err error) {
	got := p.gh.GetInput(inputDuration)
	if got == "" {
		return nil
	}
	w.duration, err = time.ParseDuration(got)
	if err != nil || w.duration < minDuration || w.duration > maxDuration || w.duration%time.Second != 0 {
		return badInput{inputDuration, got, "a time from 5s to 1h in whole seconds, such as 15m"}
	}
	return nil
}

func (p *phase) readReason(w *wish) error {
	w.reason = p.gh.GetInput(inputReason)
	if len(w.reason) > maxReason || !utf8.ValidString(w.reason) {
		return badInput{inputReason, w.reason, "at most 1024 bytes of UTF-8 text"}
	}
	return nil
}

func (p *phase) readCA(w *wish) error {
	pem := p.gh.GetInput(inputCA)
	if pem != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(pem)) {
		return badInput{inputCA, pem, "certificates in PEM form, each from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"}
	}
	w.ca = []byte(pem)
	return nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// readExportEnv refuses the names that the runner keeps for itself.
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables#naming-conventions-for-configuration-variables
func (p *phase) readExportEnv(w *wish) error {
	for _, name := range list(p.gh.GetInput(inputExportEnv)) {
		upper := strings.ToUpper(name)
		reserved := upper == "NODE_OPTIONS"
		for _, prefix := range []string{"GITHUB_", "RUNNER_", "ACTIONS_", "INPUT_", "STATE_"} {
			reserved = reserved || strings.HasPrefix(upper, prefix)
		}
		if reserved || !variableName.MatchString(name) {
			return badInput{inputExportEnv, name, "names of environment variables, such as GH_TOKEN; not those that the runner keeps: GITHUB_*, RUNNER_*, ACTIONS_*, INPUT_*, STATE_*, NODE_OPTIONS"}
		}
		w.exportEnv = append(w.exportEnv, name)
	}
	return nil
}

// list splits at commas and line ends, and drops what is empty.
func list(text string) []string {
	var entries []string
	for entry := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}
