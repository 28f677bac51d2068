//! The judge: real hosts with real plugins print tickets on an emulated network printer while planned faults happen,
//! and then the paper is compared with what was reported. The rules are in `judge`.
//!
//! A seed is a whole schedule. `GATEHOUSE_PRINTING_SEED=17 cargo test -p device-emulators --test printing` runs one and
//! tells everything about it; `GATEHOUSE_PRINTING_RECORD=/path` has the bytes of its line written down as well.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod host;
mod judge;

use device_emulators::network::{Connection, NetworkPrinter, Over};
use device_emulators::plan::Plan;
use device_emulators::receipt::{Grey, Mark as Printed, Model, Paper, Piece, ReceiptPrinter};
use driver_abi::{Cut, Style};
use driver_frames::{Done, Op, Report, Status};
use host::Host;
use judge::{Attempt, Mark, Proof, judge, marks_of_text};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Schedules that are run.
const SEEDS: u64 = 200;
/// Schedules that run at once: they mostly wait.
const AT_ONCE: usize = 16;
/// Lines of a ticket.
const LINES: u32 = 6;
/// A ticket gets so long.
const TIMEOUT_MS: u32 = 700;
/// Of so many tickets the host is killed while it prints them.
const KILLED: f64 = 0.08;
/// Of what a printer did not understand so much is told.
const ERRORS_TOLD_MAX: usize = 20;
/// A ticket that is reported None is tried so often, so far apart.
const ATTEMPTS_MAX: u32 = 3;
const BACK_OFF: Duration = Duration::from_millis(60);

/// What is run against the printer.
#[derive(Clone, Copy)]
struct Driver {
    name: &'static str,
    /// By turns, from seed to seed; and about how many bytes a ticket then is on its line: faults are planned within.
    configs: &'static [(&'static str, u64)],
    proof: Proof,
}

const VIRTUAL: Driver = Driver { name: "virtual", configs: &[("{}", 150)], proof: Proof::None };
/// Printers that prove, with codes of their own and as dots; one that is told to be silent; one whose answers come in
/// order; one that is not known at all.
const ESCPOS: Driver = Driver {
    name: "escpos",
    configs: &[
        (r#"{"profile":"tm-t88"}"#, 400),
        (r#"{"profile":"tm-m30","qr":"raster"}"#, 1_900),
        (r#"{"profile":"tm-t88","status":"try"}"#, 400),
        (r#"{"profile":"tm-t20","proof":"queued","asb":false}"#, 400),
        ("{}", 1_900),
    ],
    proof: Proof::OfDevice,
};

/// What became of one schedule.
struct Told {
    findings: Vec<String>,
    story: String,
    reports: Vec<Report>,
}

#[test]
fn what_the_virtual_driver_reports_is_true_of_the_paper() {
    run_all(VIRTUAL);
}

#[test]
fn what_the_escpos_driver_reports_is_true_of_the_paper() {
    run_all(ESCPOS);
}

/// The judge has to have teeth: what the virtual driver calls proof is none, and on a network it shows.
#[test]
fn a_driver_that_takes_leaving_for_printing_is_found_out() {
    let liar = Driver { proof: Proof::OfDevice, ..VIRTUAL };
    let found = (0..SEEDS).any(|seed| !run(seed, liar).findings.is_empty());
    assert!(found, "in {SEEDS} schedules nobody noticed");
}

fn run_all(driver: Driver) {
    if let Some(seed) = std::env::var("GATEHOUSE_PRINTING_SEED").ok().and_then(|seed| seed.parse().ok()) {
        let told = run(seed, driver);
        println!("{}", told.story);
        assert!(told.findings.is_empty(), "seed {seed}: {:#?}", told.findings);
        return;
    }
    println!("{}: seeds 0 to {}", driver.name, SEEDS - 1);
    let next = AtomicU64::new(0);
    let told: Vec<(u64, Told)> = std::thread::scope(|scope| {
        let work = || {
            let mut told = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= SEEDS {
                    return told;
                }
                told.push((seed, run(seed, driver)));
            }
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let reports: Vec<&Report> = told.iter().flat_map(|(_, told)| &told.reports).collect();
    let count = |done: Done| reports.iter().filter(|report| report.done == done).count();
    println!(
        "{} tickets: {} confirmed, {} sent, {} unknown, {} none",
        reports.len(),
        count(Done::Confirmed),
        count(Done::Sent),
        count(Done::Unknown),
        count(Done::None)
    );
    let failed: Vec<&(u64, Told)> = told.iter().filter(|(_, told)| !told.findings.is_empty()).collect();
    for (seed, told) in &failed {
        println!("seed {seed}: {:#?}", told.findings);
    }
    if let Some((_, told)) = failed.first() {
        println!("the first of them:\n{}", told.story);
    }
    assert!(failed.is_empty(), "{} of {SEEDS} schedules failed", failed.len());
    assert!(count(Done::Confirmed) > 0, "a run in which nothing is confirmed shows nothing");
}

/// One schedule.
fn run(seed: u64, driver: Driver) -> Told {
    let (config, ticket_bytes) = driver.configs[seed as usize % driver.configs.len()];
    let plan = Plan::from_seed(seed, ticket_bytes);
    let mut rng = StdRng::seed_from_u64(seed ^ 0x7469_636b_6574);
    let model = Model {
        buffer_bytes: [64, 512, 4_096][rng.random_range(0..3)],
        process_ids: rng.random_bool(0.8),
        forgets_command: rng.random_bool(0.5),
        roll_dots: rng.random_bool(0.3).then(|| rng.random_range(600..4_000)),
        ..Model::default()
    };
    let mut story = format!("seed {seed}, {config}\n{plan:#?}\n{model:?}\n");
    let tickets = rng.random_range(3..=6);
    let printer = NetworkPrinter::start(ReceiptPrinter::new(model.clone()), plan).unwrap();
    let mut findings = Vec::new();
    let mut stage = Stage { driver, config, printer: &printer, host: None, tried: Vec::new() };
    for ticket in 1..=tickets {
        let kill_after = rng.random_bool(KILLED).then(|| Duration::from_millis(rng.random_range(0..30)));
        if let Err(error) = stage.print_ticket(ticket, kill_after) {
            findings.push(format!("ticket {ticket} has no final report: {error}"));
            break;
        }
    }
    let tried = std::mem::take(&mut stage.tried);
    drop(stage);
    let (printer, connections) = printer.finish();
    let broken = |at: usize| tried[at].is_broken(&connections);
    let attempts: Vec<Attempt> = (0..tried.len())
        .map(|at| Attempt {
            ticket: tried[at].ticket,
            attempt: tried[at].attempt,
            done: tried[at].report.done,
            lost: broken(at) || (!model.forgets_command && (0..at).any(broken)),
        })
        .collect();
    let marks = marks_of_paper(printer.paper());
    findings.extend(judge(&attempts, &marks, LINES, driver.proof));
    if driver.proof == Proof::OfDevice && !(0..tried.len()).any(broken) {
        // On a line that lost nothing there is nothing to misunderstand. A printer without process IDs may be asked, and
        // one whose answer does not come be sent NUL, which between commands does nothing.
        let allowed =
            |error: &str| error.contains("knows no process IDs") || error.starts_with("00: no command");
        let errors = printer.errors().iter().filter(|error| !allowed(error));
        findings.extend(errors.map(|error| format!("the printer did not understand: {error}")));
    }
    for tried in &tried {
        let _ = writeln!(
            story,
            "{}.{}{} on connections {:?}: {:?}",
            tried.ticket,
            tried.attempt,
            if tried.killed { ", host killed," } else { "" },
            tried.connections,
            tried.report
        );
    }
    for (number, connection) in connections.iter().enumerate() {
        let _ = writeln!(story, "connection {number}: {connection:?}");
    }
    for error in printer.errors().iter().take(ERRORS_TOLD_MAX) {
        let _ = writeln!(story, "not understood: {error}");
    }
    let _ = writeln!(story, "{}", printer.paper().text());
    Told { findings, story, reports: tried.into_iter().map(|tried| tried.report).collect() }
}

/// One try and the connections that were made meanwhile.
struct Tried {
    ticket: u32,
    attempt: u32,
    report: Report,
    killed: bool,
    connections: std::ops::Range<usize>,
}

impl Tried {
    /// May what was sent have been lost on its way, or have ended in the middle of a command?
    fn is_broken(&self, connections: &[Connection]) -> bool {
        let own = &connections[self.connections.clone()];
        self.killed || own.iter().any(|connection| connection.over.is_some_and(Over::loses))
    }
}

/// What one schedule is played with.
struct Stage<'a> {
    driver: Driver,
    config: &'a str,
    printer: &'a NetworkPrinter<ReceiptPrinter>,
    /// Started when it is needed: a supervisor starts it anew when it died.
    host: Option<Host>,
    tried: Vec<Tried>,
}

impl Stage<'_> {
    /// The only policy that is allowed: again after None, never otherwise. A host that died without a report says
    /// what a supervisor then says: Unknown.
    fn print_ticket(&mut self, ticket: u32, kill_after: Option<Duration>) -> Result<(), String> {
        for attempt in 1..=ATTEMPTS_MAX {
            let before = self.printer.connected();
            let mut host = match self.host.take() {
                Some(host) => host,
                None => Host::start(self.driver.name, self.config, &self.printer.address().to_string())?,
            };
            let document = document(ticket, attempt);
            let killed = kill_after.is_some();
            let report = match kill_after {
                Some(after) => host.run_and_kill(document, TIMEOUT_MS, after).unwrap_or_else(died),
                None => {
                    let report = host.run(document, TIMEOUT_MS)?;
                    self.host = Some(host);
                    report
                }
            };
            let again = report.done == Done::None;
            let connections = before..self.printer.connected();
            self.tried.push(Tried { ticket, attempt, report, killed, connections });
            if !again {
                break;
            }
            std::thread::sleep(BACK_OFF);
        }
        Ok(())
    }
}

fn died() -> Report {
    Report {
        done: Done::Unknown,
        fault: None,
        ops_done: 0,
        bytes_sent: 0,
        status: Status::UNKNOWN,
        native_code: 0,
        text: "the host died".to_owned(),
        took_ms: 0,
    }
}

/// Lines that name their ticket, attempt and place, a code that does too, and a cut.
fn document(ticket: u32, attempt: u32) -> Vec<Op<'static>> {
    let mut ops = vec![Op::Style(Style { bold: true, ..Style::default() })];
    for line in 1..=LINES {
        ops.push(Op::Text(format!("<{ticket}.{attempt}:{line}/{LINES}> seat {line}").into()));
        ops.push(Op::Newline);
        ops.push(Op::Style(Style::default()));
    }
    let data = format!("<{ticket}.{attempt}:0/>").into_bytes().into();
    ops.extend([Op::Qr { data, module: 4, correction: 1 }, Op::Feed(2), Op::Cut(Cut::Partial)]);
    ops
}

fn marks_of_paper(paper: &Paper) -> Vec<Mark> {
    let pieces = paper.pieces().iter().enumerate();
    pieces.flat_map(|(number, piece)| marks_of_piece(paper, piece, number)).collect()
}

fn marks_of_piece(paper: &Paper, piece: &Piece, number: usize) -> Vec<Mark> {
    // The text dump has the printer's own codes in it.
    let mut marks = marks_of_text(&piece.text(paper.width_dots()), number);
    if piece.printed.iter().any(|printed| matches!(printed.mark, Printed::Picture(_))) {
        let codes = decoded(&paper.grey(piece));
        marks.extend(codes.iter().flat_map(|code| marks_of_text(code, number)));
    }
    marks
}

/// QR codes that were sent as dots, read by a decoder that is nobody's here.
fn decoded(grey: &Grey) -> Vec<String> {
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(grey.width, grey.height, |x, y| {
        grey.pixels[y * grey.width + x]
    });
    image.detect_grids().iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).collect()
}
