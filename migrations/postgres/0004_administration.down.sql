-- Back to the indexes of 0003. What the administration keeps goes: no program before knows it.
DROP INDEX device_commands_device;
DROP INDEX conflicts_open;
DROP INDEX audit_at;
DROP INDEX audit_subject;
DROP INDEX audit_action;
DROP INDEX audit_operator;
DROP INDEX tickets_specimen;
DROP INDEX tickets_order;
DROP INDEX tickets_type;
DROP INDEX tickets_type_status;
DROP INDEX tickets_event_status;
DROP INDEX tickets_status;
CREATE INDEX tickets_status ON tickets (status, valid_until);
DROP TABLE former_codes;
DROP TABLE registry;
