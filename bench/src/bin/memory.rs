//! `bench-memory [TICKETS] [SCANS]`: resident bytes per ticket and per kept scan, with the server's allocator, as one
//! line of JSON. Knows Linux' /proc; knows no server.

use anyhow::{Context, Result};
use bench::direct::scan_once;
use bench::stream::Stream;
use bench::venue::{self, Rule};
use bench::{BATCH, TICKETS};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let tickets: u32 = args.next().map_or(Ok(TICKETS), |text| text.parse()).context("read TICKETS")?;
    let scans: u64 = args.next().map_or(Ok(100_000), |text| text.parse()).context("read SCANS")?;
    // What the first of everything costs is not a ticket's.
    let few = venue::state(1, Rule::Staff);
    let empty = resident_bytes()?;
    let mut state = venue::state(tickets, Rule::Staff);
    let with_tickets = resident_bytes()?;

    let mut stream = Stream::new(tickets, 1);
    let before_scans = resident_bytes()?;
    let mut left = scans;
    while left > 0 {
        stream.prepare(left.min(BATCH));
        for scan in stream.scans() {
            assert!(scan_once(&mut state, &scan, venue::BEGIN).admits());
        }
        left -= left.min(BATCH);
    }
    let with_scans = resident_bytes()?;
    assert_eq!(
        (few.tickets.len(), state.tickets.len(), state.scans.len() as u64),
        (1, tickets as usize, scans)
    );
    let per = |after: u64, before: u64, items: u64| (after as f64 - before as f64) / items.max(1) as f64;
    let result = serde_json::json!({
        "tickets": tickets,
        "bytes_per_ticket": per(with_tickets, empty, u64::from(tickets)).round(),
        "kept_scans": scans,
        "bytes_per_kept_scan": per(with_scans, before_scans, scans).round(),
    });
    println!("{result}");
    Ok(())
}

fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().context("read VmRSS")?;
    Ok(kib * 1024)
}
