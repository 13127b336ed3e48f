package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// readerCount is how many reads run at once.
const readerCount = 4

// A sqliteFile is the path of a database.
type sqliteFile string

// An accessMode is what a connection may do with the file.
type accessMode string

const (
	readWrite accessMode = "mode=rw"
	readOnly  accessMode = "mode=ro"
	// frozen is for a file that nobody has open for writing: SQLite then makes no files beside it.
	frozen accessMode = "mode=ro&immutable=1"
)

// parse reads a database URL.
func parse(text string) (sqliteFile, error) {
	scheme, path, _ := strings.Cut(text, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		return "", errors.New("the database URL names PostgreSQL, which this version does not speak; use sqlite:PATH")
	case scheme != "sqlite" || path == "":
		return "", fmt.Errorf("the database URL is %q; use sqlite:PATH", text)
	case strings.Contains(path, ":memory:"):
		return "", errors.New("a ledger in memory would forget tokens that live; use sqlite:PATH")
	}
	return sqliteFile(path), nil
}

// source is the URI of the file with pragmas for each connection.
// https://www.sqlite.org/uri.html and https://www.sqlite.org/pragma.html
func (f sqliteFile) source(mode accessMode, pragmas ...string) string {
	query := url.Values{"_pragma": append([]string{"busy_timeout(5000)", "trusted_schema(0)"}, pragmas...)}
	return "file:" + (&url.URL{Path: string(f)}).EscapedPath() + "?" + string(mode) + "&" + query.Encode()
}

func (f sqliteFile) openWriter(ctx context.Context) (*sql.DB, error) {
	if err := f.create(); err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	db, err := sql.Open("sqlite", f.source(readWrite,
		"journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)", "temp_store(MEMORY)", "wal_autocheckpoint(4000)", "cache_size(-16000)"))
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger %s: %w", f, err), db.Close())
	}
	return db, nil
}

func (f sqliteFile) openReaders() *sql.DB {
	db, err := sql.Open("sqlite", f.source(readOnly, "query_only(1)"))
	if err != nil {
		panic("store: the driver does not take the source it took before: " + err.Error())
	}
	db.SetMaxOpenConns(readerCount)
	db.SetMaxIdleConns(readerCount)
	return db
}

// create makes the file before SQLite would with a wider mode; the files SQLite puts beside it take its mode.
func (f sqliteFile) create() error {
	file, err := os.OpenFile(string(f), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	st, err := file.Stat()
	if err != nil {
		return err
	}
	if mode := st.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("%s has mode %04o: everybody on this machine can reach the ledger; run: chmod o= %s", f, mode, f)
	}
	return nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	steps, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}
