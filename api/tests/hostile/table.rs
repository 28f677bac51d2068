//! Attacks as tables: one row is what is sent and what must come of it.

use crate::attack::under_attack;
use crate::client::{assert_still_served, read_all, read_responses, statuses};
use crate::service::quick_limits;
use crate::venue::Venue;
use std::io::Write;

/// Whether the server itself closes after the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Open,
    Closed,
}

/// One row: what is sent, the statuses that come back, the paths that ran, and whether the server then closes.
pub type Row = (&'static str, &'static [u8], &'static [u16], &'static [&'static str], End);

/// Runs the rows one after the other, with good devices beside them.
pub fn check_table(name: &str, rows: &[Row]) {
    under_attack(name, quick_limits(), |venue| rows.iter().for_each(|row| check_row(venue, row)));
}

fn check_row(venue: &Venue, (name, bytes, expected, ran, end): &Row) {
    venue.service.take();
    let mut stream = venue.connect();
    stream.write_all(bytes).unwrap();
    if *end == End::Open {
        let found =
            if expected.is_empty() { Vec::new() } else { read_responses(&mut stream, expected.len()) };
        assert_eq!(found.iter().map(|r| r.status).collect::<Vec<_>>(), *expected, "{name}");
        assert_still_served(&mut stream, name);
    } else {
        assert_eq!(statuses(&read_all(&mut stream)), *expected, "{name}");
    }
    let mut seen: Vec<String> = venue.service.take();
    seen.retain(|request| request != "Get /still-there");
    let paths: Vec<&str> = seen.iter().map(|request| request.split(' ').nth(1).unwrap()).collect();
    assert_eq!(paths, *ran, "{name}: what ran");
}
