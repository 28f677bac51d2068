-- What the administration keeps (sessions, tokens, webhooks, settings), and indexes for its questions. Measured at a
-- million tickets (`./x measure-store`).

-- `value` is JSON that only the administration reads; secrets in it are hashed or sealed.
CREATE TABLE registry (
    kind  TEXT    NOT NULL,
    name  TEXT    NOT NULL,
    lsn   INTEGER NOT NULL,
    value TEXT    NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- Codes that tickets had before a person gave them others: the access log of a code is found through its tickets.
CREATE TABLE former_codes (
    code   BLOB    NOT NULL,
    kind   TEXT    NOT NULL,
    ticket INTEGER NOT NULL,
    PRIMARY KEY (code, kind, ticket)
) STRICT, WITHOUT ROWID;

-- Lists of tickets, in the order of their numbers. The one by status and end of validity was never asked.
DROP INDEX tickets_status;
CREATE INDEX tickets_status ON tickets (status);
CREATE INDEX tickets_event_status ON tickets (event, status);
CREATE INDEX tickets_type_status ON tickets (type_id, status);
CREATE INDEX tickets_type ON tickets (type_id);
CREATE INDEX tickets_order ON tickets (order_ref) WHERE order_ref <> '';
-- Tests and drills are few.
CREATE INDEX tickets_specimen ON tickets (id) WHERE specimen = 1;

CREATE INDEX audit_operator ON audit (operator);
CREATE INDEX audit_action ON audit (action);
CREATE INDEX audit_subject ON audit (subject);
CREATE INDEX audit_at ON audit (at);

CREATE INDEX conflicts_open ON conflicts (lsn) WHERE resolved_at IS NULL;
CREATE INDEX device_commands_device ON device_commands (device);
