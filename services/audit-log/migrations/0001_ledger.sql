-- One row for each leaf of the tree. What follows store_time is an index over what statements say of
-- themselves: for finding, never for deciding.
CREATE TABLE leaves (
    leaf_index INTEGER PRIMARY KEY,
    sequence   INTEGER NOT NULL UNIQUE,
    subject    TEXT NOT NULL,
    payload    BLOB NOT NULL,
    store_time TEXT NOT NULL,
    kind       TEXT NOT NULL,
    trace_id   TEXT NOT NULL,
    release    TEXT NOT NULL,
    rollout    TEXT NOT NULL,
    cluster    TEXT NOT NULL,
    decision   TEXT NOT NULL,
    summary    TEXT NOT NULL
);
CREATE INDEX leaves_by_trace ON leaves (trace_id, leaf_index) WHERE trace_id <> '';
CREATE INDEX leaves_by_release ON leaves (release, leaf_index) WHERE release <> '';
CREATE INDEX leaves_by_rollout ON leaves (rollout, leaf_index) WHERE rollout <> '';
CREATE INDEX leaves_by_cluster ON leaves (cluster, leaf_index) WHERE cluster <> '';
CREATE INDEX leaves_by_decision ON leaves (decision, leaf_index) WHERE decision <> '';

-- The hash of each complete subtree: of the leaves from position * 2^level on, 2^level of them.
CREATE TABLE hashes (
    level    INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    PRIMARY KEY (level, position)
) WITHOUT ROWID;

CREATE TABLE payloads (
    digest BLOB PRIMARY KEY,
    bytes  BLOB NOT NULL
);

-- Every blob that a statement names; bytes are NULL until they were copied.
CREATE TABLE blobs (
    digest     BLOB PRIMARY KEY,
    sequence   INTEGER NOT NULL,
    named_time TEXT NOT NULL,
    bytes      BLOB
);
CREATE INDEX blobs_missing ON blobs (sequence) WHERE bytes IS NULL;

-- Sequences of which the stream said something else than the ledger when it was last asked.
CREATE TABLE disputes (
    sequence INTEGER PRIMARY KEY,
    found    TEXT NOT NULL
);

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
