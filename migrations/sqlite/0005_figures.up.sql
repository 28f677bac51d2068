-- Figures that statistics read instead of the access log: kept by the projector, batch by batch. Measured at a million
-- scans (`./x measure-store`). People of a ticket that was annulled are taken back; tests and specimens never count.

-- What went through in each minute: of the event as a whole, by gate and by type, each on its own.
CREATE TABLE arrivals (
    event    INTEGER NOT NULL,
    scope    TEXT    NOT NULL,          -- event, gate or type
    minute   INTEGER NOT NULL,          -- since 1970, UTC
    id       INTEGER NOT NULL,          -- of the gate or type; 0 for the event
    admitted INTEGER NOT NULL,          -- people that entered
    exits    INTEGER NOT NULL,          -- people that left
    denied   INTEGER NOT NULL,          -- scans that were refused
    PRIMARY KEY (event, scope, minute, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE denials (
    event  INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    gate   INTEGER NOT NULL,
    device INTEGER NOT NULL,
    denied INTEGER NOT NULL,
    PRIMARY KEY (event, reason, gate, device)
) STRICT, WITHOUT ROWID;

-- Codes that were refused, or admitted after they had been admitted before.
CREATE TABLE presented_again (
    event    INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    code     BLOB    NOT NULL,
    ticket   INTEGER,                   -- NULL: nobody's
    denied   INTEGER NOT NULL,
    admitted INTEGER NOT NULL,
    PRIMARY KEY (event, kind, code)
) STRICT, WITHOUT ROWID;

CREATE INDEX presented_again_denied ON presented_again (event, denied);
CREATE INDEX presented_again_times ON presented_again (event, denied + admitted);

-- What the access log has already.

INSERT INTO arrivals
SELECT event, 'event', decided_at / 60000, 0,
       sum(CASE WHEN verdict = 'admit' AND direction = 'entry' THEN people ELSE 0 END),
       sum(CASE WHEN verdict = 'admit' AND direction = 'exit' THEN people ELSE 0 END),
       sum(verdict = 'deny')
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND specimen = 0 AND outcome <> 'annulled'
     AND (verdict = 'deny' OR ticket IS NOT NULL)
GROUP BY event, decided_at / 60000;

INSERT INTO arrivals
SELECT event, 'gate', decided_at / 60000, gate,
       sum(CASE WHEN verdict = 'admit' AND direction = 'entry' THEN people ELSE 0 END),
       sum(CASE WHEN verdict = 'admit' AND direction = 'exit' THEN people ELSE 0 END),
       sum(verdict = 'deny')
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND specimen = 0 AND outcome <> 'annulled'
     AND (verdict = 'deny' OR ticket IS NOT NULL)
GROUP BY event, decided_at / 60000, gate;

INSERT INTO arrivals
SELECT event, 'type', decided_at / 60000, type_id,
       sum(CASE WHEN verdict = 'admit' AND direction = 'entry' THEN people ELSE 0 END),
       sum(CASE WHEN verdict = 'admit' AND direction = 'exit' THEN people ELSE 0 END),
       sum(verdict = 'deny')
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND specimen = 0 AND outcome <> 'annulled'
     AND type_id IS NOT NULL
GROUP BY event, decided_at / 60000, type_id;

INSERT INTO denials
SELECT event, reason, gate, device, count(*)
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND specimen = 0 AND reason IS NOT NULL
GROUP BY event, reason, gate, device;

-- Of admissions before this version only refused codes are told.
INSERT INTO presented_again
SELECT event, code_kind, code, max(ticket), count(*), 0
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND specimen = 0 AND reason IS NOT NULL
GROUP BY event, code_kind, code;
