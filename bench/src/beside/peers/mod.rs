//! Gatehouse beside what is often put in its place: the same scans as claims in PostgreSQL and in Redis, each set up as well
//! as we know how, on the same core and disk, asked and judged by the same loop. Owns what the peers have in common.
//!
//! What differs, and for whom it is good: Gatehouse's scans come over HTTP as JSON with a key that is checked, are decided by all of its
//! rules, and are carried over into a store. The peers are asked in their own protocol by a client they trust; they know of a
//! ticket only how often it may still be used. A system around them would have to add the rest.

pub mod postgres;
pub mod redis;

use super::gatehouse::Gatehouse;
use super::{Bench, Side};
use anyhow::{Result, ensure};
use load_tests::codes::{CodeChoice, CodePool};
use load_tests::{limits, procfs};
use std::path::PathBuf;

/// Tickets a peer holds.
pub const TICKETS: u32 = 100_000;
/// How often a ticket of staff may be used: as often as anybody will ask.
const ALWAYS: i32 = i32::MAX;
/// The gate all scans of a comparison come from.
const GATE: i32 = 900;

/// Gatehouse, then its peers, running.
///
/// # Errors
/// A server does not come up, or the disk of temporary files is none.
pub fn sides(gatehouse: PathBuf, bench: &Bench) -> Result<Vec<Box<dyn Side>>> {
    let work_dir = std::env::temp_dir();
    let disk = procfs::file_system(&work_dir);
    ensure!(disk != "tmpfs", "temporary files are in memory here: name a directory on a disk in TMPDIR");
    Ok(vec![
        Box::new(Gatehouse::start(gatehouse, &work_dir, bench)?),
        Box::new(postgres::Claims::start_best(bench)?),
        Box::new(redis::Claims::start(CodeChoice::Mix, bench)?),
    ])
}

/// The codes of a peer's tickets: as many of staff as the demo has, the others admitted once.
fn pool(choice: CodeChoice) -> CodePool {
    let once = 1..=TICKETS - limits::DEMO_STAFF_COUNT;
    CodePool::with_codes(choice, once.map(|n| format!("DEMO-STD-{n:06}").into_boxed_str()).collect())
}

/// Every ticket of a pool, with how often it may be used.
fn tickets(pool: &CodePool) -> impl Iterator<Item = (&str, i32)> {
    let once = pool.once().iter().map(|code| (&**code, 1));
    once.chain(pool.always().iter().map(|code| (&**code, ALWAYS)))
}

#[cfg(test)]
mod tests {
    use load_tests::connection::{Connection, Received, Sent};
    use load_tests::reply::Verdict;
    use load_tests::report::RunResult;
    use load_tests::speech::Speech;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(60);
    pub const BENCH: super::Bench = super::Bench { server_core: None, connection_count: 64 };

    /// Asks for one code over 64 connections, all before the first answer is read; how many were admitted.
    pub fn admitted_at_once(mut speech: impl Speech, port: u16, code: &str) -> usize {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut connections: Vec<Connection> = (0..64).map(|_| speech.connect(addr).unwrap()).collect();
        for connection in &mut connections {
            speech.ask(&mut connection.request, code, Instant::now());
            assert_eq!(connection.send().unwrap(), Sent::Whole);
        }
        let mut admitted = 0;
        for connection in &mut connections {
            until(|| match connection.receive() {
                Received::End => panic!("the server hung up"),
                Received::Bytes | Received::Nothing => {
                    speech.answer(connection.received()).unwrap().is_some()
                }
            });
            let answer = speech.answer(connection.received()).unwrap().unwrap();
            assert_eq!(answer.status, 200);
            admitted += usize::from(answer.verdict == Verdict::Granted);
        }
        admitted
    }

    /// Looks again and again.
    pub fn until(mut done: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < end, "it takes too long");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The mixture was asked, and nothing else than right.
    pub fn assert_right(result: &RunResult) {
        assert!(result.is_right() && result.ended_early.is_none(), "{}", result.text());
        assert!(result.tally.admitted > 0 && result.tally.denied > 0, "{}", result.text());
        assert!(result.server_cpu_us.unwrap() > 0.0);
    }
}
