//! The load program from outside: its binary and its loops against small servers whose behavior is known, right and wrong.

#![expect(clippy::unwrap_used, reason = "in a test, a failed step should end the test where it failed")]

mod echo;
mod fake_server;
mod measurements;
mod runs;
mod scenarios;
