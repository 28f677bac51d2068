-- Back to the indexes of 0002.
DROP INDEX scans_gate_reason;
DROP INDEX scans_reason;
DROP INDEX scans_gate;
DROP INDEX ticket_words_ticket;
