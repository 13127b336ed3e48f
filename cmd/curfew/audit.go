package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/store"
)

type auditCommand struct {
	Verify     auditVerifyCommand     `cmd:"" help:"Prove that no record was changed, removed, added or moved."`
	Checkpoint auditCheckpointCommand `cmd:"" help:"Print the log's signed checkpoint, to be kept elsewhere."`
}

// Help is shown below the flags' list.
func (auditCommand) Help() string { return auditVerifyCommand{}.Help() }

// A storedLog is where the audit verbs find a log.
type storedLog struct {
	Database string `default:"sqlite:curfew.db" help:"The ledger: sqlite:PATH. A server may be using it."`
}

func (s storedLog) open(ctx context.Context) (*store.Log, error) {
	log, err := store.OpenReadOnly(ctx, s.Database)
	if err != nil {
		return nil, wrongUse{fmt.Errorf("--database: %w", err)}
	}
	return log, nil
}

type auditVerifyCommand struct {
	storedLog
	PublicKey  string   `help:"File with the log's public key; beside the SQLite file if not given." type:"path" placeholder:"FILE"`
	Checkpoint []string `help:"Checkpoint kept elsewhere, which a log that was cut short contradicts; repeatable." type:"path" placeholder:"FILE"`
	JSON       bool     `name:"json" help:"Print the report as JSON."`
}

// Help is shown below the flags' list.
func (auditVerifyCommand) Help() string {
	return "Example:\n\n    curfew audit verify --database sqlite:curfew.db --checkpoint last-month.note\n\nExits with 1 if the log is not as it was signed."
}

// Run checks the whole log against its signed checkpoint.
func (c *auditVerifyCommand) Run(ctx context.Context, t terminal) error {
	verifier, err := c.verifier()
	if err != nil {
		return wrongUse{fmt.Errorf("--public-key: %w", err)}
	}
	kept, err := c.kept(verifier)
	if err != nil {
		return wrongUse{fmt.Errorf("--checkpoint: %w", err)}
	}
	log, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	report, err := audit.Verify(log.Records(ctx, 0), log.Checkpoint(), verifier, kept...)
	if err != nil {
		return err
	}
	if report.Problem != "" && report.First < 0 {
		// The stored hashes prove nothing, but where they differ is the place to look.
		if report.First, err = audit.Locate(log.Records(ctx, 0), log); err != nil {
			report.First = -1
		}
	}
	_, err = audit.OpenCheckpoint(log.Checkpoint(), verifier)
	if unsigned := new(note.UnverifiedNoteError); errors.As(err, &unsigned) {
		report.Problem = "its checkpoint is not signed by the key " + verifier.Name() + ": somebody else signed it, or --public-key is another log's"
	}
	return c.tell(t, report)
}

// kept reads the checkpoints that were kept elsewhere.
func (c *auditVerifyCommand) kept(verifier note.Verifier) ([][]byte, error) {
	all := make([][]byte, len(c.Checkpoint))
	for i, path := range c.Checkpoint {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if _, err := audit.OpenCheckpoint(content, verifier); err != nil {
			return nil, fmt.Errorf("%s is no checkpoint that the key %s signed; make one with: curfew audit checkpoint", path, verifier.Name())
		}
		all[i] = content
	}
	return all, nil
}

func (c *auditVerifyCommand) tell(t terminal, r audit.Report) error {
	if c.JSON {
		enc := json.NewEncoder(t.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	if r.Problem == "" {
		if !c.JSON {
			_, _ = fmt.Fprintf(t.out, "%d records are as they were signed by %s, root %s\n", r.Records, r.Checkpoint.Origin, r.Root)
		}
		return nil
	}
	if !c.JSON {
		at := ""
		if r.First >= 0 {
			at = fmt.Sprintf("; look at record %d", r.First)
		}
		_, _ = fmt.Fprintf(t.out, "THE LOG WAS CHANGED: %s%s\n", r.Problem, at)
	}
	return exitCode(exitFound)
}

// verifier reads the public key in the form of C2SP signed notes.
func (c *auditVerifyCommand) verifier() (note.Verifier, error) {
	path := c.PublicKey
	if path == "" {
		sqlite, ok := strings.CutPrefix(c.Database, "sqlite:")
		if !ok {
			return nil, errors.New("missing; give the file that holds the log's public key")
		}
		path = publicKeyFile(auditKeyFile(sqlite))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(content)))
	if err != nil {
		return nil, fmt.Errorf("%s does not hold a signed note's public key (NAME+HASH+KEY)", path)
	}
	return verifier, nil
}

type auditCheckpointCommand struct{ storedLog }

// Help is shown below the flags' list.
func (auditCheckpointCommand) Help() string {
	return "Example:\n\n    curfew audit checkpoint --database sqlite:curfew.db > last-month.note"
}

// Run prints the checkpoint as it stands.
func (c *auditCheckpointCommand) Run(ctx context.Context, t terminal) error {
	log, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	_, err = t.out.Write(log.Checkpoint())
	return err
}
