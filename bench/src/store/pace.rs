//! How the projection keeps up: after an outage, at a steady rate, with an import, and into a store that is filled to be
//! asked. Knows the projector by what it tells; knows no question.

use super::Amounts;
use super::crowd::{self, LOG_BEGINS, Scans};
use super::node::Node;
use super::place::{Place, Server};
use anyhow::{Result, ensure};
use engine::checkpoint::image;
use engine::clock::{ManualClock, SystemClock};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Tickets of the house in the steps without a full store.
const TICKETS: u32 = 100_000;
/// Between two looks at how far the store is behind.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How often scans that are due are made.
const TURN: Duration = Duration::from_millis(1);
/// Scans between two syncs while no rate is kept.
const SCANS_AT_ONCE: u64 = 1_000;
/// Scans of the log are spread over so long.
const LOG_MS: u64 = 3 * 3_600_000;

/// After an outage.
#[derive(Debug, Serialize)]
pub struct Drain {
    /// Records that had gathered.
    pub records: u64,
    /// From the moment the server answers until the store has them, in seconds; the wait before the next try is in it.
    pub all_s: f64,
    /// From the first of them in the store until the last, in seconds.
    pub carrying_s: f64,
}

/// At a steady rate.
#[derive(Debug, Serialize)]
pub struct Steady {
    /// Scans that were made.
    pub scans: u64,
    /// Per second.
    pub rate: f64,
    /// How often it was looked.
    pub samples: usize,
    /// Seconds behind.
    pub lag_s: Spread,
    /// Records behind.
    pub lag_records: Spread,
}

/// Of an import.
#[derive(Debug, Serialize)]
pub struct Import {
    /// Tickets.
    pub tickets: u32,
    /// From the first in the engine until the last in the store, in seconds.
    pub all_s: f64,
    /// Tickets per second.
    pub tickets_per_s: f64,
    /// Of the tickets that filled the store afterwards.
    pub filling_tickets_per_s: f64,
    /// Of the scans that filled the log, read from the journal without a pause.
    pub log_scans_per_s: f64,
}

/// Median, 99th percentile and most.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// Median.
    pub median: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The largest.
    pub most: f64,
}

// === impl Spread ===

impl Spread {
    /// Of some values; nothing of none.
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let at = |part: f64| values.get((values.len() as f64 * part) as usize).or(values.last()).copied();
        let [median, p99, most] = [0.5, 0.99, 1.0].map(|part| at(part).unwrap_or_default());
        Spread { median, p99, most }
    }
}

/// Scans while the database is away, and its return.
///
/// # Errors
/// A step that did not do what it had to.
pub fn drain(server: &mut Server, amounts: &Amounts) -> Result<Drain> {
    let place = server.place()?;
    let mut node = Node::start(Arc::new(SystemClock))?;
    crowd::put_up(&node.engine)?;
    let tickets = TICKETS.min(amounts.tickets);
    crowd::add_tickets(&node.engine, 0..tickets)?;
    if matches!(place, Place::Postgres(_)) {
        node.project_to(place.open()?);
        node.catch_up()?;
    } else {
        // A file cannot be away: what had gathered before is carried over first, by a node that is the same but for that.
        let mut store = place.open()?;
        carry_by_hand(&node, store.as_mut())?;
    }
    let before = node.engine.journal().positions().durable;
    node.engine.set_projected(before);
    server.stop();
    let mut scans = Scans::new(tickets);
    for n in 1..=amounts.outage_scans {
        scans.next(&node.engine)?;
        if n % SCANS_AT_ONCE == 0 {
            node.sync()?;
        }
    }
    let last = node.sync()?;
    server.resume();
    let began = Instant::now();
    if node.stats().is_err() {
        node.project_to(place.open()?);
    }
    while node.engine.projected() <= before {
        std::thread::sleep(TURN);
    }
    let first_in = Instant::now();
    node.catch_up()?;
    let (all_s, carrying_s) = (began.elapsed().as_secs_f64(), first_in.elapsed().as_secs_f64());
    let engine = node.stop()?;
    ensure!(image(&place.open()?.bootstrap()?) == engine.image(), "the store is not what the engine is");
    Ok(Drain { records: last.0 - before.0, all_s, carrying_s })
}

fn carry_by_hand(node: &Node, store: &mut dyn store::Store) -> Result<()> {
    let mut reader = node.engine.journal().reader(engine::Lsn(0));
    loop {
        let mut read = Vec::new();
        reader.read(store::ProjectorOptions::default().batch_bytes_max, &mut read)?;
        if read.is_empty() {
            return Ok(());
        }
        let decoded: Result<Vec<_>, _> = read
            .iter()
            .map(|(lsn, own)| engine::record::Record::decode(own).map(|own| (*lsn, own)))
            .collect();
        store.apply(&decoded?)?;
    }
}

/// Scans at a rate, made when they are due, and how far the store is behind meanwhile.
///
/// # Errors
/// A step that did not do what it had to; the engine does not keep up with the rate.
pub fn steady(server: &Server, amounts: &Amounts) -> Result<Steady> {
    let place = server.place()?;
    let mut node = Node::start(Arc::new(SystemClock))?;
    crowd::put_up(&node.engine)?;
    let tickets = TICKETS.min(amounts.tickets);
    crowd::add_tickets(&node.engine, 0..tickets)?;
    node.project_to(place.open()?);
    node.catch_up()?;
    let done = AtomicBool::new(false);
    let (made, (lag_s, lag_records)) = std::thread::scope(|scope| {
        let sampling = scope.spawn(|| sample(&node, &done));
        let made = scan_at_rate(&node, tickets, amounts);
        done.store(true, Ordering::SeqCst);
        let samples = sampling.join().map_err(|_| anyhow::anyhow!("sampling panicked"))??;
        anyhow::Ok((made?, samples))
    })?;
    node.sync()?;
    node.catch_up()?;
    let engine = node.stop()?;
    ensure!(image(&place.open()?.bootstrap()?) == engine.image(), "the store is not what the engine is");
    Ok(Steady {
        scans: made.0,
        rate: made.0 as f64 / made.1.as_secs_f64(),
        samples: lag_s.len(),
        lag_s: Spread::of(lag_s),
        lag_records: Spread::of(lag_records),
    })
}

/// Gives how many were made and how long it took.
fn scan_at_rate(node: &Node, tickets: u32, amounts: &Amounts) -> Result<(u64, Duration)> {
    let (mut scans, began, mut made) = (Scans::new(tickets), Instant::now(), 0);
    let all = (amounts.steady_rate as f64 * amounts.steady_s) as u64;
    while made < all {
        let due = (began.elapsed().as_secs_f64() * amounts.steady_rate as f64) as u64;
        while made < due.min(all) {
            scans.next(&node.engine)?;
            made += 1;
        }
        std::thread::sleep(TURN);
    }
    Ok((made, began.elapsed()))
}

/// Seconds and records behind, again and again.
fn sample(node: &Node, done: &AtomicBool) -> Result<(Vec<f64>, Vec<f64>)> {
    let (stats, engine) = (node.stats()?, &node.engine);
    let (mut seconds, mut records) = (Vec::new(), Vec::new());
    while !done.load(Ordering::SeqCst) {
        std::thread::sleep(SAMPLE_EVERY);
        let projected = engine.projected();
        let durable = engine.journal().positions().durable;
        let since = stats.behind_since(projected, durable);
        seconds.push(since.map_or(0.0, |since| engine.now().since_ms(since).max(0) as f64 / 1e3));
        records.push((durable.0 - projected.0) as f64);
    }
    Ok((seconds, records))
}

/// An import that is timed, further tickets, and a log; gives the node, which has carried over all of it.
///
/// # Errors
/// A step that did not do what it had to.
pub fn fill(place: &Place, amounts: &Amounts) -> Result<(Node, Import)> {
    let clock = Arc::new(ManualClock::at(LOG_BEGINS));
    let mut node = Node::start(clock.clone())?;
    crowd::put_up(&node.engine)?;
    node.project_to(place.open()?);
    node.sync()?;
    node.catch_up()?;
    let add = |node: &Node, numbers: std::ops::Range<u32>| {
        let (count, began) = (numbers.len(), Instant::now());
        crowd::add_tickets(&node.engine, numbers)?;
        node.catch_up()?;
        let all_s = began.elapsed().as_secs_f64();
        anyhow::Ok((all_s, count as f64 / all_s))
    };
    let (all_s, tickets_per_s) = add(&node, 0..amounts.import_tickets)?;
    let (_, filling_tickets_per_s) = add(&node, amounts.import_tickets..amounts.tickets)?;
    let (mut scans, began) = (Scans::new(amounts.tickets), Instant::now());
    for n in 1..=amounts.log_scans {
        clock.set(LOG_BEGINS.plus_ms((n * LOG_MS / amounts.log_scans) as i64));
        scans.next(&node.engine)?;
        if n % SCANS_AT_ONCE == 0 {
            node.sync()?;
        }
    }
    node.sync()?;
    node.catch_up()?;
    let log_scans_per_s = amounts.log_scans as f64 / began.elapsed().as_secs_f64();
    let tickets = amounts.import_tickets;
    Ok((node, Import { tickets, all_s, tickets_per_s, filling_tickets_per_s, log_scans_per_s }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_its_values() {
        let spread = Spread::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((spread.median, spread.p99, spread.most), (51.0, 100.0, 100.0));
        assert_eq!(Spread::of(Vec::new()).most, 0.0);
    }
}
