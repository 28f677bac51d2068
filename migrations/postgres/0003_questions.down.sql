-- Back to the indexes of 0001.
DROP INDEX scans_decided_at;
CREATE INDEX scans_decided_at ON scans USING brin (decided_at);
DROP INDEX scans_gate_reason;
DROP INDEX scans_reason;
DROP INDEX scans_gate;
DROP INDEX ticket_words_ticket;
