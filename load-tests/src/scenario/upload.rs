//! Uploads of scans that were made while readers were cut off: their rows, when they are sent, and what the answers have to
//! say about each row. Knows the upload's format; leaves connections to the generator.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::file::Upload;
use super::plan::{Plan, reader_key, reader_name};
use super::stats::{PartTime, StreamStats, StreamSummary};
use crate::request::{Device, offline_request};

/// All uploads of a run.
#[derive(Debug)]
pub struct Uploads {
    /// Counts, by upload; its requests are whole uploads.
    pub stats: Vec<StreamStats>,
    /// Reader by reader: which upload, and its bytes.
    requests: BTreeMap<usize, (usize, Vec<u8>)>,
    /// By time: when each upload begins, those that have begun left out.
    waiting: Vec<(Duration, usize)>,
    answers: Vec<Answer>,
}

/// What a reader was told about its upload.
#[derive(Debug)]
struct Answer {
    upload: usize,
    reader: usize,
    status: u16,
    body: Vec<u8>,
    was_retried: bool,
}

/// What is told of an upload.
#[derive(Debug, Clone, Serialize)]
pub struct UploadSummary {
    /// Its requests; of its tally, `admitted` counts rows.
    #[serde(flatten)]
    pub stream: StreamSummary,
    /// Rows that were sent.
    pub rows: u64,
    /// Rows that are a conflict: green was shown twice.
    pub conflicts: u64,
    /// From its beginning to its last answer.
    pub done_s: f64,
}

#[derive(Deserialize)]
struct Told {
    rows: Vec<ToldRow>,
}

#[derive(Deserialize)]
struct ToldRow {
    row: usize,
    outcome: String,
}

// === impl Told ===

impl Told {
    /// Whether each of so many rows is told once, in order.
    fn is_about(&self, count: usize) -> bool {
        self.rows.len() == count && self.rows.iter().enumerate().all(|(index, told)| told.row == index + 1)
    }
}

// === impl Uploads ===

impl Uploads {
    /// The uploads of a plan; their bytes are written now, so that sending them costs nothing but sending.
    pub fn new(uploads: &[Upload], plan: &Plan, host: &str, parts: &[PartTime]) -> Uploads {
        let stats = uploads.iter().map(|upload| StreamStats::new(&upload.name, plan.length, parts)).collect();
        let mut requests = BTreeMap::new();
        for (place, upload) in plan.uploads.iter().enumerate() {
            for reader in upload.readers.clone() {
                let device = Device {
                    device_id: reader_name(reader),
                    api_key: reader_key(reader),
                    location: plan.readers[reader].gate.clone(),
                };
                let rows = rows_text(plan, place, reader);
                requests.insert(reader, (place, offline_request(host, &device, &rows)));
            }
        }
        let mut waiting: Vec<_> =
            plan.uploads.iter().enumerate().map(|(place, upload)| (upload.at, place)).collect();
        waiting.sort_unstable();
        Uploads { stats, requests, waiting, answers: Vec::new() }
    }

    /// Uploads that begin by now, reader by reader.
    pub fn due(&mut self, now: Instant, begin: Instant) -> Vec<(usize, usize)> {
        let begun = self.waiting.iter().take_while(|(at, _)| begin + *at <= now).count();
        let begun: Vec<usize> = self.waiting.drain(..begun).map(|(_, place)| place).collect();
        let readers = self.requests.iter().filter(|(_, (upload, _))| begun.contains(upload));
        readers.map(|(reader, (upload, _))| (*upload, *reader)).collect()
    }

    /// When the next one begins.
    pub fn next_due(&self, begin: Instant) -> Option<Instant> {
        self.waiting.first().map(|(at, _)| begin + *at)
    }

    /// The bytes a reader sends.
    pub fn request(&self, reader: usize) -> Vec<u8> {
        self.requests.get(&reader).map(|(_, request)| request.clone()).unwrap_or_default()
    }

    /// Keeps an answer; it is judged after the run, because reading it takes longer than a scan may wait.
    pub fn answered(&mut self, upload: usize, reader: usize, status: u16, body: Vec<u8>, was_retried: bool) {
        self.answers.push(Answer { upload, reader, status, body, was_retried });
    }

    /// Judges every row of every answer.
    pub fn summaries(mut self, plan: &Plan) -> Vec<UploadSummary> {
        let mut conflicts = vec![0; self.stats.len()];
        // By ticket that two readers showed green for: what the uploads said about it.
        let mut shared: HashMap<u32, Vec<String>> = HashMap::new();
        for answer in std::mem::take(&mut self.answers) {
            let upload = &plan.uploads[answer.upload];
            let rows = &upload.rows[answer.reader - upload.readers.start];
            let stats = &mut self.stats[answer.upload];
            let told = match serde_json::from_slice::<Told>(&answer.body) {
                Ok(told) if answer.status == 200 && told.is_about(rows.len()) => told.rows,
                _ => {
                    let reader = reader_name(answer.reader);
                    stats.tally.count_noise(&format!(
                        "the upload of {reader} was not answered row by row: status {}",
                        answer.status
                    ));
                    continue;
                }
            };
            for (told, row) in told.iter().zip(rows) {
                conflicts[answer.upload] += u64::from(told.outcome == "conflict");
                match told.outcome.as_str() {
                    "known" if answer.was_retried => stats.tally.admitted += 1,
                    outcome if row.shared => shared.entry(row.ticket).or_default().push(outcome.to_owned()),
                    "admitted" => stats.tally.admitted += 1,
                    outcome => stats.tally.count_noise(&format!(
                        "{} was shown green at one gate, its row came to: {outcome}",
                        plan.code(row.ticket)
                    )),
                }
            }
        }
        if let Some(stats) = self.stats.first_mut() {
            judge_shared(&shared, plan, stats);
        }
        let rows = |place: usize| plan.uploads[place].rows.iter().map(|rows| rows.len() as u64).sum();
        self.stats
            .iter()
            .enumerate()
            .map(|(place, stats)| {
                let stream = stats.summary();
                let done_s = stream.latency.max_us / 1e6;
                UploadSummary { rows: rows(place), conflicts: conflicts[place], done_s, stream }
            })
            .collect()
    }
}

/// Of a ticket that was shown green at two gates one row is its admission and the other a conflict, whichever came first.
fn judge_shared(shared: &HashMap<u32, Vec<String>>, plan: &Plan, stats: &mut StreamStats) {
    for (ticket, outcomes) in shared {
        let mut sorted: Vec<&str> = outcomes.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        match sorted[..] {
            ["admitted", "conflict"] => stats.tally.admitted += 2,
            // The other row's answer is missing or was a repeat's: this one alone proves nothing.
            [_] => stats.tally.admitted += 1,
            _ => stats.tally.count_noise(&format!(
                "{} was shown green at two gates, its rows came to: {}",
                plan.code(*ticket),
                sorted.join(", ")
            )),
        }
    }
}

fn rows_text(plan: &Plan, upload: usize, reader: usize) -> String {
    let upload = &plan.uploads[upload];
    let rows = &upload.rows[reader - upload.readers.start];
    // An hour without a network, and scans from its beginning on.
    let cut_off = Timestamp::now().checked_sub(Span::new().hours(1)).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let second = (index % 3_500) as i64;
        let at = cut_off.checked_add(Span::new().seconds(second)).unwrap_or(cut_off);
        let _ = writeln!(
            text,
            r#"{{"qr_data":"{}","timestamp":"{}","scan_id":"off-{:04X}-{reader}-{index}","access_granted":true}}"#,
            plan.code(row.ticket),
            at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            plan.seed
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::file::Scenario;
    use super::super::plan::Setting;
    use super::*;

    /// What comes of a backlog whose rows are answered by this.
    fn summary(outcome: impl Fn(bool, bool) -> &'static str, was_retried: bool) -> UploadSummary {
        let scenario = Scenario::find("backlog").unwrap();
        let plan = Plan::new(&scenario, Setting { scale: 0.05, compress: 1.0, seed: 1 });
        let mut uploads = Uploads::new(&scenario.upload, &plan, "gate", &[]);
        let mut seen = std::collections::HashSet::new();
        for (place, rows) in plan.uploads[0].rows.iter().enumerate() {
            let rows: Vec<String> = rows
                .iter()
                .enumerate()
                .map(|(index, row)| {
                    let outcome = outcome(row.shared, seen.insert(row.ticket));
                    format!(r#"{{"row":{},"outcome":"{outcome}","scan_id":"x","reason":null}}"#, index + 1)
                })
                .collect();
            let body = format!(r#"{{"status":"success","rows":[{}]}}"#, rows.join(","));
            uploads.answered(0, plan.uploads[0].readers.start + place, 200, body.into(), was_retried);
        }
        uploads.summaries(&plan).remove(0)
    }

    #[test]
    fn each_row_has_to_come_to_what_it_is() {
        let right = |shared: bool, first: bool| if shared && !first { "conflict" } else { "admitted" };
        let found = summary(right, false);
        assert_eq!((found.stream.tally.admitted, found.stream.tally.wrong), (1_650, 0));
        assert!(found.conflicts > 0);
        let found = summary(|_, _| "admitted", false);
        assert_eq!(found.stream.tally.wrong, 6, "green at two gates is a conflict for people");
        let found = summary(|_, _| "denied", false);
        assert!(found.stream.tally.wrong > 1_600, "a guest who was shown green is in");
    }

    #[test]
    fn a_row_is_known_only_when_it_was_sent_before() {
        assert_eq!(summary(|_, _| "known", true).stream.tally.wrong, 0);
        assert!(summary(|_, _| "known", false).stream.tally.wrong > 0);
    }
}
