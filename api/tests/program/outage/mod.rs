//! Every way a database can fail, and no gate notices: a real node, a real server, one procedure for all faults.
//!
//! Scans on a fixed schedule while nothing happens, while the fault lasts, and while the backlog drains. Every answer must be
//! the right one; the lag and the log must tell the truth; the projection must come back by itself; and the auditor must find
//! every record in its rows, once.
//!
//! What a gate waits is printed as a p99 for each window, and compared as a p90: one stall of the disk, which other tests on
//! the machine share, is more than a hundredth of so short a window. A thread on the same schedule measures what the machine
//! itself takes for a loopback exchange and a synced write, and scans beside an exchange that was slow are not compared. The
//! figures themselves, of all scans, are for a quiet machine: `./x outages`.

mod faults;
mod full_disk;
mod gates;

use crate::audit::audit;
use crate::support::{Server, Site, metric_of, until};
use faults::{Fault, Projection, Stage};
use full_disk::SmallDisk;
use gates::{Gates, Window};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store_testkit::{Postgres, PostgresOptions, Proxy, all_programs};

/// Makes windows of so many seconds, for the figures.
const WINDOW_VARIABLE: &str = "GATEHOUSE_OUTAGE_WINDOW_S";
/// A window is at least so long; longer when the fault takes longer to be noticed.
const WINDOW: Duration = Duration::from_millis(1_500);
/// With fewer scans while the machine was not slow, those alone say nothing.
const QUIET_SCANS_MIN: usize = 100;
/// How much longer the slowest tenth of the scans may take than undisturbed.
const RATIO_MAX: f64 = 1.5;
/// Below it, differences are the scheduler's: a few time slices of other processes' threads on a machine of two cores. A gate
/// that waited for a database would wait for one of its deadlines or retries, and those begin at 100 ms.
const NOISE: Duration = Duration::from_millis(10);
/// The projection follows: the gates make so many records in half a second.
const LIVE_RECORDS: f64 = 200.0;
/// Between two looks at the metrics: a look takes from the gates' cores.
const METRICS_EVERY: Duration = Duration::from_millis(100);
const LAG: &str = "gatehouse_projection_lag_records";
const PROJECTED: &str = "gatehouse_projected_lsn";
const ERRORS: &str = "gatehouse_projection_errors_total";
const STANDS: &str = "the projection waits for the store, gates go on and the journal grows";
const BACK: &str = "the store is back, the projection goes on";

/// A node at a database that faults happen to.
struct Trial {
    stage: Stage,
    site: Site,
    server: Server,
    gates: Gates,
    /// All windows in which nothing happened.
    undisturbed: Window,
}

/// What happened in the three windows of one fault.
struct Measured {
    calm: Window,
    disturbed: Window,
    draining: Window,
    backlog: f64,
    drained_in: Duration,
}

#[test]
fn no_gate_notices_a_server_that_is_stopped_killed_restarted_or_halted() {
    let trial = Trial::new(|stage| stage);
    trial.run(&[Fault::Stopped, Fault::Killed, Fault::Restarted, Fault::Halted]);
}

#[test]
fn no_gate_notices_a_slow_narrow_cut_or_deaf_wire() {
    let trial = Trial::new(|stage| Stage { proxy: Some(Proxy::to(stage.server.port())), ..stage });
    trial.run(&[Fault::Delayed, Fault::Throttled, Fault::Cut, Fault::HalfOpen]);
}

#[test]
fn no_gate_notices_a_server_that_refuses() {
    let trial = Trial::new(|stage| stage);
    trial.run(&[Fault::Crowded, Fault::ReadOnly, Fault::Locked, Fault::KeyTaken, Fault::LoginRefused]);
}

/// An auditor that finds nothing must be one that would have.
#[test]
fn the_auditor_finds_rows_that_are_lost_doubled_changed_and_made_up() {
    let mut trial = Trial::new(|stage| stage);
    trial.gates.scan_while(&trial.server, |_| std::thread::sleep(WINDOW));
    turns(&trial.server);
    trial.server.projected();
    let (journal, session) = (trial.site.journal(), trial.stage.session());
    audit(&journal, &session);
    for wrong in [
        "DELETE FROM scans WHERE lsn = (SELECT max(lsn) FROM scans)",
        "UPDATE scans SET reason = 'blocked' WHERE lsn = (SELECT max(lsn) FROM scans WHERE verdict = 'deny')",
        "UPDATE scans SET decided_at = decided_at + interval '1 ms' WHERE lsn = (SELECT max(lsn) FROM scans)",
        "INSERT INTO passages SELECT lsn + 1000000, at, device, scan, outcome FROM passages LIMIT 1",
        "DELETE FROM turns",
        "UPDATE ticket_uses SET used = used + 1 WHERE ticket = (SELECT max(ticket) FROM scans)",
        "UPDATE tickets SET status = 'blocked' WHERE id = 1",
        "DELETE FROM codes WHERE ticket = 1",
        "DELETE FROM kept_answers WHERE first = (SELECT max(first) FROM kept_answers)",
        "DELETE FROM gates WHERE name = 'OUT'",
        "UPDATE meta SET cursor = cursor - 1",
    ] {
        // Undone each time, so that each is found by itself.
        session.run(&format!("BEGIN; {wrong}"));
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| audit(&journal, &session)));
        assert!(found.is_err(), "not found: {wrong}");
        session.run("ROLLBACK");
    }
    audit(&journal, &session);
    trial.server.stop();
}

#[test]
fn no_gate_notices_a_full_disk() {
    let trial = Trial::new(|stage| {
        let Some(disk) = SmallDisk::mount() else { return stage };
        let session = stage.session();
        stage.server.give(&disk.folder());
        session.run(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.folder().display()));
        session.run("CREATE DATABASE on_small TABLESPACE small");
        Stage { database: "on_small", disk: Some(disk), ..stage }
    });
    trial.run(&[Fault::DiskFull]);
}

// === impl Trial ===

impl Trial {
    fn new(prepare: impl FnOnce(Stage) -> Stage) -> Trial {
        let settings = vec![("max_connections".to_owned(), "12".to_owned())];
        let postgres =
            Postgres::start(&all_programs()[0], &PostgresOptions { settings, ..Default::default() });
        let site = Site::bare();
        let stage = prepare(Stage::new(postgres));
        let site = site.set("DATABASE_URL", &stage.url());
        site.import_venue(&Gates::tickets());
        let server = site.start();
        server.projected();
        Trial { stage, site, server, gates: Gates::new(), undisturbed: Window::default() }
    }

    fn run(mut self, faults: &[Fault]) {
        println!("{}", Measured::HEAD);
        for fault in faults {
            let measured = self.fault(*fault);
            self.undisturbed.add(&measured.calm);
            println!("{}", measured.row(*fault));
            measured.judge(*fault, &self.undisturbed);
            audit(&self.site.journal(), &self.stage.session());
        }
        self.server.stop();
    }

    fn fault(&mut self, fault: Fault) -> Measured {
        let Trial { stage, site, server, gates, .. } = self;
        let window = window();
        let ((), calm) = gates.scan_while(server, |_| std::thread::sleep(window));
        server.projected();
        let (told_before, errors) = (site.log().len(), server.metric(ERRORS));
        let (backlog, disturbed) = gates.scan_while(server, |answered| {
            let began = Instant::now();
            fault.begin(stage);
            turns(server);
            let mut since = answered.load(Ordering::SeqCst);
            noticed(fault, server, errors);
            if fault == Fault::KeyTaken {
                // It stands when the taken key comes, not before.
                since = answered.load(Ordering::SeqCst);
            }
            std::thread::sleep(window.saturating_sub(began.elapsed()));
            lag_tells_the_truth(fault, server, answered, since)
        });
        let (drained_in, draining) = gates.scan_while(server, |_| {
            fault.end(stage);
            let began = Instant::now();
            look_until("the backlog to drain", server, |page| metric_of(page, LAG) <= LIVE_RECORDS);
            began.elapsed()
        });
        server.projected();
        assert_eq!(server.metric(LAG), 0.0, "{fault:?}");
        told_once(fault, site, told_before);
        Measured { calm, disturbed, draining, backlog, drained_in }
    }
}

fn window() -> Duration {
    let seconds = std::env::var(WINDOW_VARIABLE).ok().map(|text| text.parse().unwrap());
    seconds.map_or(WINDOW, Duration::from_secs)
}

/// A record of another kind for the auditor.
fn turns(server: &Server) {
    let answer = server.post("/api/access/turns", r#"{"people":3,"api_key":"key-of-d2"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn look_until(what: &str, server: &Server, is_so: impl Fn(&str) -> bool) {
    until(what, || {
        let found = is_so(&server.metrics()).then_some(());
        if found.is_none() {
            std::thread::sleep(METRICS_EVERY);
        }
        found
    });
}

/// Waits until the fault shows: where the projection stands in the error counter, where it goes on in two batches more.
fn noticed(fault: Fault, server: &Server, errors: f64) {
    match fault.projection() {
        Projection::Stands(_) | Projection::Flaps(_) => {
            look_until("an error of the store", server, |page| metric_of(page, ERRORS) > errors);
        }
        Projection::GoesOn => {
            for _ in 0..2 {
                let before = server.metric(PROJECTED);
                look_until("another batch", server, |page| metric_of(page, PROJECTED) > before);
            }
        }
        Projection::Stumbles => {}
    }
}

/// While the projection stands, every scan since waits; gives how many records do.
fn lag_tells_the_truth(fault: Fault, server: &Server, answered: &AtomicU64, since: u64) -> f64 {
    let made = answered.load(Ordering::SeqCst) - since;
    let page = server.metrics();
    let lag = metric_of(&page, LAG);
    let durable = metric_of(&page, "gatehouse_journal_durable_lsn");
    let projected = metric_of(&page, PROJECTED);
    assert!((durable - projected - lag).abs() <= 200.0, "{fault:?}: {lag} of {durable} - {projected}");
    if matches!(fault.projection(), Projection::Stands(_) | Projection::Flaps(_)) {
        assert!(lag >= made as f64, "{fault:?}: {made} scans since, and a lag of {lag}");
    }
    lag
}

/// Once each way, in words an operator understands.
fn told_once(fault: Fault, site: &Site, told_before: usize) {
    let lines = |mark: &str| -> Vec<String> {
        site.log()[told_before..].lines().filter(|line| line.contains(mark)).map(str::to_owned).collect()
    };
    let outages = until("words about the end of the fault", || {
        let stands = lines(STANDS);
        (lines(BACK).len() == stands.len()).then_some(stands)
    });
    match fault.projection() {
        Projection::Stands(words) => {
            assert_eq!(outages.len(), 1, "{fault:?}: {outages:#?}");
            assert!(outages[0].contains(words), "{fault:?}: {}", outages[0]);
        }
        Projection::Flaps(words) => assert!(outages.iter().all(|own| own.contains(words)), "{outages:#?}"),
        Projection::GoesOn => assert_eq!(outages.len(), 0, "{fault:?}: {outages:#?}"),
        Projection::Stumbles => assert!(outages.len() <= 1, "{fault:?}: {outages:#?}"),
    }
    let warns = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    let log = site.log();
    let noise: Vec<&str> =
        log[told_before..].lines().filter(warns).filter(|own| !own.contains(STANDS)).collect();
    assert!(noise.is_empty(), "{fault:?}: {noise:#?}");
    outages.iter().for_each(|line| println!("<!-- {line} -->"));
}

// === impl Measured ===

impl Measured {
    const HEAD: &str = "| fault | scans | of them quiet | p99 undisturbed | p99 with fault | ratio | p99 while draining | machine's own p99 | \
                        backlog | drained in |\n|---|---|---|---|---|---|---|---|---|---|";

    fn row(&self, fault: Fault) -> String {
        let [calm, disturbed, draining, floor] =
            [self.calm.p99(), self.disturbed.p99(), self.draining.p99(), self.disturbed.floor_p99()]
                .map(|p99| p99.as_secs_f64() * 1e3);
        let (ratio, scans, quiet) = (disturbed / calm, self.disturbed.scans(), self.disturbed.quiet_scans());
        format!(
            "| {fault:?} | {scans} | {quiet} | {calm:.2} ms | {disturbed:.2} ms | {ratio:.2} | {draining:.2} ms | {floor:.2} ms | \
             {} records | {:.1} s |",
            self.backlog,
            self.drained_in.as_secs_f64()
        )
    }

    fn judge(&self, fault: Fault, undisturbed: &Window) {
        for window in [&self.disturbed, &self.draining] {
            // Where the machine was slow nearly all the time, all scans are held against what it took itself.
            let (waited, usual) = if window.quiet_scans() >= QUIET_SCANS_MIN {
                (window.quiet_p90(), undisturbed.quiet_p90())
            } else {
                (window.p90(), undisturbed.p90().max(window.floor_p90()))
            };
            assert!(
                waited <= usual.max(NOISE).mul_f64(RATIO_MAX),
                "{fault:?}: gates waited {waited:?}, usual is {usual:?}; {} of {} scans while the machine was not slow",
                window.quiet_scans(),
                window.scans()
            );
        }
    }
}
