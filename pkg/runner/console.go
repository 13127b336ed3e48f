package runner

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// maxLog bounds what is kept of one phase's output; the commands in the rest are still obeyed.
const maxLog = 16 << 20

// A console is where one phase prints: it obeys the workflow commands in the
// output, and keeps the rest as the log. Both streams of a process come here.
type console struct {
	mu          sync.Mutex
	masks       *masker
	live        io.Writer
	raw, log    strings.Builder
	annotations []Annotation
	stop        string // the token that ends ::stop-commands::, or empty
	failed      bool   // a command could not be obeyed, which fails the step
}

// The commands that the runner knows; a line with any other name is plain text.
var commands = []string{
	"add-mask", "error", "warning", "notice", "debug", "group", "endgroup", "stop-commands", "echo",
	"add-matcher", "remove-matcher", "set-output", "save-state", "set-env", "add-path",
}

// line takes a line of the process.
func (c *console) line(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.raw.Len()+len(line) < maxLog {
		c.raw.WriteString(line + "\n")
	}
	if cmd, ok := parseCommand(line, c.knows); ok && c.obey(cmd, line) {
		return
	}
	c.print(line)
}

// say takes lines of the runner itself.
func (c *console) say(lines ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range lines {
		c.print(line)
	}
}

// complain takes an annotation of the runner itself.
func (c *console) complain(level, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.annotate(level, "", fmt.Sprintf(format, args...))
}

func (c *console) knows(name string) bool {
	return slices.Contains(commands, name) || c.stop != "" && strings.EqualFold(name, c.stop)
}

// obey does what a command says; false means that the line is plain text after all.
func (c *console) obey(cmd command, line string) bool {
	if c.stop != "" {
		resumed := strings.EqualFold(cmd.name, c.stop)
		if resumed {
			c.stop = ""
			c.print(line)
		}
		return resumed
	}
	switch cmd.name {
	case "add-mask":
		c.hide(cmd.message)
	case "error", "warning", "notice":
		c.annotate(cmd.name, cmd.properties["title"], cmd.message)
	case "group", "endgroup":
		c.print("##[" + cmd.name + "]" + cmd.message)
	case "stop-commands":
		c.pause(cmd.message, line)
	case "set-output", "save-state", "set-env", "add-path":
		c.refuse(cmd.name)
	}
	return true
}

func (c *console) hide(value string) {
	if strings.TrimSpace(value) == "" {
		c.annotate("warning", "", "Can't add secret mask for empty string in ##[add-mask] command.")
		return
	}
	c.masks.add(value)
}

func (c *console) pause(token, line string) {
	if token == "" || slices.Contains(commands, strings.ToLower(token)) || strings.EqualFold(token, "pause-logging") {
		c.failed = true
		c.annotate("error", "", "Unable to process command 'stop-commands' successfully: the token must not be empty or the name of a command.")
		return
	}
	c.stop = token
	if len(token) > 6 {
		c.masks.add(token)
	}
	c.print(line)
}

func (c *console) refuse(name string) {
	c.failed = true
	c.annotate("error", "", fmt.Sprintf("Unable to process command '%s' successfully: it is disabled; write to the command file instead.", name))
}

func (c *console) annotate(level, title, message string) {
	c.annotations = append(c.annotations, Annotation{level, c.masks.mask(title), c.masks.mask(message)})
	c.print("##[" + level + "]" + message)
}

func (c *console) print(line string) {
	masked := c.masks.mask(line) + "\n"
	if c.log.Len()+len(masked) >= maxLog {
		return
	}
	c.log.WriteString(masked)
	if c.live != nil {
		_, _ = io.WriteString(c.live, masked) // a log that nobody can read stops no job
	}
}
