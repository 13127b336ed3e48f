//go:build !slim

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-dev/curfew/pkg/simulator"
	"github.com/curfew-dev/curfew/pkg/store"
)

// spellings are the ways in which a secret could show.
func spellings(value string) []string {
	all := []string{
		value, url.QueryEscape(value), hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))),
		base64.StdEncoding.EncodeToString([]byte("x-access-token:" + value)),
	}
	for shift := range 3 { // base64 looks otherwise at each offset; a window in the middle is the same at one of them
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", shift) + value))
		if len(encoded) > 24 {
			all = append(all, encoded[8:len(encoded)-8])
		}
	}
	return append(all, strings.FieldsFunc(value, func(r rune) bool { return r == '.' || r == '\n' })...)
}

// leaks looks for secrets, in all their spellings, in named texts.
func leaks(secrets []string, texts map[string][]byte) (found []string) {
	for _, value := range secrets {
		for _, spelling := range spellings(value) {
			if len(spelling) < 12 {
				continue // a JWT's shortest part is longer; a shorter text could be anything
			}
			for name, text := range texts {
				if bytes.Contains(text, []byte(spelling)) {
					found = append(found, name+" holds "+spelling[:6]+"...")
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// The whole demo is played, and everything that it wrote is searched for every
// secret that it made: GitHub tokens with their parts, OIDC tokens, handles,
// the runner's request tokens, the App's key.
func TestNoSecretShows(t *testing.T) {
	dir := t.TempDir()
	self := filepath.Join(dir, "curfew")
	if out, err := exec.Command("go", "build", "-o", self, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	told := newTelling(terminal{&out, &errs}, false)
	s, err := setStage(t.Context(), self, root, dir, "", told)
	if err != nil {
		t.Fatal(err)
	}
	defer s.strike()
	if err := s.buildAction(t.Context()); err != nil {
		t.Fatal(err)
	}
	told.world(s)
	for _, play := range acts[:len(acts)-1] { // the last one damages the log
		if err := told.act(t.Context(), play, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.stopServer(); err != nil {
		t.Fatal(err)
	}
	if err := told.close(); err != nil {
		t.Errorf("not every act held:\n%s", out.String())
	}

	secrets, texts := s.secrets(t), s.texts(t)
	texts["the demo's output"] = append(out.Bytes(), errs.Bytes()...)
	if len(secrets) < 12 || len(texts) < 12 {
		t.Fatalf("only %d secrets and %d texts were gathered", len(secrets), len(texts))
	}
	for _, leak := range leaks(secrets, texts) {
		t.Error(leak)
	}
	t.Logf("%d secrets in all their spellings, looked for in %d texts", len(secrets), len(texts))

	for _, value := range secrets { // the scan itself must be able to fail
		for _, spelling := range spellings(value) {
			if planted := map[string][]byte{"planted": []byte("so " + spelling + " it is")}; len(spelling) >= 12 && len(leaks([]string{value}, planted)) == 0 {
				t.Errorf("a planted leak is not found")
			}
		}
	}
}

// secrets lists what must not show.
func (s *stage) secrets(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, m := range s.github.Mints() {
		all = append(all, m.Token)
	}
	for _, r := range s.results {
		all = append(all, r.Masks...) // OIDC tokens, handles, request tokens; the action masks them all
	}
	key, err := os.ReadFile(s.path("app.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(key)) {
		if line = strings.TrimSpace(line); len(line) == 64 {
			all = append(all, line)
		}
	}
	seal, err := os.ReadFile(s.path("curfew.db.seal-key"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return append(slices.Compact(all), strings.TrimSpace(string(seal)))
}

// texts gathers all that was written where people or machines may read it.
func (s *stage) texts(t *testing.T) map[string][]byte {
	t.Helper()
	texts := map[string][]byte{}
	for _, name := range []string{"server.log", "curfew.db", "curfew.db-wal", "curfew.db.audit-key.pub"} {
		content, err := os.ReadFile(s.path(name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		texts[name] = content
	}
	for i, r := range s.results {
		annotations, err := json.Marshal(r.Annotations)
		if err != nil {
			t.Fatal(err)
		}
		id := string(rune('1' + i))
		texts["job log "+id], texts["summary "+id], texts["annotations "+id] = []byte(r.Log), []byte(r.Summaries), annotations
	}
	log, err := store.OpenReadOnly(t.Context(), "sqlite:"+s.path("curfew.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	for record, err := range log.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		texts["audit records"] = append(texts["audit records"], record...)
	}
	return texts
}

// Refusals are searched for what was sent in.
func TestNoSecretShowsInRefusals(t *testing.T) {
	w := newWorld(t)
	good := w.oidc(w.job(nil), nil)
	forged := good[:len(good)-8] + "AAAAAAAA"
	const short = "ghs_0123456789abcdefghijABCDEFGHIJ012345" // a GitHub token of the old form, sent in the wrong place
	texts := map[string][]byte{}
	for name, o := range map[string]outcome{
		"as a scope":     w.exchange(good, url.Values{"scope": {short}}),
		"as a grant":     w.exchange(good, url.Values{"grant": {short}}),
		"as a resource":  w.exchange(good, url.Values{"resource": {short}}),
		"forged":         w.exchange(forged, nil),
		"twice":          w.exchange(good+good, nil),
		"wrong grant":    w.exchange(good, url.Values{"grant": {"nothing"}}),
		"replayed":       w.exchange(good, nil),
		"as a reason":    w.exchange(w.oidc(w.job(func(j *simulator.Job) { j.Ref = "refs/heads/x" }), nil), url.Values{"scope": {good}}),
		"as a bearer":    w.post("/v1/jobs/end", nil, "Authorization", "Bearer "+forged),
		"as a parameter": w.post("/v1/revoke", url.Values{"token": {"x"}, good: {"x"}}),
	} {
		body, err := json.Marshal(o.refused)
		if err != nil || o.status == http.StatusOK {
			t.Errorf("%s: status %d, %v", name, o.status, err)
		}
		texts[name] = body
	}
	texts["the server's log"] = []byte(w.log.String())
	for _, leak := range leaks([]string{short, short[13:], good, forged, string(w.appKey)}, texts) {
		t.Error(leak)
	}
}
