-- Back to the tables of 0001. A store that was made from a node's state has answers without a line in the access log:
-- the older program does not find those.

CREATE TABLE kept_scans (
    lsn         INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    answer      BLOB    NOT NULL
) STRICT;

INSERT INTO kept_scans
SELECT entry.value ->> 0, entry.value ->> 1, substr(answers, 1 + (entry.value ->> 2), entry.value ->> 3)
FROM kept_answers, json_each(entries) AS entry ORDER BY first, entry.key;

DROP TABLE kept_answers;

CREATE TABLE tickets_with_uses (
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

INSERT INTO tickets_with_uses
SELECT id, max(tickets.lsn, ticket_uses.lsn), event, type_id, cold, status, status_at, specimen, valid_from,
       valid_until, reference, holder, order_ref, seat, codes, used, inside, day_used, day, presence, first_gate,
       last_gate, first_at, last_at
FROM tickets JOIN ticket_uses ON ticket = id ORDER BY id;

DROP TABLE tickets;
DROP TABLE ticket_uses;
ALTER TABLE tickets_with_uses RENAME TO tickets;
CREATE INDEX tickets_event ON tickets (event);
CREATE INDEX tickets_status ON tickets (status, valid_until);
CREATE INDEX tickets_cold ON tickets (id) WHERE cold = 1;
