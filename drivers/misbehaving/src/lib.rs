//! A driver that does everything wrong, for tests.
