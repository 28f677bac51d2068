-- The projection: rows derived from the journal. Times are milliseconds since 1970 in UTC; `lsn` is the record that
-- made the row what it is. There are no foreign keys: the engine has checked every record before it was journaled.

-- How far the projection is, and what of a node's state is in no other table. Exactly one row, changed in the same
-- transaction as the rows of a batch.
CREATE TABLE meta (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    format          INTEGER NOT NULL,   -- of the columns that are not plain SQL (entity, state, answer)
    cursor          INTEGER NOT NULL,   -- LSN of the last record applied
    salt            BLOB    NOT NULL,   -- the key scan ids are hashed with; also says whose journal this is
    catalog_version INTEGER NOT NULL,
    next_ticket     INTEGER NOT NULL,
    kept_from       INTEGER NOT NULL,   -- answers of scans before this LSN are forgotten
    kept            INTEGER NOT NULL,   -- answers kept
    forgotten_early INTEGER NOT NULL,
    repeats         INTEGER NOT NULL,
    tests           INTEGER NOT NULL
) STRICT;

INSERT INTO meta VALUES (1, 1, 0, zeroblob(16), 0, 0, 0, 0, 0, 0, 0);

-- The catalog. `entity` is the whole entity as JSON; the columns beside it are for questions.

CREATE TABLE events (
    id            INTEGER PRIMARY KEY,
    lsn           INTEGER NOT NULL,
    name          TEXT    NOT NULL CONSTRAINT events_name_unique UNIQUE,
    title         TEXT    NOT NULL,
    doors_open_at INTEGER NOT NULL,
    starts_at     INTEGER NOT NULL,
    ends_at       INTEGER NOT NULL,
    cold          INTEGER NOT NULL,
    entity        TEXT    NOT NULL
) STRICT;

CREATE TABLE zones (
    id       INTEGER PRIMARY KEY,
    lsn      INTEGER NOT NULL,
    name     TEXT    NOT NULL CONSTRAINT zones_name_unique UNIQUE,
    capacity INTEGER,
    entity   TEXT    NOT NULL
) STRICT;

-- Where everybody starts: every node has it, no record makes it.
INSERT INTO zones VALUES (0, 0, 'outside', NULL, '{"name":"outside","capacity":null,"rule":"hard"}');

CREATE TABLE gates (
    id     INTEGER PRIMARY KEY,
    lsn    INTEGER NOT NULL,
    name   TEXT    NOT NULL CONSTRAINT gates_name_unique UNIQUE,
    event  INTEGER,
    entity TEXT    NOT NULL
) STRICT;

CREATE TABLE ticket_types (
    id     INTEGER PRIMARY KEY,
    lsn    INTEGER NOT NULL,
    event  INTEGER NOT NULL,
    name   TEXT    NOT NULL,
    entity TEXT    NOT NULL,
    CONSTRAINT ticket_types_name_unique UNIQUE (event, name)
) STRICT;

-- Keys, passwords and tokens are in `entity` as the engine has them: hashed.
CREATE TABLE devices (
    id     INTEGER PRIMARY KEY,
    lsn    INTEGER NOT NULL,
    name   TEXT    NOT NULL CONSTRAINT devices_name_unique UNIQUE,
    gate   INTEGER,
    number TEXT,
    status TEXT    NOT NULL,
    entity TEXT    NOT NULL
) STRICT;

CREATE TABLE operators (
    id     INTEGER PRIMARY KEY,
    lsn    INTEGER NOT NULL,
    name   TEXT    NOT NULL CONSTRAINT operators_name_unique UNIQUE,
    role   TEXT    NOT NULL,
    entity TEXT    NOT NULL
) STRICT;

-- Tickets, hot and cold.

CREATE TABLE tickets (
    id          INTEGER PRIMARY KEY,
    lsn         INTEGER NOT NULL,
    event       INTEGER,
    type_id     INTEGER NOT NULL,
    cold        INTEGER NOT NULL,       -- 1: not in the engine's memory
    status      TEXT    NOT NULL,
    status_at   INTEGER NOT NULL,
    specimen    INTEGER NOT NULL,
    valid_from  INTEGER,                -- NULL leaves it to the type
    valid_until INTEGER,
    reference   TEXT    NOT NULL,
    holder      TEXT    NOT NULL,
    order_ref   TEXT    NOT NULL,
    seat        TEXT    NOT NULL,
    codes       BLOB    NOT NULL,       -- per code: kind 'o' or 'c', length, bytes; in the ticket's own order
    used        INTEGER NOT NULL,
    inside      INTEGER NOT NULL,
    day_used    INTEGER NOT NULL,
    day         INTEGER NOT NULL,
    presence    INTEGER NOT NULL,
    first_gate  INTEGER NOT NULL,
    last_gate   INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX tickets_event ON tickets (event);
CREATE INDEX tickets_status ON tickets (status, valid_until);
CREATE INDEX tickets_cold ON tickets (id) WHERE cold = 1;

-- Codes are not unique here: a code of a cold event may be given again to a ticket of another event.
CREATE TABLE codes (
    code   BLOB    NOT NULL,
    kind   TEXT    NOT NULL,
    ticket INTEGER NOT NULL,
    PRIMARY KEY (code, kind, ticket)
) STRICT, WITHOUT ROWID;

-- Search: each word of the holder, the reference and the order, in lower case, found by its beginning.
CREATE TABLE ticket_words (
    word   TEXT    NOT NULL,
    ticket INTEGER NOT NULL,
    PRIMARY KEY (word, ticket)
) STRICT, WITHOUT ROWID;

-- The access log: every decision, refusals included. It names no holder.

CREATE TABLE scans (
    lsn         INTEGER PRIMARY KEY,
    decided_at  INTEGER NOT NULL,       -- an offline scan: when it was made
    recorded_at INTEGER NOT NULL,       -- when it reached the engine
    scanned_at  INTEGER,
    device      INTEGER NOT NULL,
    gate        INTEGER NOT NULL,
    event       INTEGER,
    ticket      INTEGER,
    type_id     INTEGER,
    specimen    INTEGER NOT NULL,
    scan_id     TEXT    NOT NULL,       -- '' where the device gave none
    code_kind   TEXT    NOT NULL,
    code        BLOB    NOT NULL,
    kind        TEXT    NOT NULL,
    verdict     TEXT    NOT NULL,
    reason      TEXT,
    attention   TEXT,
    overridden  TEXT,
    operator    INTEGER,
    note        TEXT,
    direction   TEXT    NOT NULL,
    people      INTEGER NOT NULL,
    remaining   INTEGER,
    conflict    TEXT,
    outcome     TEXT    NOT NULL,
    outcome_at  INTEGER,
    repeats     INTEGER NOT NULL
) STRICT;

-- Each of these costs a part of every scan: no more without a question that needs it.
CREATE INDEX scans_device ON scans (device);
CREATE INDEX scans_decided_at ON scans (decided_at);
-- A code of a ticket is found through `codes` and scans_ticket: only strangers need an index of their own.
CREATE INDEX scans_unknown_code ON scans (code) WHERE ticket IS NULL;
CREATE INDEX scans_ticket ON scans (ticket) WHERE ticket IS NOT NULL;

-- Answers kept for retries, removed when they expire. Only this table repeats a holder's name.
CREATE TABLE kept_scans (
    lsn         INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    answer      BLOB    NOT NULL
) STRICT;

CREATE TABLE repeats (
    lsn    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    device INTEGER NOT NULL,
    scan   INTEGER NOT NULL
) STRICT;

CREATE TABLE passages (
    lsn     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    device  INTEGER NOT NULL,
    scan    INTEGER NOT NULL,
    outcome TEXT    NOT NULL
) STRICT;

CREATE TABLE turns (
    lsn    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    gate   INTEGER NOT NULL,
    event  INTEGER,
    device INTEGER NOT NULL,
    people INTEGER NOT NULL
) STRICT;

CREATE TABLE conflicts (
    lsn         INTEGER PRIMARY KEY,    -- of the scan
    reason      TEXT    NOT NULL,
    ticket      INTEGER,
    resolved_at INTEGER,
    resolved_by INTEGER
) STRICT;

-- What waits for each device and how it stands (`state`, JSON), and the history of its commands.

CREATE TABLE device_states (
    device INTEGER PRIMARY KEY,
    state  TEXT    NOT NULL
) STRICT;

CREATE TABLE device_commands (
    lsn          INTEGER PRIMARY KEY,
    at           INTEGER NOT NULL,
    operator     INTEGER,
    device       INTEGER NOT NULL,
    command      TEXT    NOT NULL,
    expires_at   INTEGER NOT NULL,
    delivered_at INTEGER
) STRICT;

CREATE INDEX device_commands_waiting ON device_commands (device) WHERE delivered_at IS NULL;

-- Head counts and tallies as the engine has them. `scope` is zone (inside), event, gate, type (tallies) or
-- reason (denials, `id` is the reason's place in the order of the rules).
CREATE TABLE counts (
    scope      TEXT    NOT NULL,
    id         INTEGER NOT NULL,
    inside     INTEGER NOT NULL,
    entries    INTEGER NOT NULL,
    exits      INTEGER NOT NULL,
    attendance INTEGER NOT NULL,
    admits     INTEGER NOT NULL,
    denials    INTEGER NOT NULL,
    turns      INTEGER NOT NULL,
    PRIMARY KEY (scope, id)
) STRICT, WITHOUT ROWID;

-- Who changed what and when. Holds no secret, also no hash of one.
CREATE TABLE audit (
    lsn      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    operator INTEGER,                   -- NULL: the program itself
    action   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    details  TEXT    NOT NULL
) STRICT;
