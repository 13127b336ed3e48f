//go:build !slim

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"
)

// An act is one thing that the demo shows.
type act struct {
	name, title string
	play        func(ctx context.Context, s *stage, a *seen) error
}

// A fact is something that was seen, and whether it is as it must be.
type fact struct {
	Text string `json:"text"`
	Held bool   `json:"held"`
}

// seen is what one act showed.
type seen struct {
	Name    string   `json:"act"`
	Title   string   `json:"title"`
	Facts   []fact   `json:"facts"`
	Excerpt []string `json:"excerpt,omitempty"`
	Seconds float64  `json:"seconds"`
}

// fact notes something seen. What does not hold fails the demo.
func (a *seen) fact(held bool, format string, args ...any) {
	a.Facts = append(a.Facts, fact{fmt.Sprintf(format, args...), held})
}

// quote keeps lines that a person would read in the job's log.
func (a *seen) quote(lines ...string) { a.Excerpt = append(a.Excerpt, lines...) }

func (a *seen) held() bool {
	for _, f := range a.Facts {
		if !f.Held {
			return false
		}
	}
	return len(a.Facts) > 0
}

// telling prints the story: with colour on a terminal, plain elsewhere, or as JSON at the end.
type telling struct {
	t      terminal
	asJSON bool
	paint  bool
	start  time.Time
	seen   []*seen
}

func newTelling(t terminal, asJSON bool) *telling {
	return &telling{t: t, asJSON: asJSON, paint: !asJSON && isTerminal(t.out), start: time.Now()}
}

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	indent = "     "
)

func (d *telling) ink(code, text string) string {
	if !d.paint {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (d *telling) say(format string, args ...any) {
	if !d.asJSON {
		_, _ = fmt.Fprintf(d.t.out, format+"\n", args...)
	}
}

// progress tells a person what takes time.
func (d *telling) progress(what string) {
	if isTerminal(d.t.err) {
		_, _ = fmt.Fprintln(d.t.err, d.ink(dim, "... "+what))
	}
}

func (d *telling) world(s *stage) {
	d.say("%s", d.ink(bold, "The life of one token, on this machine"))
	d.say("%s%-8s %s  %s", indent, "GitHub", s.github.URL, d.ink(dim, "(simulated: organisation acme with web, api, ops)"))
	d.say("%s%-8s %s  %s", indent, "Curfew", s.serverURL, d.ink(dim, "(curfew serve, a process of its own)"))
	d.say("%s%-8s %s", indent, "Job", "examples/workflows/release.yml")
}

// act plays one act and tells what was seen.
func (d *telling) act(ctx context.Context, what act, s *stage) error {
	a := &seen{Name: what.name, Title: what.title}
	d.say("\n %s  %s", d.ink(bold, what.name), d.ink(bold, what.title))
	start := time.Now()
	if err := what.play(ctx, s, a); err != nil {
		return fmt.Errorf("act %s: %w", what.name, err)
	}
	a.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
	for _, f := range a.Facts {
		mark := d.ink(green, "✓")
		if !f.Held {
			mark = d.ink(red, "✗")
		}
		d.say("%s%s %s", indent, mark, f.Text)
	}
	for _, line := range a.Excerpt {
		d.say("%s%s", indent, d.ink(dim, "│ "+line))
	}
	d.seen = append(d.seen, a)
	return nil
}

// close sums up; the error says that not every act held.
func (d *telling) close() error {
	broken := 0
	for _, a := range d.seen {
		if !a.held() {
			broken++
		}
	}
	if d.asJSON {
		enc := json.NewEncoder(d.t.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(map[string]any{"held": broken == 0, "acts": d.seen}); err != nil {
			return err
		}
	}
	took := time.Since(d.start).Round(100 * time.Millisecond)
	if broken > 0 {
		d.say("\n%s", d.ink(red, fmt.Sprintf("%d of %d acts did not hold (%s)", broken, len(d.seen), took)))
		return exitCode(exitFound)
	}
	d.say("\n%s", d.ink(green, fmt.Sprintf("all %d acts held (%s)", len(d.seen), took)))
	return nil
}

// linesWith picks the lines of a log that hold one of the words, trimmed.
func linesWith(log string, words ...string) (lines []string) {
	for line := range strings.Lines(log) {
		for _, w := range words {
			if strings.Contains(line, w) {
				lines = append(lines, strings.TrimSpace(line))
				break
			}
		}
	}
	return lines
}

var (
	tableRow  = regexp.MustCompile(`(?s)<tr>(.*?)</tr>`)
	tableCell = regexp.MustCompile(`(?s)<t[hd][^>]*>(.*?)</t[hd]>`)
	anyTag    = regexp.MustCompile(`<[^>]*>`)
)

// tableOf draws the tables of a job summary as aligned lines.
func tableOf(summary string) []string {
	var drawn strings.Builder
	columns := tabwriter.NewWriter(&drawn, 0, 8, 3, ' ', 0)
	for _, row := range tableRow.FindAllStringSubmatch(summary, -1) {
		for _, cell := range tableCell.FindAllStringSubmatch(row[1], -1) {
			_, _ = fmt.Fprintf(columns, "%s\t", html.UnescapeString(anyTag.ReplaceAllString(cell[1], "")))
		}
		_, _ = fmt.Fprintln(columns)
	}
	_ = columns.Flush() // a strings.Builder takes everything
	return linesWith(drawn.String(), "")
}
