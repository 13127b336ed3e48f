package runner

import (
	"strings"
	"testing"
)

func TestExpressions(t *testing.T) {
	value := func(path []string) string { return "<" + strings.Join(path, ".") + ">" }
	for _, row := range []struct {
		why, text, want, err string
	}{
		{"plain text stays", "a $ { } b", "a $ { } b", ""},
		{"an output of a step", "${{ steps.curfew.outputs.lease-id }}", "<steps.curfew.outputs.lease-id>", ""},
		{"an outcome of a step", "${{steps.a.outcome}}", "<steps.a.outcome>", ""},
		{"several in one text", "${{ env.A }}/${{ github.ref }}", "<env.A>/<github.ref>", ""},
		{"a secret", "token ${{ secrets.TOKEN }}.", "token <secrets.TOKEN>.", ""},
		{"the runner's context", "${{ runner.temp }}", "<runner.temp>", ""},
		{"a literal", "${{ 'it''s }} here' }}", "it's }} here", ""},
		{"an expression needs its end", "a ${{ env.A }", "", "has no end"},
		{"an unknown context is named", "${{ vars.A }}", "", "${{ vars.A }} is not supported"},
		{"a function is named", "${{ format('a') }}", "", "${{ format('a') }} is not supported"},
		{"an operator is named", "${{ env.A || 'b' }}", "", "${{ env.A || 'b' }} is not supported"},
		{"a deeper path is named", "${{ github.event.number }}", "", "${{ github.event.number }} is not supported"},
		{"a step's something else is named", "${{ steps.a.result }}", "", "${{ steps.a.result }} is not supported"},
		{"an index is named", "${{ env['A'] }}", "", "${{ env['A'] }} is not supported"},
		{"nothing is an error too", "${{ }}", "", "is not supported"},
	} {
		t.Run(row.why, func(t *testing.T) {
			parsed, err := parseTemplate(row.text)
			checkError(t, err, row.err)
			if got := parsed.evaluate(value); err == nil && got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	for _, row := range []struct {
		text string
		met  string // in which states of the job
	}{
		{"", "success"},
		{"success()", "success"},
		{"${{ success() }}", "success"},
		{"failure()", "failure"},
		{"cancelled()", "cancelled"},
		{"!cancelled()", "success failure"},
		{" Always() ", "success failure cancelled"},
	} {
		t.Run(row.text, func(t *testing.T) {
			c, err := parseCondition(row.text)
			if err != nil {
				t.Fatal(err)
			}
			var met []string
			for _, status := range []string{Success, Failure, Cancelled} {
				if c.met(status) {
					met = append(met, status)
				}
			}
			if got := strings.Join(met, " "); got != row.met {
				t.Errorf("met in %q, want %q", got, row.met)
			}
		})
	}
	_, err := parseCondition("github.ref == 'x'")
	checkError(t, err, "the condition \"github.ref == 'x'\" is not supported")
}

// FuzzTemplates holds that any text is read without a panic, and that text without expressions stays.
func FuzzTemplates(f *testing.F) {
	for _, seed := range []string{"", "a", "${{ env.A }}", "${{ 'a' }}", "${{", "}}", "${{ '}}", "${{ steps.a.outputs.b }}x${{"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseTemplate(text)
		got := parsed.evaluate(func([]string) string { return "" })
		if err == nil && !strings.Contains(text, "${{") && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}
