package runner

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheConsoleObeysCommands(t *testing.T) {
	for _, row := range []struct {
		why         string
		output, log []string
		annotations []Annotation
		failed      bool
	}{
		{"text is text", []string{"a", "", " b"}, []string{"a", "", " b"}, nil, false},
		{
			"a mask holds from the next line on",
			[]string{"s3cret", "::add-mask::s3cret", "a s3cret", "##[error]s3cret"},
			[]string{"s3cret", "a ***", "##[error]***"},
			[]Annotation{{"error", "", "***"}}, false,
		},
		{
			"a mask of several lines holds for each",
			[]string{"::add-mask::one%0Atwo", "two one"},
			[]string{"*** ***"}, nil, false,
		},
		{
			"an empty mask is a warning",
			[]string{"::add-mask:: ", "a b"},
			[]string{"##[warning]Can't add secret mask for empty string in ##[add-mask] command.", "a b"},
			[]Annotation{{"warning", "", "Can't add secret mask for empty string in ##[add-mask] command."}}, false,
		},
		{
			"annotations have a title",
			[]string{"::error title=Too%3A bad::no%0Away", "::warning file=a.go,line=1::w", "::notice::n"},
			[]string{"##[error]no", "way", "##[warning]w", "##[notice]n"},
			[]Annotation{{"error", "Too: bad", "no\nway"}, {"warning", "", "w"}, {"notice", "", "n"}}, false,
		},
		{"debug stays hidden", []string{"::debug::d"}, nil, nil, false},
		{"matchers and echo are taken in silence", []string{"::add-matcher::x.json", "::remove-matcher owner=x::", "::echo::on"}, nil, nil, false},
		{"groups are shown", []string{"::group::A", "::endgroup::"}, []string{"##[group]A", "##[endgroup]"}, nil, false},
		{
			"a legacy command hides in a line",
			[]string{"harmless ##[error]gotcha"},
			[]string{"##[error]gotcha"},
			[]Annotation{{"error", "", "gotcha"}}, false,
		},
		{
			"stopped commands are text until the token",
			[]string{"::stop-commands::tok", "::error::a", "##[add-mask]b", "::TOK::", "::error::b"},
			[]string{"::stop-commands::tok", "::error::a", "##[add-mask]b", "::TOK::", "##[error]b"},
			[]Annotation{{"error", "", "b"}}, false,
		},
		{
			"a long stop token is masked",
			[]string{"::stop-commands::token-12", "token-12"},
			[]string{"::stop-commands::***", "***"}, nil, false,
		},
		{
			"a stop token that is a command fails the step and stops nothing",
			[]string{"::stop-commands::error", "::notice::n"},
			[]string{"##[error]" + badToken, "##[notice]n"},
			[]Annotation{{"error", "", badToken}, {"notice", "", "n"}}, true,
		},
		{
			"disabled commands fail the step",
			[]string{"::set-output name=token::abc"},
			[]string{"##[error]" + disabled},
			[]Annotation{{"error", "", disabled}}, true,
		},
	} {
		t.Run(row.why, func(t *testing.T) {
			c := &console{masks: &masker{}}
			for _, line := range row.output {
				c.line(line)
			}
			if diff := cmp.Diff(row.log, lines(c.log.String())); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.annotations, c.annotations); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.output, lines(c.raw.String())); diff != "" {
				t.Errorf("raw log (-want +got):\n%s", diff)
			}
			if c.failed != row.failed {
				t.Errorf("failed is %v", c.failed)
			}
		})
	}
}

const (
	badToken = "Unable to process command 'stop-commands' successfully: the token must not be empty or the name of a command."
	disabled = "Unable to process command 'set-output' successfully: it is disabled; write to the command file instead."
)

func TestALogIsBoundedAndItsCommandsAreNot(t *testing.T) {
	c := &console{masks: &masker{}}
	long := strings.Repeat("x", maxLine)
	for range maxLog/maxLine + 2 {
		c.line(long)
	}
	c.line("::add-mask::s3cret")
	if c.raw.Len() > maxLog || c.log.Len() > maxLog {
		t.Errorf("kept %d and %d bytes", c.raw.Len(), c.log.Len())
	}
	if got := c.masks.mask("s3cret"); got != "***" {
		t.Errorf("the mask after the bound was not obeyed: %s", got)
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, row := range []struct {
		why, stream string
		want        []string
	}{
		{"nothing has no line", "", nil},
		{"the last line needs no end", "a\nb", []string{"a", "b"}},
		{"an empty line is one", "a\n\nb\n", []string{"a", "", "b"}},
		{"CR LF is one end", "a\r\n\r\nb\r\n", []string{"a", "", "b"}},
		{"a CR alone ends a line, so a command can hide after it", "a\r::error::b\n", []string{"a", "::error::b"}},
		{"what isn't UTF-8 is replaced", "a\xffb\n", []string{"a\ufffdb"}},
		{"the rest of a long line is dropped", long + "yy\nz\n", []string{long, "z"}},
	} {
		t.Run(row.why, func(t *testing.T) {
			var got []string
			eachLine(strings.NewReader(row.stream), func(line string) { got = append(got, line) })
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
