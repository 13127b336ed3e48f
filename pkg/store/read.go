package store

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/identity"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
)

// Lease finds one by id; [problem.NotFound] if there is none.
func (s *Store) Lease(ctx context.Context, id string) (lease.Lease, error) {
	return first(s.leases(ctx, `SELECT `+leaseColumns+` FROM leases WHERE id = ?`, id))
}

const byDigestQuery = `SELECT ` + leaseColumns + ` FROM leases WHERE token_digest = ? OR handle_digest = ?`

// ByDigest finds the lease whose token or handle has this SHA-256; [problem.NotFound] if there is none.
func (s *Store) ByDigest(ctx context.Context, digest [sha256.Size]byte) (lease.Lease, error) {
	return first(s.leases(ctx, byDigestQuery, digest[:], digest[:]))
}

func first(leases []lease.Lease, err error) (lease.Lease, error) {
	if err != nil {
		return lease.Lease{}, err
	}
	if len(leases) == 0 {
		return lease.Lease{}, problem.New(problem.NotFound, "there is no such lease")
	}
	return leases[0], nil
}

const byJobQuery = `SELECT ` + leaseColumns + ` FROM leases
	WHERE run_id = ? AND check_run_id = ? AND repository_id = ? AND run_attempt = ? AND issuer = ? AND next_at IS NOT NULL
	ORDER BY intent_at`

// ByJob lists the leases of one job that are not terminal.
func (s *Store) ByJob(ctx context.Context, j identity.Job) ([]lease.Lease, error) {
	return s.leases(ctx, byJobQuery, j.RunID, j.CheckRunID, j.RepositoryID, j.RunAttempt, j.Issuer)
}

const overdueQuery = `SELECT ` + leaseColumns + ` FROM leases
	WHERE next_at <= ? AND state IN ('active', 'ending') ORDER BY next_at LIMIT ?`

// Overdue lists up to limit active and ending leases that are due at now, claimed
// or not, earliest first. It only reads: it is for when [Store.Due] can't write.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) ([]lease.Lease, error) {
	return s.leases(ctx, overdueQuery, nanos(now), limit)
}

// A Filter picks leases for [Store.List]. What is empty does not count.
type Filter struct {
	State      []lease.State
	Owner      string // without case
	Repository string // a name without its owner, without case
	Live       bool   // not terminal
	After      string // the last lease id of the page before
	Limit      int    // 1 to 1000; 100 unless given
}

// List gives leases newest first, and the id to continue after; it is empty on the last page.
func (s *Store) List(ctx context.Context, f Filter) (leases []lease.Lease, next string, err error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	f.Limit = min(f.Limit, 1000)
	where, args := f.conditions()
	leases, err = s.leases(ctx, `SELECT `+leaseColumns+` FROM leases`+where+` ORDER BY id DESC LIMIT ?`, append(args, f.Limit+1)...)
	if err != nil {
		return nil, "", err
	}
	if len(leases) > f.Limit {
		leases = leases[:f.Limit]
		next = leases[f.Limit-1].ID
	}
	return leases, next, nil
}

func (f Filter) conditions() (where string, args []any) {
	var all []string
	add := func(condition string, values ...any) {
		all = append(all, condition)
		args = append(args, values...)
	}
	if f.Live {
		// The subquery keeps the few live leases from being looked for among all.
		add(`id IN (SELECT id FROM leases WHERE next_at IS NOT NULL)`)
	}
	if f.After != "" {
		add(`id < ?`, f.After)
	}
	if f.Owner != "" {
		add(`lower(owner) = lower(?)`, f.Owner)
	}
	if f.Repository != "" {
		add(`lower(repositories) LIKE lower(?) ESCAPE '!'`, `%"name":"`+escapeLike(f.Repository)+`"%`)
	}
	if len(f.State) > 0 {
		add(`state IN (?`+strings.Repeat(`, ?`, len(f.State)-1)+`)`, names(f.State)...)
	}
	if len(all) > 0 {
		where = ` WHERE ` + strings.Join(all, ` AND `)
	}
	return where, args
}

func escapeLike(text string) string {
	return strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(text)
}

func names(states []lease.State) []any {
	var list []any
	for _, s := range states {
		list = append(list, string(s))
	}
	return list
}

// Stats counts the leases by state. It reads as many rows as there are states.
func (s *Store) Stats(ctx context.Context) (map[lease.State]int64, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT state, leases FROM tally`)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = rows.Close() }()
	counts := map[lease.State]int64{}
	for rows.Next() {
		var state lease.State
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return nil, unavailable(err)
		}
		counts[state] = n
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	return counts, nil
}

func (s *Store) leases(ctx context.Context, query string, args ...any) ([]lease.Lease, error) {
	rows, err := s.readers.QueryContext(ctx, query, args...)
	return collect(rows, err)
}
