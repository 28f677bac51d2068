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
                Ok(told) if answer.status == 200 && told.rows.len() == rows.len() => told.rows,
                _ => {
                    let reader = reader_name(answer.reader);
                    stats.tally.count_noise(&format!(
                        "the upload of {reader} was not answered row by row: status {}",
                        answer.status
                    ));
                    continue;
                }
            };
            for (told, row) in told
                .into_iter()
                .filter_map(|told| Some((rows.get(told.row.checked_sub(1)?)?, told)))
                .map(|(row, told)| (told, row))
            {
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
