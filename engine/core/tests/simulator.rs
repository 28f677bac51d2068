//! The crash simulator over its seeds, and the proof that it can fail. `./x sim SEED` repeats one seed.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "support/sim/mod.rs"]
mod sim;

use engine::catalog::{EventId, TypeId};
use engine::clock::ManualClock;
use engine::ticket::{CodeKind, Ticket, TicketId};
use engine::{Amendment, Engine};
use sim::audit::{Audit, Change, Heard, Told};
use sim::{Honesty, Stats, build, options, run};
use std::sync::Arc;

/// Seeds that are run each time; `SIM_SEEDS` asks for more, `SIM_SEED` for one.
const SEEDS: u64 = 200;

#[test]
fn no_crash_loses_a_decision_or_admits_twice() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(SEEDS),
    };
    println!("seeds {seeds:?}");
    // Two threads: the machine has two cores, and each seed is its own world.
    let middle = seeds.start + (seeds.end - seeds.start) / 2;
    let halves = [seeds.start..middle, middle..seeds.end];
    std::thread::scope(|threads| {
        let running = halves.map(|half| threads.spawn(move || half.for_each(check)));
        running.into_iter().for_each(|thread| thread.join().expect("a seed failed"));
    });
}

fn check(seed: u64) {
    if let Err(problem) = run(seed, Honesty::Honest) {
        println!("{problem}\nrepeat it: ./x sim {seed}");
        panic!("{problem}\nrepeat it: ./x sim {seed}");
    }
}

#[test]
fn a_seed_repeats_exactly() {
    let stats = run(7, Honesty::Honest).unwrap();
    assert_eq!(stats, run(7, Honesty::Honest).unwrap());
    assert_ne!(stats.fingerprint, run(8, Honesty::Honest).unwrap().fingerprint);
    let Stats { stories, told, checkpoints, spares, shreddings, .. } = stats;
    assert!(stories > 20, "{stats:?}");
    assert!(told > 20 * stories, "{stats:?}");
    assert!(checkpoints > stories, "{stats:?}");
    assert!(spares > stories, "{stats:?}");
    assert!(shreddings > stories, "{stats:?}");
}

fn caught(lies: Honesty) -> usize {
    (0..10).filter(|seed| run(*seed, lies).is_err()).count()
}

#[test]
fn a_disk_that_lies_about_synced_files_is_caught() {
    assert_eq!(caught(Honesty::LiesAboutFiles), 10);
}

#[test]
fn a_disk_that_lies_about_synced_names_is_caught() {
    assert_eq!(caught(Honesty::LiesAboutNames), 10);
}

/// A short honest history and the engine that made it.
fn history() -> (Audit, Engine) {
    let disk = engine::sim_disk::SimDisk::new();
    let clock = Arc::new(ManualClock::at(engine::Time(1_782_925_260_000)));
    let engine = Engine::open(Arc::new(disk), clock, options()).unwrap().0;
    let mut audit = Audit::new();
    sim::short_history(&engine, &mut audit);
    audit.recovered(&engine).expect("an honest history passes");
    (audit, engine)
}

fn first_admission(audit: &Audit) -> (u64, Heard) {
    let admitted = audit.scans.iter().find(|(_, heard)| heard.answer.verdict.admits());
    admitted.map(|(lsn, heard)| (*lsn, heard.clone())).unwrap()
}

#[test]
fn a_falsified_history_is_caught() {
    let (mut audit, engine) = history();
    let (lsn, mut heard) = first_admission(&audit);
    heard.answer.people += 1;
    audit.scans.insert(lsn, heard);
    assert!(audit.recovered(&engine).unwrap_err().contains("told"), "a changed answer");

    let (mut audit, engine) = history();
    let (_, heard) = first_admission(&audit);
    audit.scans.insert(9_999, heard);
    let problem = audit.admits_no_more_than_allowed().unwrap_err();
    assert!(problem.contains("A1"), "a second admission: {problem}");
    assert!(audit.recovered(&engine).unwrap_err().contains("lost"), "an answer nobody has a record of");
}

#[test]
fn a_state_that_is_not_the_journals_is_caught() {
    let (mut audit, engine) = history();
    let other = history().1;
    other.turns(build::device_id(0), build::gate_id(0), 1).unwrap();
    other.journal().commit().unwrap();
    assert!(audit.recovered(&engine).is_ok());
    assert!(audit.recovered(&other).is_err(), "another engine passed for this one");
}

#[test]
fn a_name_that_comes_back_is_caught() {
    let (mut audit, engine) = history();
    let tickets = engine.with_state(|state| state.tickets.next_id());
    let shredded = |audit: &mut Audit, lsn| {
        audit.shred_asked();
        audit.hears(Told::Change { lsn, change: Change::Shredded { tickets } }).unwrap();
    };
    engine.put(None, sim::the_match(engine::Time(1_782_925_200_000))).unwrap();
    let forgotten = engine.shred(None, EventId(0)).unwrap();
    engine.journal().commit().unwrap();
    shredded(&mut audit, forgotten.last);
    audit.recovered(&engine).expect("all of them are forgotten");
    // The same told by an engine in which a ticket was given its holder again.
    let named = build::ticket(TypeId(0), "T0", &[(CodeKind::Optical, b"T0")]);
    let before = engine.with_state(|state| state.tickets.get(TicketId(0)).cloned()).unwrap();
    let changed = vec![(TicketId(0), before.clone(), Ticket { details: named.details, ..before })];
    let (action, details) = ("amend".to_owned(), "{}".to_owned());
    engine.amend(None, Amendment { action, details, changed, added: Vec::new(), as_of: None }).unwrap();
    engine.journal().commit().unwrap();
    assert!(audit.recovered(&engine).unwrap_err().contains("is back"));
}
