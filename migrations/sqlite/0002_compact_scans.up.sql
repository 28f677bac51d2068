-- Fewer and smaller pages for each scan. What a ticket has done leaves the ticket's row: a scan rewrites a row of some
-- 35 bytes among its like, and no longer one with every text of the ticket. Answers kept for retries are many to a row.

CREATE TABLE ticket_uses (
    ticket     INTEGER PRIMARY KEY,
    lsn        INTEGER NOT NULL,
    cold       INTEGER NOT NULL,        -- 1: the ticket is not in the engine's memory
    used       INTEGER NOT NULL,
    inside     INTEGER NOT NULL,
    day_used   INTEGER NOT NULL,
    day        INTEGER NOT NULL,
    presence   INTEGER NOT NULL,
    first_gate INTEGER NOT NULL,
    last_gate  INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL
) STRICT;

INSERT INTO ticket_uses
SELECT id, lsn, cold, used, inside, day_used, day, presence, first_gate, last_gate, first_at, last_at
FROM tickets ORDER BY id;

CREATE INDEX ticket_uses_cold ON ticket_uses (ticket) WHERE cold = 1;

-- Written anew: dropping ten columns would write it ten times.
CREATE TABLE tickets_without_uses (
    id          INTEGER PRIMARY KEY,
    lsn         INTEGER NOT NULL,
    event       INTEGER,
    type_id     INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    status_at   INTEGER NOT NULL,
    specimen    INTEGER NOT NULL,
    valid_from  INTEGER,                -- NULL leaves it to the type
    valid_until INTEGER,
    reference   TEXT    NOT NULL,
    holder      TEXT    NOT NULL,
    order_ref   TEXT    NOT NULL,
    seat        TEXT    NOT NULL,
    codes       BLOB    NOT NULL        -- per code: kind 'o' or 'c', length, bytes; in the ticket's own order
) STRICT;

INSERT INTO tickets_without_uses
SELECT id, lsn, event, type_id, status, status_at, specimen, valid_from, valid_until, reference, holder, order_ref,
       seat, codes
FROM tickets ORDER BY id;

DROP TABLE tickets;
ALTER TABLE tickets_without_uses RENAME TO tickets;
CREATE INDEX tickets_event ON tickets (event);
CREATE INDEX tickets_status ON tickets (status, valid_until);

-- A row goes when its last answer expires. Only this table repeats a holder's name.
CREATE TABLE kept_answers (
    first   INTEGER PRIMARY KEY,        -- LSN of the first scan
    last    INTEGER NOT NULL,           -- LSN of the last
    entries TEXT    NOT NULL,           -- JSON, for each scan by LSN: [LSN, recorded_at, where its answer begins, its length]
    answers BLOB    NOT NULL            -- the answers, one after the other
) STRICT;

INSERT INTO kept_answers
SELECT lsn, lsn, json_array(json_array(lsn, recorded_at, 0, length(answer))), answer FROM kept_scans ORDER BY lsn;

DROP TABLE kept_scans;
