//! Printers and displays made from their manuals, for tests. Shares no code with any driver.

pub mod judges;
