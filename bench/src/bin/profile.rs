//! `bench-profile COURSE TICKETS KEPT SCANS`: the decide-and-apply workload and nothing else, for a profiler to look
//! at, and for comparing two builds on a machine that is not quiet: the fastest of many short blocks is the one that
//! was disturbed least. Knows nothing of statistics.

use anyhow::{Context, Result, bail};
use bench::direct::{Course, Direct};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Blocks a run is cut into.
const BLOCKS: u64 = 20;

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
    let block = (scans / BLOCKS).max(1);
    let mut spent: Vec<f64> =
        (0..BLOCKS).map(|_| direct.measure(block, course).as_nanos() as f64 / block as f64).collect();
    spent.sort_by(f64::total_cmp);
    let median = spent[spent.len() / 2];
    println!(
        "fastest {:.0} ns, median {median:.0} ns ({course:?}, {tickets} tickets, {kept} kept)",
        spent[0]
    );
    Ok(())
}
