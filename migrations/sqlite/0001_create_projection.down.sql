-- Takes the projection away. The journal and its checkpoints are not touched; rows of records that the journal has
-- deleted since are lost.
DROP TABLE audit;
DROP TABLE counts;
DROP TABLE device_commands;
DROP TABLE device_states;
DROP TABLE conflicts;
DROP TABLE turns;
DROP TABLE passages;
DROP TABLE repeats;
DROP TABLE kept_scans;
DROP TABLE scans;
DROP TABLE ticket_words;
DROP TABLE codes;
DROP TABLE tickets;
DROP TABLE operators;
DROP TABLE devices;
DROP TABLE ticket_types;
DROP TABLE gates;
DROP TABLE zones;
DROP TABLE events;
DROP TABLE meta;
