-- A line of the audit may be about many tickets (an amendment of a list, a ticket reissued): each of them, so that the line is
-- found by any. Lines about one thing have it in `subject` alone.
CREATE TABLE audit_subjects (
    subject text   NOT NULL COLLATE "C",
    lsn     bigint NOT NULL,
    CONSTRAINT audit_subjects_pkey PRIMARY KEY (subject, lsn)
);

-- What the audit has already: numbers joined by commas. What is named so is not put by a number.
INSERT INTO audit_subjects
SELECT DISTINCT unnest(string_to_array(subject, ',')), lsn FROM audit
WHERE subject ~ '^[0-9]+(,[0-9]+)+$' AND action NOT LIKE 'put\_%';
