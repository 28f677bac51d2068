-- The audit itself says it again.
DROP TABLE audit_subjects;
