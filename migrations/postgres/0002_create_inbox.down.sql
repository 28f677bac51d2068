DROP TABLE inbox;
DROP FUNCTION inbox_written();
