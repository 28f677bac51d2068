-- Figures can be counted again from the access log.
DROP TABLE presented_again;
DROP TABLE denials;
DROP TABLE arrivals;
