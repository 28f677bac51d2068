//! What tickets cost in memory and in start time: an empty demo server, an import, a restart, and a proof that the
//! imported tickets are really there. Knows sizes and times; knows nothing of how the server keeps them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::client::{self, Judging, RunSettings, Waiting};
use crate::codes::{CodeChoice, CodePool};
use crate::procfs::{self, Machine};
use crate::report::RunResult;
use crate::request::Device;
use crate::server::{Server, ServerSettings};
use crate::target::Target;
use crate::{Outcome, compare};

/// What to measure.
#[derive(Debug, Clone)]
pub struct MemorySettings {
    /// The server's binary and its further arguments.
    pub demo: ServerSettings,
    /// How many to import.
    pub ticket_count: u32,
    /// Into which event.
    pub event: String,
    /// As which type.
    pub ticket_type: String,
    /// Where data and the file live.
    pub work_dir: PathBuf,
    /// The commit of the server's source, for the report.
    pub commit: String,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct MemoryResult {
    /// UTC.
    pub date: String,
    /// As typed.
    pub command: String,
    /// As told by `--commit`.
    pub commit: String,
    /// Where it ran.
    pub machine: Machine,
    /// Tickets imported.
    pub tickets: u32,
    /// The imported file.
    pub file_bytes: u64,
    /// The demo server before the import.
    pub resident_before: u64,
    /// After the import, when quiet.
    pub resident_imported: u64,
    /// After a restart, when quiet: without what the import itself left behind.
    pub resident_restarted: u64,
    /// (imported - before) / tickets
    pub bytes_per_ticket_imported: f64,
    /// (restarted - before) / tickets
    pub bytes_per_ticket_restarted: f64,
    /// First start, with the demo's own tickets, until healthy.
    pub start_seconds: f64,
    /// `gatehouse import tickets`, from its start to its end.
    pub import_seconds: f64,
    /// From SIGTERM to the end.
    pub stop_seconds: f64,
    /// Start with all tickets, until healthy.
    pub restart_seconds: f64,
    /// Some imported tickets, each presented once after the restart: all must be admitted.
    pub proof: RunResult,
}

/// How many imported tickets are presented after the restart.
const PROOF_COUNT: u32 = 1_000;
/// Long enough for all of them; the run ends with the last one.
const PROOF_TIME: Duration = Duration::from_secs(30);

/// Runs everything.
pub fn run(settings: &MemorySettings) -> Result<(MemoryResult, Outcome)> {
    let mut server = Server::new(settings.demo.clone(), &settings.work_dir)?;
    let start = server.start()?;
    let resident_before = resident_when_quiet(&server)?;
    eprintln!("empty server: healthy after {:.2} s, {} MiB", start.as_secs_f64(), resident_before >> 20);

    let file = server.dir().join("tickets.csv");
    let file_bytes = write_tickets(&file, settings)?;
    eprintln!("importing {} tickets ({} MiB)", settings.ticket_count, file_bytes >> 20);
    let import = server.import(&settings.event, &file)?;
    let resident_imported = resident_when_quiet(&server)?;
    eprintln!("imported in {:.2} s, {} MiB", import.as_secs_f64(), resident_imported >> 20);

    let stop = server.stop()?;
    let restart = server.start()?;
    let resident_restarted = resident_when_quiet(&server)?;
    eprintln!("restarted: healthy after {:.2} s, {} MiB", restart.as_secs_f64(), resident_restarted >> 20);
    let proof = proof(&server, settings)?;
    server.stop()?;

    let per_ticket =
        |resident: u64| (resident as f64 - resident_before as f64) / f64::from(settings.ticket_count);
    let outcome = if proof.is_right() { Outcome::Right } else { Outcome::Wrong };
    let result = MemoryResult {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        command: compare::command_line("gatehouse-load"),
        commit: settings.commit.clone(),
        machine: procfs::machine(),
        tickets: settings.ticket_count,
        file_bytes,
        resident_before,
        resident_imported,
        resident_restarted,
        bytes_per_ticket_imported: per_ticket(resident_imported),
        bytes_per_ticket_restarted: per_ticket(resident_restarted),
        start_seconds: start.as_secs_f64(),
        import_seconds: import.as_secs_f64(),
        stop_seconds: stop.as_secs_f64(),
        restart_seconds: restart.as_secs_f64(),
        proof,
    };
    Ok((result, outcome))
}

/// The result for people.
pub fn text(result: &MemoryResult) -> String {
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    let rate = f64::from(result.tickets) / result.import_seconds.max(1e-9);
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header([
        "",
        "resident MiB",
        "bytes per ticket",
        "seconds",
    ]);
    let seconds = |seconds: f64| format!("{seconds:.2}");
    table.add_row([
        "demo only".to_owned(),
        mib(result.resident_before),
        String::new(),
        seconds(result.start_seconds),
    ]);
    table.add_row([
        format!("{} imported ({rate:.0}/s)", result.tickets),
        mib(result.resident_imported),
        format!("{:.0}", result.bytes_per_ticket_imported),
        seconds(result.import_seconds),
    ]);
    table.add_row(["stopped".to_owned(), String::new(), String::new(), seconds(result.stop_seconds)]);
    table.add_row([
        "restarted".to_owned(),
        mib(result.resident_restarted),
        format!("{:.0}", result.bytes_per_ticket_restarted),
        seconds(result.restart_seconds),
    ]);
    let proof = &result.proof.tally;
    let mut text = format!(
        "{table}\n\nimported tickets presented: {} admitted, {} wrong\n",
        proof.admitted, proof.wrong
    );
    for example in &proof.examples {
        text.push_str(&format!("  {example}\n"));
    }
    text
}

fn resident_when_quiet(server: &Server) -> Result<u64> {
    let process = server.process()?;
    process.wait_quiet()?;
    // Allocators give pages back a moment after the work: a second quiet look is worth its half second.
    process.wait_quiet()?;
    procfs::resident_bytes(process.pid())
}

fn proof(server: &Server, settings: &MemorySettings) -> Result<RunResult> {
    let codes =
        (0..settings.ticket_count.min(PROOF_COUNT)).map(|number| code_of(number).into_boxed_str()).collect();
    let mut pool = CodePool::with_codes(CodeChoice::File(PathBuf::from("tickets.csv")), codes);
    let run = RunSettings {
        target: Target::at(server.device_addr),
        device: Device::default(),
        connection_count: 8,
        per_scan: false,
        warmup: Duration::ZERO,
        length: PROOF_TIME,
        server_pid: None,
        judging: Judging::Strict,
        waiting: Waiting::Sleep,
        progress: None,
    };
    client::run_closed(&run, &mut pool)
}

/// Lengths as box offices have them: code 16, ticket id 12, holder about 16 characters.
fn write_tickets(path: &Path, settings: &MemorySettings) -> Result<u64> {
    const FIRST: [&str; 8] =
        ["Anna", "Bartosz", "Charlotte", "Dmitri", "Esperanza", "Farid", "Giulia", "Hiroshi"];
    const LAST: [&str; 8] =
        ["Kowalski", "Nguyen", "Oliveira", "Petersen", "Rossi", "Schneider", "Tanaka", "Yilmaz"];
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut out = BufWriter::new(file);
    let written = (|| {
        writeln!(out, "code,ticket_id,type,holder")?;
        for number in 0..settings.ticket_count {
            let (first, last) = (FIRST[number as usize % 8], LAST[number as usize / 8 % 8]);
            let code = code_of(number);
            writeln!(out, "{code},T{number:011},{},{first} {last}", settings.ticket_type)?;
        }
        out.flush()
    })();
    written.with_context(|| format!("write {}", path.display()))?;
    Ok(path.metadata().with_context(|| format!("look at {}", path.display()))?.len())
}

fn code_of(number: u32) -> String {
    format!("LOAD{number:012}")
}
