package runner

import (
	"sort"
	"strings"
)

// A masker hides values in texts. Unlike GitHub's it hides no encoded forms of
// them, so that an action which forgets to ask is found out.
type masker struct{ values []string }

// add hides a value, and each of its lines, from now on.
func (m *masker) add(value string) {
	m.remember(value)
	for line := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '\r' || r == '\n' }) {
		m.remember(strings.TrimSpace(line))
	}
}

func (m *masker) remember(value string) {
	for _, known := range m.values {
		if known == value {
			return
		}
	}
	if value != "" {
		m.values = append(m.values, value)
	}
}

// mask puts *** in place of every hidden value. Values that overlap or touch give one.
func (m *masker) mask(text string) string {
	spans := m.spans(text)
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	end := 0
	for i, s := range spans {
		if i == 0 || s.start > end {
			b.WriteString(text[end:s.start])
			b.WriteString("***")
		}
		end = max(end, s.end)
	}
	b.WriteString(text[end:])
	return b.String()
}

type span struct{ start, end int }

// spans finds every place of every hidden value, those that overlap included, by their start.
func (m *masker) spans(text string) []span {
	var found []span
	for _, value := range m.values {
		for from := 0; ; {
			at := strings.Index(text[from:], value)
			if at < 0 {
				break
			}
			found = append(found, span{from + at, from + at + len(value)})
			from += at + 1
		}
	}
	sort.Slice(found, func(a, b int) bool { return found[a].start < found[b].start })
	return found
}
