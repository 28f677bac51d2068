//! `bench-profile COURSE TICKETS KEPT SCANS`: the decide-and-apply workload and nothing else, for a profiler to look at.
//! Prints the mean; knows nothing of statistics.

use anyhow::{Context, Result, bail};
use bench::direct::{Course, Direct};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [course, tickets, kept, scans] = args.as_slice() else {
        bail!("usage: bench-profile reentry|fresh|used TICKETS KEPT SCANS")
    };
    let course = match course.as_str() {
        "reentry" => Course::Reentry,
        "fresh" => Course::Fresh,
        "used" => Course::Used,
        other => bail!("unknown course '{other}'"),
    };
    let tickets: u32 = tickets.parse().context("read the number of tickets")?;
    let kept: u64 = kept.parse().context("read the number of kept scans")?;
    let scans: u64 = scans.parse().context("read the number of scans")?;
    let mut direct = Direct::new(tickets, kept, course);
    let spent = direct.measure(scans, course);
    println!(
        "{:.1} ns per scan ({course:?}, {tickets} tickets, {kept} kept)",
        spent.as_nanos() as f64 / scans.max(1) as f64
    );
    Ok(())
}
