package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/scope"
)

// leaseColumns are all columns of a lease but its claim, in the order that scanLease reads.
const leaseColumns = `id, state, issuer, repository_id, run_id, run_attempt, check_run_id, grant_name,
	owner, owner_id, repositories, permissions, intent_at, issued_at, expires_at, token_expires_at, ended_at,
	sealed, token_digest, handle_digest, coalesce(idempotency_key, ''), request_digest, cause,
	attempts, coalesce(next_at, 0), deleted_at, dead401_at`

func scanLease(scan func(dest ...any) error) (lease.Lease, error) {
	var l lease.Lease
	var repositories, permissions string
	var intent, issued, expires, tokenExpires, ended, next, deleted, dead int64
	var token, handle []byte
	err := scan(&l.ID, &l.State, &l.Job.Issuer, &l.Job.RepositoryID, &l.Job.RunID, &l.Job.RunAttempt, &l.Job.CheckRunID, &l.Grant,
		&l.Scope.Owner, &l.Scope.OwnerID, &repositories, &permissions, &intent, &issued, &expires, &tokenExpires, &ended,
		&l.Sealed, &token, &handle, &l.IdempotencyKey, &l.RequestDigest, &l.Cause,
		&l.Attempts, &next, &deleted, &dead)
	if err != nil {
		return lease.Lease{}, err
	}
	if err := json.Unmarshal([]byte(repositories), &l.Scope.Repositories); err != nil {
		return lease.Lease{}, fmt.Errorf("read the repositories of lease %s: %w", l.ID, err)
	}
	if l.Scope.Permissions, err = parsePermissions(permissions); err != nil {
		return lease.Lease{}, fmt.Errorf("read the permissions of lease %s: %w", l.ID, err)
	}
	l.IntentAt, l.IssuedAt, l.EndedAt = at(intent), at(issued), at(ended)
	l.ExpiresAt, l.TokenExpiresAt = at(expires), at(tokenExpires)
	l.NextAt, l.DeletedAt, l.Dead401At = at(next), at(deleted), at(dead)
	copy(l.TokenDigest[:], token)
	copy(l.HandleDigest[:], handle)
	return l, nil
}

// collect reads all rows of a query for leaseColumns.
func collect(rows *sql.Rows, err error) ([]lease.Lease, error) {
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = rows.Close() }()
	var leases []lease.Lease
	for rows.Next() {
		l, err := scanLease(rows.Scan)
		if err != nil {
			return nil, unavailable(err)
		}
		leases = append(leases, l)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	return leases, nil
}

// parsePermissions reads what [scope.Permissions.String] wrote. Names are taken at
// face value: a permission that this version does not know must not keep its lease from ending.
func parsePermissions(text string) (scope.Permissions, error) {
	if text == "" {
		return nil, nil
	}
	permissions := scope.Permissions{}
	for part := range strings.SplitSeq(text, " ") {
		name, word, _ := strings.Cut(part, ":")
		level, err := parseLevel(word)
		if err != nil {
			return nil, err
		}
		permissions[name] = level
	}
	return permissions, nil
}

func parseLevel(word string) (scope.Level, error) {
	for level := scope.None; level <= scope.Admin; level++ {
		if level.String() == word {
			return level, nil
		}
	}
	return scope.None, fmt.Errorf("there is no level %q", word)
}

func encodeRepositories(repositories []scope.Repository) (string, error) {
	encoded, err := json.Marshal(repositories)
	return string(encoded), err
}

// nanos stores a time; the zero time is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func at(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// due is when the sweep must look at the lease: never once it is terminal.
func due(l lease.Lease) any {
	if l.State.Terminal() {
		return nil
	}
	return nanos(l.NextAt)
}

// digest stores a digest; the zero digest is NULL, and found by nobody.
func digest(d [sha256.Size]byte) any {
	if d == ([sha256.Size]byte{}) {
		return nil
	}
	return d[:]
}

// key stores text that is looked up; empty text is NULL, and found by nobody.
func key(text string) any {
	if text == "" {
		return nil
	}
	return text
}
