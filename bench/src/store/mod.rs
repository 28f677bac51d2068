//! The measurement of the store: a real engine with its journal, the real projector on a thread of its own, SQLite or a
//! PostgreSQL server that syncs its disk. Owns the order of the steps and what they found; each step is a module's.
//!
//! | module | owns |
//! |---|---|
//! | `crowd` | gates, readers, tickets with names and orders, scans |
//! | `place` | where the store is: a file, or a database of a server that was started for it |
//! | `node` | an engine, its journal's writer and its projector, running |
//! | `pace` | an outage that drains, a steady rate, an import |
//! | `questions` | what is asked of a store that is full |
//! | `claim` | the same scans by PostgreSQL alone: the yardstick |
//! | `report` | words for people |

pub mod claim;
pub mod crowd;
pub mod node;
pub mod pace;
pub mod place;
pub mod questions;
pub mod report;

use anyhow::Result;
use load_tests::procfs::Machine;
use pace::{Drain, Import, Steady};
use place::{Place, Server};
use questions::Asked;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How much of everything.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Amounts {
    /// Scans made while the database is away.
    pub outage_scans: u64,
    /// Scans per second of the steady rate.
    pub steady_rate: u64,
    /// How long the steady rate lasts, in seconds.
    pub steady_s: f64,
    /// Tickets of the import that is timed.
    pub import_tickets: u32,
    /// Tickets of the full store.
    pub tickets: u32,
    /// Scans in its log.
    pub log_scans: u64,
    /// Different questions of each kind.
    pub questions: usize,
    /// How long PostgreSQL claims alone, in seconds.
    pub claim_s: f64,
}

/// What one store did.
#[derive(Debug, Serialize)]
pub struct StoreFigures {
    /// Which, with its version.
    pub store: String,
    /// After an outage.
    pub drain: Drain,
    /// At a steady rate.
    pub steady: Steady,
    /// Of new tickets.
    pub import: Import,
    /// The state of a node that lost its files, from the full store, in seconds.
    pub bootstrap_s: f64,
    /// Questions to the full store.
    pub questions: Vec<Asked>,
    /// PostgreSQL's own claims per second, in the same run; `None` for another store.
    pub claims_per_s: Option<f64>,
}

/// Everything found out, as written to `store.json`.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// UTC, in seconds since 1970.
    pub at: u64,
    /// As told.
    pub commit: String,
    /// Where it ran.
    pub machine: Machine,
    /// The share of the machine that others used before it began.
    pub busy_share: f64,
    /// Others used more of it than is good for figures.
    pub too_busy: bool,
    /// How much of everything.
    pub amounts: Amounts,
    /// Store by store.
    pub stores: Vec<StoreFigures>,
}

// === impl Amounts ===

impl Amounts {
    /// What a claim may be based on.
    pub const WHOLE: Amounts = Amounts {
        outage_scans: 60_000,
        steady_rate: 20_000,
        steady_s: 20.0,
        import_tickets: 100_000,
        tickets: 1_000_000,
        log_scans: 1_000_000,
        questions: 200,
        claim_s: 5.0,
    };

    /// Shows in seconds that everything runs; its figures mean nothing.
    pub const QUICK: Amounts = Amounts {
        outage_scans: 600,
        steady_rate: 1_000,
        steady_s: 0.5,
        import_tickets: 600,
        tickets: 1_500,
        log_scans: 2_000,
        questions: 10,
        claim_s: 0.2,
    };
}

/// Measures one store after the other, each alone.
///
/// # Errors
/// A step that did not do what it had to.
pub fn measure(amounts: &Amounts, say: &mut dyn FnMut(&str)) -> Result<Vec<StoreFigures>> {
    let mut figures = Vec::new();
    for postgres in [true, false] {
        let mut server = if postgres { Server::postgres()? } else { Server::sqlite()? };
        say(&format!("{}: an outage", server.name()));
        let drain = pace::drain(&mut server, amounts)?;
        say(&format!("{}: a steady rate", server.name()));
        let steady = pace::steady(&server, amounts)?;
        let claims_per_s = claim::per_second(&server, Duration::from_secs_f64(amounts.claim_s))?;
        say(&format!("{}: tickets, a log, questions", server.name()));
        let (import, bootstrap_s, questions) = full(&server.place()?, amounts)?;
        let store = server.name();
        figures.push(StoreFigures { store, drain, steady, import, bootstrap_s, questions, claims_per_s });
    }
    Ok(figures)
}

/// A store with everything in it.
fn full(place: &Place, amounts: &Amounts) -> Result<(Import, f64, Vec<Asked>)> {
    let (node, import) = pace::fill(place, amounts)?;
    let engine = node.stop()?;
    let store = place.open()?;
    let began = Instant::now();
    let state = store.bootstrap()?;
    let bootstrap_s = began.elapsed().as_secs_f64();
    anyhow::ensure!(
        engine::checkpoint::image(&state) == engine.image(),
        "the store is not what the engine is"
    );
    drop(state);
    Ok((import, bootstrap_s, questions::ask(store.as_ref(), amounts)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_measurement_runs_with_few_of_everything() {
        let figures = measure(&Amounts::QUICK, &mut |_| ()).unwrap();
        assert_eq!(figures.len(), 2);
        for store in &figures {
            assert_eq!(store.drain.records, Amounts::QUICK.outage_scans);
            assert!(store.steady.scans >= 500, "{store:?}");
            assert!(!store.questions.is_empty());
            assert!(store.questions.iter().all(|own| own.questions == 10), "{store:?}");
        }
        let text = report::markdown(&Figures {
            at: 0,
            commit: "a commit".to_owned(),
            machine: load_tests::procfs::machine(),
            busy_share: 0.5,
            too_busy: true,
            amounts: Amounts::QUICK,
            stores: figures,
        });
        assert!(text.contains("| search: holder |") && text.contains("no basis for a claim"), "{text}");
    }
}
