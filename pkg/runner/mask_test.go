package runner

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMasks(t *testing.T) {
	for _, row := range []struct {
		why    string
		values []string
		text   string
		want   string
	}{
		{"nothing to hide", nil, "a b", "a b"},
		{"a value is hidden everywhere", []string{"b"}, "b a b", "*** a ***"},
		{"other text stays", []string{"bc"}, "b c", "b c"},
		{"case counts", []string{"b"}, "B", "B"},
		{"values that overlap give one", []string{"abc", "cde"}, "xabcdey", "x***y"},
		{"values that touch give one", []string{"ab", "cd"}, "xabcdy", "x***y"},
		{"a value inside another gives one", []string{"b", "abc"}, "abc", "***"},
		{"a value that overlaps itself is hidden whole", []string{"aba"}, "xababay", "x***y"},
		{"each line of a value is hidden alone", []string{"one\r\n two \nthree"}, "two, three, one", "***, ***, ***"},
		{"the empty value hides nothing", []string{"", "\n"}, "a", "a"},
		{"encoded forms are not hidden", []string{"secret"}, "c2VjcmV0", "c2VjcmV0"},
	} {
		t.Run(row.why, func(t *testing.T) {
			var m masker
			for _, value := range row.values {
				m.add(value)
			}
			if got := m.mask(row.text); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestMaskedTextHoldsNoValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringMatching(`[abc\n]{0,12}`)
		var m masker
		for _, value := range rapid.SliceOfN(letters, 0, 4).Draw(t, "values") {
			m.add(value)
		}
		masked := m.mask(letters.Draw(t, "text"))
		for _, value := range m.values {
			if strings.Contains(masked, value) {
				t.Fatalf("%q shows in %q", value, masked)
			}
		}
	})
}
