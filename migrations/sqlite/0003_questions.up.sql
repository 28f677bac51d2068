-- Indexes for questions that had to look through the whole log, or through every ticket with a common word. Measured at a
-- million tickets and a million scans (`./x measure-store`); each costs a part of every scan or ticket.

-- The other words of a search are looked up ticket by ticket.
CREATE INDEX ticket_words_ticket ON ticket_words (ticket, word);

CREATE INDEX scans_gate ON scans (gate);
-- Refusals are few.
CREATE INDEX scans_reason ON scans (reason) WHERE reason IS NOT NULL;
CREATE INDEX scans_gate_reason ON scans (gate, reason) WHERE reason IS NOT NULL;
