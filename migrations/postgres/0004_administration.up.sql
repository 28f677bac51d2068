-- What the administration keeps (sessions, tokens, webhooks, settings), and indexes for its questions.

-- `value` is JSON that only the administration reads; secrets in it are hashed or sealed.
CREATE TABLE registry (
    kind  text   NOT NULL COLLATE "C",
    name  text   NOT NULL COLLATE "C",
    lsn   bigint NOT NULL,
    value text   NOT NULL,
    CONSTRAINT registry_pkey PRIMARY KEY (kind, name)
);

-- Codes that tickets had before a person gave them others: the access log of a code is found through its tickets.
CREATE TABLE former_codes (
    code   bytea  NOT NULL,
    kind   text   NOT NULL COLLATE "C",
    ticket bigint NOT NULL,
    CONSTRAINT former_codes_pkey PRIMARY KEY (code, kind, ticket)
);

-- Lists of tickets, in the order of their numbers. The one by status and end of validity was never asked.
DROP INDEX tickets_status;
CREATE INDEX tickets_status ON tickets (status, id);
CREATE INDEX tickets_event_status ON tickets (event, status, id);
CREATE INDEX tickets_type_status ON tickets (type_id, status, id);
CREATE INDEX tickets_type ON tickets (type_id, id);
CREATE INDEX tickets_order ON tickets (order_ref, id) WHERE order_ref <> '';
-- Tests and drills are few.
CREATE INDEX tickets_specimen ON tickets (id) WHERE specimen;

CREATE INDEX audit_operator ON audit (operator, lsn);
CREATE INDEX audit_action ON audit (action, lsn);
CREATE INDEX audit_subject ON audit (subject, lsn);
CREATE INDEX audit_at ON audit (at);

CREATE INDEX conflicts_open ON conflicts (lsn) WHERE resolved_at IS NULL;
CREATE INDEX device_commands_device ON device_commands (device, lsn);
