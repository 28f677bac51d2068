//! Everything a run found: as JSON, and as tables for people. Knows figures and words; draws nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::file::Act;
use super::slow::SlowSummary;
use super::stagehand::Seen;
use super::stats::StreamSummary;
use super::upload::UploadSummary;
use super::wants::Checked;
use crate::Outcome;
use crate::latency::LatencySummary;
use crate::procfs::Machine;
use crate::report::duration_text;
use crate::tally::Tally;

/// The whole result.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The scenario's name, or its file.
    pub scenario: String,
    /// One line for people.
    pub title: String,
    /// What it stands for.
    pub about: String,
    /// How it was run.
    pub run: RunFacts,
    /// By stream.
    pub streams: Vec<StreamSummary>,
    /// By upload.
    pub uploads: Vec<UploadSummary>,
    /// By group of slow clients.
    pub slow: Vec<SlowSummary>,
    /// Parts of the time, in seconds of the run.
    pub parts: Vec<PartFacts>,
    /// When all connections were cut, in seconds of the run.
    pub cuts_s: Vec<f64>,
    /// From each cut to the last reader's next answer, in seconds.
    pub reconnected_s: Vec<Option<f64>>,
    /// The server.
    pub server: Seen,
    /// What the server counted meanwhile.
    pub counters: BTreeMap<String, f64>,
    /// How the server did not stop as it promises.
    pub server_fault: Option<String>,
    /// This program.
    pub load: LoadFacts,
    /// What was wanted and what came.
    pub wants: Vec<Checked>,
}

/// How it was run.
#[derive(Debug, Serialize)]
pub struct RunFacts {
    /// The command line.
    pub command: String,
    /// The commit of the server's source.
    pub commit: String,
    /// When.
    pub started_at: String,
    /// Where.
    pub machine: Machine,
    /// The server that was asked.
    pub server: String,
    /// What people, rates and readers were multiplied with.
    pub scale: f64,
    /// Seconds of the venue in one of the run's.
    pub compress: f64,
    /// How long the schedule is.
    pub seconds: f64,
    /// Which tickets.
    pub seed: u16,
}

/// A part of the time.
#[derive(Debug, Serialize)]
pub struct PartFacts {
    /// Its name.
    pub name: String,
    /// Its beginning.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
}

/// What this program did to the measurement.
#[derive(Debug, Serialize)]
pub struct LoadFacts {
    /// Share of one core its thread used.
    pub core_share: f64,
    /// Share of the machine that neither it nor the server used.
    pub foreign_share: f64,
    /// Bytes that answered nothing, and heartbeats that were not answered well.
    pub strays: u64,
    /// Its own delay was so long that latencies tell of it rather than of the server.
    pub was_late: bool,
}

// === impl Report ===

impl Report {
    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        if self.server_fault.is_some()
            || self.load.strays > 0
            || self.tallies().any(|tally| !tally.is_right())
        {
            Outcome::Wrong
        } else if self.wants.iter().any(|want| !want.met) {
            Outcome::Missed
        } else {
            Outcome::Right
        }
    }

    /// Of all streams and uploads.
    pub fn tallies(&self) -> impl Iterator<Item = &Tally> {
        let streams = self.streams.iter().map(|stream| &stream.tally);
        streams.chain(self.uploads.iter().map(|upload| &upload.stream.tally))
    }

    /// The verdict in one sentence.
    pub fn verdict(&self) -> String {
        let sum = |count: fn(&Tally) -> u64| self.tallies().map(count).sum::<u64>();
        let admissions = sum(|tally| tally.second_admissions) + sum(|tally| tally.wrong_admissions);
        match self.outcome() {
            Outcome::Wrong => format!(
                "FAILED: {} wrong answers, {admissions} of them wrong admissions; {} answers missing",
                sum(|tally| tally.wrong) + self.load.strays,
                sum(|tally| tally.lost)
            ),
            Outcome::Missed => "every answer was right; something that was wanted was not reached".to_owned(),
            Outcome::Right => "every answer was right, everything that was wanted came".to_owned(),
        }
    }

    /// Moments something happened, with its name.
    pub fn marks(&self) -> Vec<(String, f64)> {
        let of_database = self.server.acts.iter().map(|(at_s, act)| {
            let name = match act {
                Act::StopDatabase => "database stopped",
                Act::StartDatabase => "database back",
                Act::CutConnections => "connections cut",
            };
            (name.to_owned(), *at_s)
        });
        let cuts = self.cuts_s.iter().map(|at_s| ("connections cut".to_owned(), *at_s));
        of_database.chain(cuts).collect()
    }

    /// Sentences a reader of the figures has to know.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let LoadFacts { core_share, foreign_share, was_late, strays } = self.load;
        remarks.push(format!(
            "The load program used {:.0} % of one core; others used {:.0} % of the machine.",
            core_share * 100.0,
            foreign_share * 100.0
        ));
        if was_late {
            remarks.push(
                "The load program was late itself: latencies here contain its own delay, see 'own delay'. Give it a core of its own, or ask for less with --scale.".to_owned(),
            );
        }
        if strays > 0 {
            remarks.push(format!(
                "{strays} replies answered nothing that was asked, or a heartbeat not with 200."
            ));
        }
        for (number, reconnected_s) in self.reconnected_s.iter().enumerate() {
            let told =
                reconnected_s.map_or("never".to_owned(), |s| format!("after {}", duration_text(s * 1e6)));
            remarks.push(format!("Cut {}: the last reader was answered again {told}.", number + 1));
        }
        for slow in &self.slow {
            let statuses: Vec<String> =
                slow.by_status.iter().map(|(status, count)| format!("{count} × {status}")).collect();
            remarks.push(format!(
                "{}: {} clients opened {} connections, sent {} bytes, were ended {} times ({}).",
                slow.name,
                slow.clients,
                slow.opened,
                slow.bytes,
                slow.ended,
                if statuses.is_empty() { "without an answer".to_owned() } else { statuses.join(", ") }
            ));
        }
        for upload in &self.uploads {
            remarks.push(format!(
                "{}: {} rows in {} uploads, {} conflicts, the last answer after {}.",
                upload.stream.name,
                upload.rows,
                upload.stream.due,
                upload.conflicts,
                duration_text(upload.done_s * 1e6)
            ));
        }
        remarks.extend(self.server_remarks());
        remarks
            .extend(self.server_fault.iter().map(|fault| format!("The server did not stop well: {fault}")));
        remarks
    }

    fn server_remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(bytes) = self.server.disk_bytes_read(0.0, f64::MAX) {
            let kib = bytes.div_ceil(1024);
            remarks.push(format!("The server had the disk read {kib} KiB during the run."));
        }
        if !self.server.acts.is_empty() {
            let caught_up = self.server.caught_up_s.map_or("not caught up with".to_owned(), |seconds| {
                format!("caught up with {} after its return", duration_text(seconds * 1e6))
            });
            remarks.push(format!(
                "The store lagged {} records behind at the most ({} before the database was stopped); it was {caught_up}.",
                self.server.lag_max, self.server.lag_before_max
            ));
        }
        remarks
    }

    /// The report for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("\n{}\n{}\n", self.title, streams_table(&self.stream_rows()));
        if !self.wants.is_empty() {
            let mut table = table(&["wanted", "came", ""]);
            for want in &self.wants {
                let met = if want.met { "✓" } else { "MISSED" };
                table.add_row([want.wanted.as_str(), want.came.as_str(), met]);
            }
            let _ = writeln!(text, "{table}");
        }
        for remark in self.remarks() {
            let _ = writeln!(text, "{remark}");
        }
        for tally in self.tallies() {
            if !tally.admitted_twice.is_empty() {
                let _ = writeln!(text, "ADMITTED TWICE   {}", tally.admitted_twice.join(" "));
            }
            for example in &tally.examples {
                let _ = writeln!(text, "  e.g. {example}");
            }
        }
        let _ = writeln!(text, "{}", self.verdict());
        text
    }

    /// By stream and part: the cells of the table of streams, its head first.
    pub fn stream_rows(&self) -> Vec<Vec<String>> {
        let head = [
            "stream",
            "due",
            "admitted",
            "denied",
            "wrong",
            "lost",
            "retries",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "own delay p99",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let uploads = self.uploads.iter().map(|upload| &upload.stream);
        for stream in self.streams.iter().chain(uploads) {
            let Tally { admitted, denied, wrong, lost, .. } = &stream.tally;
            let counts = [stream.due, *admitted, *denied, *wrong, *lost, stream.retries];
            let mut row = vec![stream.name.clone()];
            row.extend(counts.map(|count| count.to_string()));
            row.extend(latency_cells(&stream.latency));
            row.push(duration_text(stream.send_delay.p99_us));
            rows.push(row);
            for part in stream.parts.iter().filter(|part| part.latency.count > 0) {
                let mut row = vec![format!("  in {}", part.name), part.latency.count.to_string()];
                row.extend(std::iter::repeat_n(String::new(), 5));
                row.extend(latency_cells(&part.latency));
                row.push(String::new());
                rows.push(row);
            }
        }
        rows
    }
}

fn latency_cells(latency: &LatencySummary) -> [String; 5] {
    let LatencySummary { p50_us, p90_us, p99_us, p999_us, max_us, .. } = *latency;
    [p50_us, p90_us, p99_us, p999_us, max_us].map(duration_text)
}

fn streams_table(rows: &[Vec<String>]) -> Table {
    let mut table = table(&rows[0]);
    table.add_rows(&rows[1..]);
    table
}

fn table<T: Into<comfy_table::Cell> + Clone>(head: &[T]) -> Table {
    let mut table = Table::new();
    // No lines: one under each row makes a table twice as long.
    table.load_preset(NOTHING).set_header(head.iter().cloned());
    table
}
