package server_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/api"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// contract is the table of refusals: status, error and codes.
const contract = `
400 invalid_request         malformed bad_form bad_signature unknown_key bad_claims wrong_issuer wrong_audience expired not_yet_valid stale replayed
409 invalid_request         idempotency_mismatch
413 invalid_request         too_large
415 invalid_request         wrong_content_type
400 unsupported_grant_type  unsupported_grant_type
400 invalid_scope           unknown_permission
400 invalid_target          owner_not_served not_installed too_many_repositories
401 invalid_token           bad_operator_token
403 access_denied           no_such_grant no_grant_matches above_grant above_ceiling frozen locked job_over not_granted_to_app reason_required denied
404 invalid_request         not_found
405 invalid_request         method_not_allowed
429 temporarily_unavailable job_quota
429 temporarily_unavailable rate_limited+
500 temporarily_unavailable internal+
502 temporarily_unavailable github_error+ answer_too_wide
504 temporarily_unavailable mint_indeterminate
503 temporarily_unavailable policy_unavailable+ policy_invalid installation_suspended+ issuer_unavailable+ store_unavailable+ pending+ draining+
`

func TestEveryCodeOnTheWire(t *testing.T) {
	listed := map[problem.Code]bool{}
	for row := range strings.Lines(strings.TrimSpace(contract)) {
		fields := strings.Fields(row)
		status, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range fields[2:] {
			name, retryable := strings.CutSuffix(name, "+")
			listed[problem.Code(name)] = true
			s := newStage(t)
			s.refusal = problem.New(problem.Code(name), "told").WithHint("hinted").WithRetryAfter(1500 * time.Millisecond).
				WithMismatches(problem.Mismatch{Rule: "r", Claim: "c", Expected: "e", Got: "g"}).WithCause(errors.New("kept"))
			o := s.token(form())
			want := api.ErrorBody{
				Error: fields[1], ErrorDescription: "told", Code: problem.Code(name), Retryable: retryable, CorrelationID: o.refused.CorrelationID,
				Hint: "hinted", Details: []api.Detail{{Rule: "r", Claim: "c", Expected: "e", Got: "g"}},
			}
			if diff := cmp.Diff(want, o.refused); o.status != status || diff != "" {
				t.Errorf("%s: status %d, want %d (-want +got):\n%s", name, o.status, status, diff)
			}
			wait := "" // Retry-After stands where and only where a retry makes sense
			if retryable {
				wait = "2"
			}
			if got := o.header.Get("Retry-After"); got != wait {
				t.Errorf("%s: Retry-After is %q, want %q", name, got, wait)
			}
			if o.refused.CorrelationID == "" || o.header.Get("X-Correlation-Id") != o.refused.CorrelationID || !strings.Contains(s.log.String(), o.refused.CorrelationID) {
				t.Errorf("%s: the correlation id is not told alike in header, body and log", name)
			}
			if strings.Contains(o.body, "kept") || !strings.Contains(s.log.String(), "kept") {
				t.Errorf("%s: the cause is for the log alone", name)
			}
		}
	}
	for _, code := range codes(t) {
		if !listed[code] {
			t.Errorf("%s has no row", code)
		}
	}
}

// codes reads the vocabulary from its source.
func codes(t *testing.T) (all []problem.Code) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../problem/code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if typed, ok := spec.Type.(*ast.Ident); ok && typed.Name == "Code" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, problem.Code(text))
		}
		return true
	})
	if len(all) < 45 {
		t.Fatalf("found %d codes only", len(all))
	}
	return all
}

func TestARefusalAlwaysNamesATime(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "1", 1: "1", time.Second: "1", 61 * time.Second: "61"} {
		s := newStage(t)
		s.refusal = problem.New(problem.StoreUnavailable, "no").WithRetryAfter(wait)
		if got := s.token(form()).header.Get("Retry-After"); got != want {
			t.Errorf("after %s: Retry-After is %q, want %q", wait, got, want)
		}
	}
}

func TestAnErrorThatIsNoRefusalTellsNothing(t *testing.T) {
	s := newStage(t)
	s.refusal = errors.New("open /var/lib/curfew.db: disk failed")
	o := s.token(form())
	if o.status != http.StatusInternalServerError || o.refused.Code != problem.Internal || strings.Contains(o.body, "curfew.db") {
		t.Errorf("%d %s", o.status, o.body)
	}
	if !strings.Contains(s.log.String(), "disk failed") {
		t.Error("the log does not tell the reason")
	}
}

func TestHintAndDetailsAreLeftOutWhereThereAreNone(t *testing.T) {
	s := newStage(t)
	s.refusal = problem.New(problem.Denied, "no")
	want := `{"error":"access_denied","error_description":"no","code":"denied","retryable":false,"correlation_id":"`
	if o := s.token(form()); !strings.HasPrefix(o.body, want) || strings.Contains(o.body, "hint") || strings.Contains(o.body, "details") {
		t.Errorf("got %s", o.body)
	}
}
