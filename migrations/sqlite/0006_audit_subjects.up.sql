-- A line of the audit may be about many tickets (an amendment of a list, a ticket reissued): each of them, so that the line is
-- found by any. Lines about one thing have it in `subject` alone.
CREATE TABLE audit_subjects (
    subject TEXT    NOT NULL,
    lsn     INTEGER NOT NULL,
    PRIMARY KEY (subject, lsn)
) STRICT, WITHOUT ROWID;

-- What the audit has already: numbers joined by commas. What is named so is not put by a number.
WITH RECURSIVE parts (lsn, subject, rest) AS (
    SELECT lsn, NULL, subject || ',' FROM audit
    WHERE subject GLOB '[0-9]*,*[0-9]' AND subject NOT GLOB '*[^0-9,]*' AND action NOT GLOB 'put_*'
    UNION ALL
    SELECT lsn, substr(rest, 1, instr(rest, ',') - 1), substr(rest, instr(rest, ',') + 1) FROM parts WHERE rest <> ''
)
INSERT OR IGNORE INTO audit_subjects SELECT subject, lsn FROM parts WHERE subject <> '';
