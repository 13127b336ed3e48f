-- +goose Up
-- Times are nanoseconds since 1970, 0 for none.

CREATE TABLE leases (
  id               TEXT    NOT NULL PRIMARY KEY,
  state            TEXT    NOT NULL,
  issuer           TEXT    NOT NULL,
  repository_id    INTEGER NOT NULL,
  run_id           INTEGER NOT NULL,
  run_attempt      INTEGER NOT NULL,
  check_run_id     INTEGER NOT NULL,
  grant_name       TEXT    NOT NULL,
  owner            TEXT    NOT NULL,
  owner_id         INTEGER NOT NULL,
  repositories     TEXT    NOT NULL, -- JSON: [{"id":1,"name":"web"}]
  permissions      TEXT    NOT NULL, -- contents:write issues:read
  intent_at        INTEGER NOT NULL,
  issued_at        INTEGER NOT NULL DEFAULT 0,
  expires_at       INTEGER NOT NULL,
  token_expires_at INTEGER NOT NULL,
  ended_at         INTEGER NOT NULL DEFAULT 0,
  sealed           BLOB,             -- NULL: no token, or wiped
  token_digest     BLOB,             -- NULL: no token
  handle_digest    BLOB,
  idempotency_key  TEXT,             -- NULL: none
  request_digest   TEXT    NOT NULL,
  cause            TEXT    NOT NULL DEFAULT '',
  attempts         INTEGER NOT NULL DEFAULT 0,
  next_at          INTEGER,          -- NULL: terminal, never due again
  deleted_at       INTEGER NOT NULL DEFAULT 0,
  dead401_at       INTEGER NOT NULL DEFAULT 0,
  claimed_until    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX leases_due         ON leases (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX leases_job         ON leases (run_id, check_run_id);
CREATE INDEX leases_token       ON leases (token_digest) WHERE token_digest IS NOT NULL;
CREATE INDEX leases_handle      ON leases (handle_digest) WHERE handle_digest IS NOT NULL;
CREATE INDEX leases_idempotency ON leases (idempotency_key, intent_at) WHERE idempotency_key IS NOT NULL;

-- How many leases are in each state, so that telling it reads no lease.
CREATE TABLE tally (
  state  TEXT    NOT NULL PRIMARY KEY,
  leases INTEGER NOT NULL
);

-- Used OIDC tokens, until they would be refused for their age.
CREATE TABLE tickets (
  issuer  TEXT    NOT NULL,
  jti     TEXT    NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (issuer, jti)
) WITHOUT ROWID;
CREATE INDEX tickets_expires ON tickets (expires);

-- The audit log. A record's hashes are its leaf's and those of the subtrees it completes, level by level.
CREATE TABLE records (
  n      INTEGER NOT NULL PRIMARY KEY,
  hashes BLOB    NOT NULL,
  line   BLOB    NOT NULL
);

-- The log's head, one row: its size and the signed checkpoint of that size.
CREATE TABLE head (
  id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  size       INTEGER NOT NULL,
  checkpoint BLOB    NOT NULL
);

-- +goose Down
DROP TABLE head;
DROP TABLE records;
DROP TABLE tickets;
DROP TABLE tally;
DROP TABLE leases;
