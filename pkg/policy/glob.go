package policy

import (
	"slices"
	"strings"
)

// match tells whether the whole text fits the pattern, in which `*` is any
// text within one slash-separated segment, `**` any text at all, and every
// other byte itself.
//
// All ways to match are followed side by side, so that the time is bounded by
// len(pattern) x len(text) and no pattern is slow to refuse.
func match(pattern, text string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == text
	}
	live := make([]bool, len(pattern)+1)
	next := make([]bool, len(pattern)+1)
	live[0] = true
	skipStars(pattern, live)
	for i := range len(text) {
		clear(next)
		for at, alive := range live[:len(pattern)] {
			if !alive {
				continue
			}
			switch stars := starsAt(pattern, at); {
			case stars == 0:
				next[at+1] = next[at+1] || pattern[at] == text[i]
			case stars > 1 || text[i] != '/':
				next[at] = true
			}
		}
		skipStars(pattern, next)
		live, next = next, live
		if !slices.Contains(live, true) {
			return false
		}
	}
	return live[len(pattern)]
}

// skipStars lets every state that stands before stars go on behind them: stars match the empty text too.
func skipStars(pattern string, states []bool) {
	for at := range len(pattern) {
		if stars := starsAt(pattern, at); states[at] && stars > 0 {
			states[at+stars] = true
		}
	}
}

// starsAt counts the stars that stand together at a place: 0, 1, or 2.
func starsAt(pattern string, at int) int {
	if pattern[at] != '*' {
		return 0
	}
	if at+1 < len(pattern) && pattern[at+1] == '*' {
		return 2
	}
	return 1
}
