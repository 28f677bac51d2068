-- Indexes for questions that had to look through the whole log, or through every ticket with a common word. Measured at a
-- million tickets and a million scans (`./x measure-store`); each costs a part of every scan or ticket.

-- The other words of a search are looked up ticket by ticket.
CREATE INDEX ticket_words_ticket ON ticket_words (ticket, word);

CREATE INDEX scans_gate ON scans (gate, lsn);
-- Refusals are few.
CREATE INDEX scans_reason ON scans (reason, lsn) WHERE reason IS NOT NULL;
CREATE INDEX scans_gate_reason ON scans (gate, reason, lsn) WHERE reason IS NOT NULL;

-- A minute at a gate: with a BRIN index the planner read everything that gate had ever seen instead.
DROP INDEX scans_decided_at;
CREATE INDEX scans_decided_at ON scans (decided_at);
