//! A comparison in words: the markdown that is printed, and that may be committed beside its JSON. Knows no measuring.

use std::fmt::Write as _;

use comfy_table::{Table, presets};

use super::summary::{Medians, Spread};
use super::{CompareResult, Round, Turn};
use crate::busy::Busy;
use crate::limits;
use crate::report::{RunResult, latency_text};

/// The whole summary.
pub fn text(result: &CompareResult) -> String {
    let mut text = String::from("# Gatehouse beside the echo baseline\n\n");
    head(&mut text, result);
    closed(&mut text, result);
    threads(&mut text, result);
    per_scan(&mut text, result);
    open(&mut text, result);
    text
}

fn head(text: &mut String, result: &CompareResult) {
    let machine = &result.machine;
    let core =
        |core: Option<usize>| core.map_or_else(|| "any core".to_owned(), |core| format!("core {core}"));
    push(text, &format!("- date: {}, commit: {}", result.date, result.commit));
    push(text, &format!("- command: `{}`", result.command));
    push(
        text,
        &format!(
            "- machine: {}, {} cores, {} MiB, Linux {}, data on {}",
            machine.cpu_model,
            machine.core_count,
            machine.memory_mib,
            machine.kernel,
            result.disk.file_system
        ),
    );
    push(text, &format!("- server on {}, client on {}", core(result.cores[0]), core(result.cores[1])));
    let runs = result.rounds.iter().flat_map(Round::runs);
    others(text, &result.before, runs.map(|run| run.foreign_share).fold(0.0, f64::max));
    disk(text, &result.disk.file_system);
    let others = [&result.per_scan, &result.open].into_iter().chain(&result.earlier_open);
    let runs = result.rounds.iter().flat_map(Round::runs).chain(others);
    for example in runs.flat_map(|run| &run.tally.examples) {
        push(text, &format!("- **WRONG ANSWER: {example}**"));
    }
}

/// What others used of the machine, before the start and at most during a round; loud where it was too much.
pub fn others(text: &mut String, before: &Busy, foreign_share: f64) {
    push(
        text,
        &format!(
            "- before the start others used {:.1} % of the machine, load average {:.2}",
            before.share * 100.0,
            before.load_average
        ),
    );
    if before.too_busy {
        push(text, "- **The machine was busy (`--busy-ok`): these figures are no basis for a claim.**");
    }
    if foreign_share > limits::BUSY_SHARE_MAX {
        let percent = foreign_share * 100.0;
        push(
            text,
            &format!(
                "- **Others used up to {percent:.0} % of the machine during the rounds: no basis for a claim.**"
            ),
        );
    }
}

/// Loud where data was not on a disk at all.
pub fn disk(text: &mut String, file_system: &str) {
    if matches!(file_system, "tmpfs" | "ramfs") {
        push(text, "- **The data was in memory, not on a disk: fdatasync cost nothing here.**");
    }
}

fn closed(text: &mut String, result: &CompareResult) {
    let first = &result.rounds.first().map(|round| round.gatehouse.run.seconds).unwrap_or_default();
    push(
        text,
        &format!(
            "\n## Closed loop, {} keep-alive connections, {} rounds of {first:.1} s by turns: median (lowest – highest)\n",
            result.open.connections,
            result.rounds.len()
        ),
    );
    push(
        text,
        "The mixture: of every 100 scans 79 staff codes (admitted), 1 fresh code (admitted once), 20 used codes (denied).\n",
    );
    let mut header = vec!["", "echo", "gatehouse", "÷ echo"];
    if result.earlier.is_some() {
        header.extend(["before", "÷ before"]);
    }
    let mut table = table(header);
    type Row = (&'static str, fn(&Medians) -> Spread, usize);
    let rows: [Row; 6] = [
        ("answers per second", |of| of.answers_per_second, 0),
        ("server CPU µs per answer", |of| of.server_cpu_us, 2),
        ("client CPU µs per answer", |of| of.client_cpu_us, 2),
        ("p50 µs", |of| of.p50_us, 0),
        ("p99 µs", |of| of.p99_us, 0),
        ("p99.9 µs", |of| of.p999_us, 0),
    ];
    for (name, value, digits) in rows {
        let (echo, now) = (value(&result.echo), value(&result.gatehouse));
        let mut row = vec![name.to_owned(), cell(echo, digits), cell(now, digits), quotient(now, echo)];
        if let Some(earlier) = &result.earlier {
            row.extend([cell(value(earlier), digits), quotient(now, value(earlier))]);
        }
        table.add_row(row);
    }
    push(text, &table.to_string());
    counts(text, result);
}

/// The quotient of two medians; 0 where there is no divisor.
pub fn quotient(dividend: Spread, divisor: Spread) -> String {
    let ratio = if divisor.median > 0.0 { dividend.median / divisor.median } else { 0.0 };
    format!("{ratio:.2}")
}

fn counts(text: &mut String, result: &CompareResult) {
    let sum = |count: fn(&Round) -> u64| result.rounds.iter().map(count).sum::<u64>();
    push(
        text,
        &format!(
            "\n{} admitted, {} denied, {} wrong, {} lost (warm-ups included).",
            sum(|round| round.gatehouse.run.tally.admitted),
            sum(|round| round.gatehouse.run.tally.denied),
            sum(|round| round.gatehouse.run.tally.wrong),
            sum(|round| round.gatehouse.run.tally.lost)
        ),
    );
    push(text, &until_quiet("it", result.rounds.iter().map(|round| &round.gatehouse).collect()));
    if result.earlier.is_some() {
        push(
            text,
            &until_quiet("the build before", result.rounds.iter().flat_map(|round| &round.earlier).collect()),
        );
    }
    let foreign = |run: fn(&Round) -> &RunResult| {
        let shares = result.rounds.iter().map(|round| run(round).foreign_share * 100.0);
        cell(Spread::of(shares), 1)
    };
    push(
        text,
        &format!(
            "Others used {} % of the machine during echo and {} % during gatehouse.",
            foreign(|round| &round.echo),
            foreign(|round| &round.gatehouse.run)
        ),
    );
}

fn until_quiet(who: &str, turns: Vec<&Turn>) -> String {
    let us = Spread::of(turns.iter().map(|turn| turn.catch_up.cpu_us_until_quiet));
    let seconds = Spread::of(turns.iter().map(|turn| turn.catch_up.seconds));
    format!(
        "With what {who} still does after the last answer (quiet after {} s): {} µs of CPU per answer.",
        cell(seconds, 1),
        cell(us, 2)
    )
}

fn threads(text: &mut String, result: &CompareResult) {
    push(text, "\n## Where the server's CPU goes, by thread\n");
    let mut header = vec!["thread", "µs per answer"];
    if result.earlier.is_some() {
        header.push("before");
    }
    let mut table = table(header);
    for (name, us) in result.gatehouse.threads_us.iter().filter(|(_, us)| us.max >= 0.005) {
        let before = result.earlier.as_ref().map(|earlier| earlier.threads_us.get(name));
        let before = before.map(|us| us.map_or_else(String::new, |us| cell(*us, 2)));
        table.add_row([name.clone(), cell(*us, 2)].into_iter().chain(before));
    }
    push(text, &table.to_string());
}

fn per_scan(text: &mut String, result: &CompareResult) {
    let run = &result.per_scan;
    push(
        text,
        &format!(
            "\n## A connection for each scan: closed loop, {} at once, {:.1} s\n",
            run.connections, run.seconds
        ),
    );
    push(
        text,
        &format!(
            "- {:.0} scans per second; server CPU {:.2} µs, client CPU {:.2} µs per answer",
            run.answers_per_second,
            run.server_cpu_us.unwrap_or_default(),
            run.client_cpu_us
        ),
    );
    push(text, &format!("- {}", latency_text(&run.latency)));
    push(text, &format!("- {} wrong, {} lost", run.tally.wrong, run.tally.lost));
}

fn open(text: &mut String, result: &CompareResult) {
    let open = &result.open;
    let rate = open.rate.unwrap_or_default();
    push(
        text,
        &format!(
            "\n## Open loop, {rate} scans per second, {:.1} s, latency from the intended time\n",
            open.seconds
        ),
    );
    let disk = &result.disk;
    push(text, &format!("- scans: {} ({} answers)", latency_text(&open.latency), open.latency.count));
    if let Some(earlier) = &result.earlier_open {
        push(text, &format!("- scans with the build before: {}", latency_text(&earlier.latency)));
    }
    push(text, &format!("- of it before sending: {}", latency_text(&open.send_delay)));
    push(
        text,
        &format!(
            "- the disk alone, write of {} bytes + fdatasync: {} ({} writes)",
            disk.bytes,
            latency_text(&disk.latency),
            disk.latency.count
        ),
    );
    push(
        text,
        &format!(
            "- the disk alone with this schedule, records of {} bytes, all that are due with one sync: {}",
            result.disk_paced.bytes,
            latency_text(&result.disk_paced.latency)
        ),
    );
    push(
        text,
        &format!(
            "- {} wrong, {} lost, {} unsent; server CPU {:.2} µs per answer",
            open.tally.wrong,
            open.tally.lost,
            open.unsent,
            open.server_cpu_us.unwrap_or_default()
        ),
    );
    let ratios = &result.ratios;
    push(text, "\n## Ratios\n");
    push(text, &format!("- CPU per validated scan / CPU per echo: **{:.2}**", ratios.cpu_to_echo));
    push(text, &format!("- scans per second / echoes per second: **{:.2}**", ratios.rate_to_echo));
    push(
        text,
        &format!("- p99 at {rate}/s / p99 of write + fdatasync: **{:.2}**", ratios.p99_to_fdatasync_p99),
    );
    push(
        text,
        &format!("- p99.9 at {rate}/s / p99 of write + fdatasync: **{:.2}**", ratios.p999_to_fdatasync_p99),
    );
    push(
        text,
        &format!(
            "- p99.9 at {rate}/s / p99.9 of the disk alone with this schedule: **{:.2}**",
            ratios.p999_to_paced_disk_p999
        ),
    );
}

/// A table in markdown.
pub fn table(header: Vec<&str>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header);
    table
}

/// Median, lowest and highest, for a cell.
pub fn cell(spread: Spread, digits: usize) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.digits$} ({min:.digits$} – {max:.digits$})")
}

/// Appends a line.
pub fn push(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes everything");
}
