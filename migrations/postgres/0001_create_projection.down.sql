-- Takes the projection away. The journal and its checkpoints are not touched; rows of records that the journal has
-- deleted since are lost. With the access log go its partitions.
DROP TABLE meta, events, zones, gates, ticket_types, devices, operators, tickets, ticket_uses, codes, ticket_words, scans,
    kept_answers, repeats, passages, turns, conflicts, device_states, device_commands, counts, audit;
