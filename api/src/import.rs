//! The ticket import as a command: reads the list, sends it in batches, tells every bad row with its line and
//! reason. Knows no state.

use crate::cli::ImportTickets;
use crate::target::Target;
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use lists::TicketRow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{IsTerminal, Read};

/// Rows in one batch.
const BATCH_ROWS: usize = 8_192;
/// Bytes of a batch, below what the API port takes.
const BATCH_BYTES: usize = 3 * 1024 * 1024;
/// Bad rows that are printed one by one.
const PRINTED_MAX: usize = 1_000;

/// What an import came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Tickets added, or that would be.
    pub added: u64,
    /// Bad rows, by line.
    pub bad: Vec<(u64, String)>,
}

struct Batch {
    body: Vec<u8>,
    lines: Vec<u64>,
}

/// Runs an import.
///
/// # Errors
/// A list that cannot be read at all, a server that cannot be reached. Bad rows are in the outcome.
pub fn run(target: &Target, options: &ImportTickets) -> anyhow::Result<Outcome> {
    if !options.all_or_nothing {
        return pass(target, options, options.dry_run);
    }
    anyhow::ensure!(
        options.file.as_os_str() != "-",
        "--all-or-nothing reads the list twice: give a file, not standard input"
    );
    let checked = pass(target, options, true)?;
    if options.dry_run || !checked.bad.is_empty() {
        let added = if checked.bad.is_empty() { checked.added } else { 0 };
        return Ok(Outcome { added, bad: checked.bad });
    }
    pass(target, options, false)
}

/// Reads the list once, and adds its tickets or only asks whether they could be.
fn pass(target: &Target, options: &ImportTickets, dry_run: bool) -> anyhow::Result<Outcome> {
    let (input, bytes) = open(options)?;
    let progress = progress_bar(bytes, dry_run);
    let how = lists::Options { encoding: options.encoding.clone(), ..lists::Options::default() };
    let rows = lists::read(progress.wrap_read(input), &how).map_err(anyhow::Error::msg)?;
    let mut outcome = Outcome::default();
    let mut seen: HashMap<Box<str>, u64> = HashMap::new();
    let mut batch = Batch { body: Vec::new(), lines: Vec::new() };
    for (line, row) in rows {
        match row.and_then(|row| first_time(&mut seen, line, row)) {
            Ok(row) => {
                serde_json::to_writer(&mut batch.body, &row)?;
                batch.body.push(b'\n');
                batch.lines.push(line);
            }
            Err(problem) => outcome.bad.push((line, problem)),
        }
        if batch.lines.len() >= BATCH_ROWS || batch.body.len() >= BATCH_BYTES {
            send(target, options, dry_run, &mut batch, &mut outcome)?;
        }
    }
    send(target, options, dry_run, &mut batch, &mut outcome)?;
    progress.finish_and_clear();
    outcome.bad.sort_unstable_by_key(|(line, _)| *line);
    Ok(outcome)
}

fn open(options: &ImportTickets) -> anyhow::Result<(Box<dyn Read + Send>, Option<u64>)> {
    if options.file.as_os_str() == "-" {
        return Ok((Box::new(std::io::stdin()), None));
    }
    let file = File::open(&options.file).with_context(|| format!("open {}", options.file.display()))?;
    let bytes = file.metadata().map(|metadata| metadata.len()).ok();
    Ok((Box::new(file), bytes))
}

fn progress_bar(bytes: Option<u64>, dry_run: bool) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = "{prefix} {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(if dry_run { "checking" } else { "importing" });
    bar
}

/// A code or card that stands twice in the list is a mistake of the list, told with both lines.
fn first_time(seen: &mut HashMap<Box<str>, u64>, line: u64, row: TicketRow) -> Result<TicketRow, String> {
    // A card's key cannot be a code's: codes have no control characters.
    let cards: Vec<String> = row
        .card
        .split('|')
        .filter_map(|card| lists::card_bytes(card.trim()).ok())
        .map(|bytes| format!("\0{bytes:02X?}"))
        .collect();
    let keys = || row.codes().chain(cards.iter().map(String::as_str));
    for key in keys() {
        if let Some(first) = seen.get(key) {
            let what =
                if key.starts_with('\0') { format!("card '{}'", row.card) } else { format!("code '{key}'") };
            return Err(format!("the {what} stands in line {first} already"));
        }
    }
    let new: Vec<Box<str>> = keys().map(Box::from).collect();
    seen.extend(new.into_iter().map(|key| (key, line)));
    Ok(row)
}

fn send(
    target: &Target,
    options: &ImportTickets,
    dry_run: bool,
    batch: &mut Batch,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    if batch.lines.is_empty() {
        return Ok(());
    }
    let query = [("event", options.event.as_str()), ("dry_run", if dry_run { "1" } else { "0" })];
    let value = target.change("/api/v1/tickets/import", &query, &batch.body)?;
    outcome.added += value["added"].as_u64().unwrap_or(0);
    for error in value["errors"].as_array().unwrap_or(&Vec::new()) {
        let line = error["row"].as_u64().and_then(|row| batch.lines.get(row as usize)).copied().unwrap_or(0);
        outcome.bad.push((line, error["problem"].as_str().unwrap_or_default().to_owned()));
    }
    batch.body.clear();
    batch.lines.clear();
    Ok(())
}

/// Tells people what an import came to; gives the exit code: 0 when every row was good, 1 when some were bad.
pub fn report(outcome: &Outcome, options: &ImportTickets) -> u8 {
    for (line, problem) in outcome.bad.iter().take(PRINTED_MAX) {
        eprintln!("line {line}: {problem}");
    }
    if outcome.bad.len() > PRINTED_MAX {
        eprintln!("… and {} more bad rows", outcome.bad.len() - PRINTED_MAX);
    }
    let rejected = options.all_or_nothing && !outcome.bad.is_empty();
    let verb = match (options.dry_run, rejected) {
        (true, _) => "could be imported",
        (false, true) => "imported (nothing is kept when a row is bad)",
        (false, false) => "imported",
    };
    println!("{} tickets {verb}, {} bad rows", outcome.added, outcome.bad.len());
    u8::from(!outcome.bad.is_empty())
}
