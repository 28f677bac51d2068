-- Figures that statistics read instead of the access log: kept by the projector, batch by batch. Measured at a million
-- scans (`./x measure-store`). People of a ticket that was annulled are taken back; tests and specimens never count.

-- What went through in each minute: of the event as a whole, by gate and by type, each on its own.
CREATE TABLE arrivals (
    event    bigint NOT NULL,
    scope    text   NOT NULL COLLATE "C",          -- event, gate or type
    minute   bigint NOT NULL,          -- since 1970, UTC
    id       bigint NOT NULL,          -- of the gate or type; 0 for the event
    admitted bigint NOT NULL,          -- people that entered
    exits    bigint NOT NULL,          -- people that left
    denied   bigint NOT NULL,          -- scans that were refused
    PRIMARY KEY (event, scope, minute, id)
);

CREATE TABLE denials (
    event  bigint NOT NULL,
    reason text   NOT NULL COLLATE "C",
    gate   bigint NOT NULL,
    device bigint NOT NULL,
    denied bigint NOT NULL,
    PRIMARY KEY (event, reason, gate, device)
);

-- Codes that were refused, or admitted after they had been admitted before.
CREATE TABLE presented_again (
    event    bigint NOT NULL,
    kind     text   NOT NULL COLLATE "C",
    code     bytea  NOT NULL,
    ticket   bigint,                   -- NULL: nobody's
    denied   bigint NOT NULL,
    admitted bigint NOT NULL,
    PRIMARY KEY (event, kind, code)
);

CREATE INDEX presented_again_denied ON presented_again (event, denied);
CREATE INDEX presented_again_times ON presented_again (event, (denied + admitted));

-- What the access log has already.

INSERT INTO arrivals
SELECT event, 'event', floor(extract(epoch FROM decided_at) / 60)::bigint, 0,
       sum(CASE WHEN verdict = 'admit' AND direction = 'entry' THEN people ELSE 0 END),
       sum(CASE WHEN verdict = 'admit' AND direction = 'exit' THEN people ELSE 0 END),
       sum(CASE WHEN verdict = 'deny' THEN 1 ELSE 0 END)
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND NOT specimen AND NOT EXISTS (SELECT 1 FROM passages WHERE scan = scans.lsn AND outcome = 'annulled')
     AND (verdict = 'deny' OR ticket IS NOT NULL)
GROUP BY event, floor(extract(epoch FROM decided_at) / 60)::bigint;

INSERT INTO arrivals
SELECT event, 'gate', floor(extract(epoch FROM decided_at) / 60)::bigint, gate,
       sum(CASE WHEN verdict = 'admit' AND direction = 'entry' THEN people ELSE 0 END),
       sum(CASE WHEN verdict = 'admit' AND direction = 'exit' THEN people ELSE 0 END),
       sum(CASE WHEN verdict = 'deny' THEN 1 ELSE 0 END)
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND NOT specimen AND NOT EXISTS (SELECT 1 FROM passages WHERE scan = scans.lsn AND outcome = 'annulled')
     AND (verdict = 'deny' OR ticket IS NOT NULL)
GROUP BY event, floor(extract(epoch FROM decided_at) / 60)::bigint, gate;

INSERT INTO arrivals
SELECT event, 'type', floor(extract(epoch FROM decided_at) / 60)::bigint, type_id,
       sum(CASE WHEN verdict = 'admit' AND direction = 'entry' THEN people ELSE 0 END),
       sum(CASE WHEN verdict = 'admit' AND direction = 'exit' THEN people ELSE 0 END),
       sum(CASE WHEN verdict = 'deny' THEN 1 ELSE 0 END)
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND NOT specimen AND NOT EXISTS (SELECT 1 FROM passages WHERE scan = scans.lsn AND outcome = 'annulled')
     AND type_id IS NOT NULL
GROUP BY event, floor(extract(epoch FROM decided_at) / 60)::bigint, type_id;

INSERT INTO denials
SELECT event, reason, gate, device, count(*)
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND NOT specimen AND reason IS NOT NULL
GROUP BY event, reason, gate, device;

-- Of admissions before this version only refused codes are told.
INSERT INTO presented_again
SELECT event, code_kind, code, max(ticket), count(*), 0
FROM scans WHERE event IS NOT NULL AND kind <> 'test' AND NOT specimen AND reason IS NOT NULL
GROUP BY event, code_kind, code;
