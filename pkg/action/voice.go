package action

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/sethvargo/go-githubactions"
)

// voice writes to the job's log. Whatever text it is given, the runner finds no
// command in it but those that voice itself issues.
type voice struct {
	gh  *githubactions.Action
	out *stickyWriter
}

// longestLine bounds one line of the log, in characters.
const longestLine = 2000

// say prints one line.
func (v voice) say(format string, args ...any) {
	line := strings.ReplaceAll(inert(clip(fmt.Sprintf(format, args...), longestLine)), "%", "%25")
	v.gh.Infof("%s", line)
}

// warn makes a warning annotation.
func (v voice) warn(format string, args ...any) {
	v.gh.WithFieldsMap(map[string]string{"title": "Curfew"}).Warningf("%s", inert(clip(fmt.Sprintf(format, args...), longestLine)))
}

// fail makes an error annotation of one or more lines.
func (v voice) fail(lines ...string) {
	escaped := make([]string, len(lines))
	for i, line := range lines {
		escaped[i] = inert(clip(line, longestLine))
	}
	v.gh.WithFieldsMap(map[string]string{"title": "Curfew"}).Errorf("%s", strings.Join(escaped, "\n"))
}

// mask keeps the values out of everything that the runner logs from here on. An
// error means that the runner may not have heard of them.
func (v voice) mask(values ...string) error {
	for _, value := range values {
		v.gh.AddMask(value)
	}
	return v.out.err
}

// inert makes one line of a text in which the runner finds no command: it reads
// `::name::` at the start of a line behind any white space, and the older
// `##[name]` anywhere. The runner's search passes over characters that have no
// width, so those are shown as escapes, like all control characters.
// https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
func inert(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == ' ' || visible(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	line := strings.ReplaceAll(b.String(), "##[", "# #[")
	if strings.HasPrefix(strings.TrimSpace(line), "::") {
		line = "'" + line
	}
	return line
}

func visible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// clip keeps a long text from filling the log.
func clip(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// stickyWriter remembers the first error and goes on, because the library
// panics on a failed write, which would leave a lease behind.
type stickyWriter struct {
	w   io.Writer
	err error
}

func (s *stickyWriter) Write(b []byte) (int, error) {
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
	return len(b), nil
}
