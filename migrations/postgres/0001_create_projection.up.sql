-- The projection: rows derived from the journal. Moments are timestamptz with milliseconds; one beyond PostgreSQL's
-- calendar is 'infinity' or '-infinity'. `lsn` is the record that made the row what it is. There are no foreign keys: the
-- engine has checked every record before it was journaled.
--
-- Texts are compared by their bytes (COLLATE "C"): order and beginnings are then the same on every server. In a text
-- U+0000, which PostgreSQL does not take, is written as U+FFFE '0', and U+FFFE itself as U+FFFE '1'. JSON is json and not
-- jsonb: that would refuse an escaped U+0000, and no question looks into it.

-- How far the projection is, and what of a node's state is in no other table. Exactly one row, changed in the same
-- transaction as the rows of a batch.
CREATE TABLE meta (
    id              integer NOT NULL CONSTRAINT meta_pkey PRIMARY KEY CONSTRAINT meta_one_row CHECK (id = 1),
    format          bigint  NOT NULL,   -- of the columns that are not plain SQL (entity, state, answers)
    cursor          bigint  NOT NULL,   -- LSN of the last record applied
    salt            bytea   NOT NULL,   -- the key scan ids are hashed with; also says whose journal this is
    catalog_version bigint  NOT NULL,
    next_ticket     bigint  NOT NULL,
    kept_from       bigint  NOT NULL,   -- answers of scans before this LSN are forgotten
    kept            bigint  NOT NULL,   -- answers kept
    forgotten_early bigint  NOT NULL,
    repeats         bigint  NOT NULL,
    tests           bigint  NOT NULL
);

INSERT INTO meta VALUES (1, 1, 0, '\x00000000000000000000000000000000', 0, 0, 0, 0, 0, 0, 0);

-- The catalog. `entity` is the whole entity; the columns beside it are for questions.

CREATE TABLE events (
    id            bigint      NOT NULL CONSTRAINT events_pkey PRIMARY KEY,
    lsn           bigint      NOT NULL,
    name          text        NOT NULL COLLATE "C" CONSTRAINT events_name_unique UNIQUE,
    title         text        NOT NULL,
    doors_open_at timestamptz NOT NULL,
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    cold          boolean     NOT NULL,
    entity        json        NOT NULL
);

CREATE TABLE zones (
    id       bigint NOT NULL CONSTRAINT zones_pkey PRIMARY KEY,
    lsn      bigint NOT NULL,
    name     text   NOT NULL COLLATE "C" CONSTRAINT zones_name_unique UNIQUE,
    capacity bigint,
    entity   json   NOT NULL
);

-- Where everybody starts: every node has it, no record makes it.
INSERT INTO zones VALUES (0, 0, 'outside', NULL, '{"name":"outside","capacity":null,"rule":"hard"}');

CREATE TABLE gates (
    id     bigint NOT NULL CONSTRAINT gates_pkey PRIMARY KEY,
    lsn    bigint NOT NULL,
    name   text   NOT NULL COLLATE "C" CONSTRAINT gates_name_unique UNIQUE,
    event  bigint,
    entity json   NOT NULL
);

CREATE TABLE ticket_types (
    id     bigint NOT NULL CONSTRAINT ticket_types_pkey PRIMARY KEY,
    lsn    bigint NOT NULL,
    event  bigint NOT NULL,
    name   text   NOT NULL COLLATE "C",
    entity json   NOT NULL,
    CONSTRAINT ticket_types_name_unique UNIQUE (event, name)
);

-- Keys, passwords and tokens are in `entity` as the engine has them: hashed.
CREATE TABLE devices (
    id     bigint NOT NULL CONSTRAINT devices_pkey PRIMARY KEY,
    lsn    bigint NOT NULL,
    name   text   NOT NULL COLLATE "C" CONSTRAINT devices_name_unique UNIQUE,
    gate   bigint,
    number text,
    status text   NOT NULL,
    entity json   NOT NULL
);

CREATE TABLE operators (
    id     bigint NOT NULL CONSTRAINT operators_pkey PRIMARY KEY,
    lsn    bigint NOT NULL,
    name   text   NOT NULL COLLATE "C" CONSTRAINT operators_name_unique UNIQUE,
    role   text   NOT NULL,
    entity json   NOT NULL
);

-- Tickets, hot and cold.

CREATE TABLE tickets (
    id          bigint      NOT NULL CONSTRAINT tickets_pkey PRIMARY KEY,
    lsn         bigint      NOT NULL,
    event       bigint,
    type_id     integer     NOT NULL,
    status      text        NOT NULL,
    status_at   timestamptz NOT NULL,
    specimen    boolean     NOT NULL,
    valid_from  timestamptz,            -- NULL leaves it to the type
    valid_until timestamptz,
    reference   text        NOT NULL COLLATE "C",
    holder      text        NOT NULL COLLATE "C",
    order_ref   text        NOT NULL COLLATE "C",
    seat        text        NOT NULL COLLATE "C",
    codes       bytea       NOT NULL    -- per code: kind 'o' or 'c', length, bytes; in the ticket's own order
);

CREATE INDEX tickets_event ON tickets (event, id);
CREATE INDEX tickets_status ON tickets (status, valid_until);

-- What a ticket has done: written again by every scan, so a small row with room beside it, and no index on what changes.
CREATE TABLE ticket_uses (
    ticket     bigint      NOT NULL CONSTRAINT ticket_uses_pkey PRIMARY KEY,
    lsn        bigint      NOT NULL,
    cold       boolean     NOT NULL,    -- the ticket is not in the engine's memory
    used       integer     NOT NULL,
    inside     integer     NOT NULL,
    day_used   integer     NOT NULL,
    day        integer     NOT NULL,
    presence   integer     NOT NULL,
    first_gate integer     NOT NULL,
    last_gate  integer     NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX ticket_uses_cold ON ticket_uses (ticket) WHERE cold;

-- Codes are not unique here: a code of a cold event may be given again to a ticket of another event.
CREATE TABLE codes (
    code   bytea  NOT NULL,
    kind   text   NOT NULL COLLATE "C",
    ticket bigint NOT NULL,
    CONSTRAINT codes_pkey PRIMARY KEY (code, kind, ticket)
);

-- Search: each word of the holder, the reference and the order, in lower case, found by its beginning.
CREATE TABLE ticket_words (
    word   text   NOT NULL COLLATE "C",
    ticket bigint NOT NULL,
    CONSTRAINT ticket_words_pkey PRIMARY KEY (word, ticket)
);

-- The access log: every decision, refusals included. It names no holder, and no row of it is ever changed: what became of
-- an admission is in `passages`, how often a scan was presented again in `repeats`. One partition for each day (UTC) of the
-- decisions; what fits none is in scans_default.
CREATE TABLE scans (
    lsn         bigint      NOT NULL,
    decided_at  timestamptz NOT NULL,   -- an offline scan: when it was made
    recorded_at timestamptz NOT NULL,   -- when it reached the engine
    scanned_at  timestamptz,
    device      bigint      NOT NULL,
    gate        integer     NOT NULL,
    event       bigint,
    ticket      bigint,
    type_id     integer,
    specimen    boolean     NOT NULL,
    scan_id     text        NOT NULL,   -- '' where the device gave none
    code_kind   text        NOT NULL,
    code        bytea       NOT NULL,
    kind        text        NOT NULL,
    verdict     text        NOT NULL,
    reason      text,
    attention   text,
    overridden  text,
    operator    bigint,
    note        text,
    direction   text        NOT NULL,
    people      integer     NOT NULL,
    remaining   integer,
    conflict    text,
    CONSTRAINT scans_pkey PRIMARY KEY (lsn, decided_at)
) PARTITION BY RANGE (decided_at);

-- Each of these costs a part of every scan: no more without a question that needs it.
CREATE INDEX scans_device ON scans (device, lsn);
CREATE INDEX scans_decided_at ON scans USING brin (decided_at);
-- A code of a ticket is found through `codes` and scans_ticket: only strangers need an index of their own.
CREATE INDEX scans_unknown_code ON scans (code) WHERE ticket IS NULL;
CREATE INDEX scans_ticket ON scans (ticket, lsn) WHERE ticket IS NOT NULL;

CREATE TABLE scans_default PARTITION OF scans DEFAULT;

-- Answers kept for retries. A row goes when its last answer expires. Only this table repeats a holder's name.
CREATE TABLE kept_answers (
    first   bigint NOT NULL CONSTRAINT kept_answers_pkey PRIMARY KEY,   -- LSN of the first scan
    last    bigint NOT NULL,            -- LSN of the last
    entries json   NOT NULL,            -- for each scan by LSN: [LSN, recorded_at, where its answer begins, its length]
    answers bytea  NOT NULL             -- the answers, one after the other
);

CREATE TABLE repeats (
    lsn    bigint      NOT NULL CONSTRAINT repeats_pkey PRIMARY KEY,
    at     timestamptz NOT NULL,
    device bigint      NOT NULL,
    scan   bigint      NOT NULL
);

CREATE INDEX repeats_scan ON repeats (scan);

CREATE TABLE passages (
    lsn     bigint      NOT NULL CONSTRAINT passages_pkey PRIMARY KEY,
    at      timestamptz NOT NULL,
    device  bigint      NOT NULL,
    scan    bigint      NOT NULL,
    outcome text        NOT NULL
);

CREATE INDEX passages_scan ON passages (scan, lsn);

CREATE TABLE turns (
    lsn    bigint      NOT NULL CONSTRAINT turns_pkey PRIMARY KEY,
    at     timestamptz NOT NULL,
    gate   integer     NOT NULL,
    event  bigint,
    device bigint      NOT NULL,
    people integer     NOT NULL
);

CREATE TABLE conflicts (
    lsn         bigint NOT NULL CONSTRAINT conflicts_pkey PRIMARY KEY,  -- of the scan
    reason      text   NOT NULL,
    ticket      bigint,
    resolved_at timestamptz,
    resolved_by bigint
);

-- What waits for each device and how it stands (`state`), and the history of its commands.

CREATE TABLE device_states (
    device bigint NOT NULL CONSTRAINT device_states_pkey PRIMARY KEY,
    state  json   NOT NULL
);

CREATE TABLE device_commands (
    lsn          bigint      NOT NULL CONSTRAINT device_commands_pkey PRIMARY KEY,
    at           timestamptz NOT NULL,
    operator     bigint,
    device       bigint      NOT NULL,
    command      json        NOT NULL,
    expires_at   timestamptz NOT NULL,
    delivered_at timestamptz
);

CREATE INDEX device_commands_waiting ON device_commands (device) WHERE delivered_at IS NULL;

-- Head counts and tallies as the engine has them. `scope` is zone (inside), event, gate, type (tallies) or
-- reason (denials, `id` is the reason's place in the order of the rules).
CREATE TABLE counts (
    scope      text   NOT NULL,
    id         bigint NOT NULL,
    inside     bigint NOT NULL,
    entries    bigint NOT NULL,
    exits      bigint NOT NULL,
    attendance bigint NOT NULL,
    admits     bigint NOT NULL,
    denials    bigint NOT NULL,
    turns      bigint NOT NULL,
    CONSTRAINT counts_pkey PRIMARY KEY (scope, id)
) WITH (fillfactor = 50);

-- Who changed what and when. Holds no secret, also no hash of one.
CREATE TABLE audit (
    lsn      bigint      NOT NULL CONSTRAINT audit_pkey PRIMARY KEY,
    at       timestamptz NOT NULL,
    operator bigint,                    -- NULL: the program itself
    action   text        NOT NULL,
    subject  text        NOT NULL,
    details  json        NOT NULL
);
