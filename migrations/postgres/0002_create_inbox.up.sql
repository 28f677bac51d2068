-- The box office's inbox: another program writes rows here, Gatehouse takes them in and tells in each what came of it.
-- What the columns mean is told in migrations/postgres/INBOX.md, for those who write them.
CREATE TABLE inbox (
    id          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT inbox_pkey PRIMARY KEY,
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),

    -- What the box office says. Words are not checked here: a sale must not fail because of them.
    operation   text        NOT NULL,   -- add, change, cancel
    code        text        COLLATE "C",
    more_codes  text,
    card        text        COLLATE "C",
    event       text,
    type        text,
    ticket_id   text,
    holder      text,
    order_ref   text,
    seat        text,
    valid_from  timestamptz,
    valid_until timestamptz,
    status      text,
    specimen    boolean,
    version     bigint,

    -- What Gatehouse answers.
    state       text        NOT NULL DEFAULT 'waiting'
                CONSTRAINT inbox_state_known CHECK (state IN ('waiting', 'done', 'early', 'outdated', 'refused')),
    outcome     text,                   -- of one that is done: added, changed, unchanged
    problem     text,
    lsn         bigint,
    done_at     timestamptz,

    -- Which ticket a row is about.
    key         text        COLLATE "C" GENERATED ALWAYS AS (coalesce(code, 'card ' || upper(card))) STORED
) WITH (fillfactor = 80);

CREATE INDEX inbox_waiting ON inbox (id) WHERE state = 'waiting';
CREATE INDEX inbox_early ON inbox (key, id) WHERE state = 'early';
CREATE INDEX inbox_versions ON inbox (key, version) WHERE state = 'done' AND version IS NOT NULL;

CREATE FUNCTION inbox_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gatehouse_inbox', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER inbox_written AFTER INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION inbox_written();
