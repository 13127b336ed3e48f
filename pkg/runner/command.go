package runner

import (
	"strings"
	"unicode"
)

// A command is a workflow command, as the runner finds it in a line of output.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
type command struct {
	name       string // lower case
	properties map[string]string
	message    string
}

var (
	messageEscapes  = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%")
	propertyEscapes = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
	legacyEscapes   = strings.NewReplacer("%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%25", "%")
)

// parseCommand finds a command whose name is known. `::name key=value,…::message`
// must start the line, after spaces; the legacy `##[name key=value;…]message`
// counts anywhere in it.
func parseCommand(line string, known func(name string) bool) (command, bool) {
	if rest, ok := strings.CutPrefix(strings.TrimLeftFunc(line, unicode.IsSpace), "::"); ok {
		if head, message, ok := strings.Cut(rest, "::"); ok {
			c := newCommand(head, ",", propertyEscapes)
			c.message = messageEscapes.Replace(message)
			if known(c.name) {
				return c, true
			}
		}
	}
	if _, rest, ok := strings.Cut(line, "##["); ok {
		if head, message, ok := strings.Cut(rest, "]"); ok {
			c := newCommand(head, ";", legacyEscapes)
			c.message = legacyEscapes.Replace(message)
			return c, known(c.name)
		}
	}
	return command{}, false
}

func newCommand(head, separator string, escapes *strings.Replacer) command {
	name, list, _ := strings.Cut(head, " ")
	c := command{name: strings.ToLower(name), properties: map[string]string{}}
	for pair := range strings.SplitSeq(strings.TrimSpace(list), separator) {
		if key, value, ok := strings.Cut(pair, "="); ok && key != "" && value != "" {
			c.properties[strings.ToLower(key)] = escapes.Replace(value)
		}
	}
	return c
}
