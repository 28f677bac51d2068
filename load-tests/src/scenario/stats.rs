//! What is counted of one stream over a run: latencies over all, by part and over time, amounts asked and answered. Knows
//! durations since the start; knows no sockets and no tickets.

use std::time::Duration;

use serde::Serialize;

use crate::latency::{LatencyRecorder, LatencySummary};
use crate::limits;
use crate::tally::Tally;

/// A run's time, cut into pieces for its pictures.
#[derive(Debug, Clone, Copy)]
pub struct Pieces {
    length: Duration,
    piece: Duration,
}

/// A part of a run, in its own time.
#[derive(Debug, Clone)]
pub struct PartTime {
    /// Its name.
    pub name: String,
    /// Its beginning.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

/// One stream's, upload's counts.
#[derive(Debug)]
pub struct StreamStats {
    /// Its name.
    pub name: String,
    /// Answers and what was wrong with them.
    pub tally: Tally,
    /// Requests that were due.
    pub due: u64,
    /// Requests sent again because no answer came.
    pub retries: u64,
    latency: LatencyRecorder,
    send_delay: LatencyRecorder,
    parts: Vec<LatencyRecorder>,
    pieces: Vec<Piece>,
    cut: Pieces,
    part_times: Vec<PartTime>,
}

#[derive(Debug, Clone)]
struct Piece {
    due: u64,
    answered: u64,
    latency: LatencyRecorder,
}

/// What is told of a stream.
#[derive(Debug, Clone, Serialize)]
pub struct StreamSummary {
    /// Its name.
    pub name: String,
    /// Requests that were due.
    pub due: u64,
    /// Requests sent again because no answer came.
    pub retries: u64,
    /// Answers and what was wrong with them.
    pub tally: Tally,
    /// From the intended time to the answer.
    pub latency: LatencySummary,
    /// How late this program was to send what was due to a free reader.
    pub send_delay: LatencySummary,
    /// The latencies of each part.
    pub parts: Vec<PartSummary>,
    /// Over time.
    pub over_time: Vec<PieceSummary>,
}

/// A stream in one part.
#[derive(Debug, Clone, Serialize)]
pub struct PartSummary {
    /// The part's name.
    pub name: String,
    /// Of requests intended in it.
    pub latency: LatencySummary,
}

/// A piece of time.
#[derive(Debug, Clone, Serialize)]
pub struct PieceSummary {
    /// Where it begins, in seconds of the run.
    pub at_s: f64,
    /// Requests intended in it, a second.
    pub due_per_s: f64,
    /// Answers that came in it, a second.
    pub answered_per_s: f64,
    /// Latencies of those intended in it.
    pub latency: LatencySummary,
}

// === impl Pieces ===

impl Pieces {
    /// Pieces of a run of this length.
    pub fn of(length: Duration) -> Pieces {
        let piece = (length / limits::PIECES_MAX).max(limits::PIECE_MIN);
        Pieces { length, piece }
    }

    fn count(&self) -> usize {
        (self.length.as_nanos() / self.piece.as_nanos()) as usize + 1
    }

    /// The last piece takes what comes after the end.
    fn index(&self, at: Duration) -> usize {
        ((at.as_nanos() / self.piece.as_nanos()) as usize).min(self.count() - 1)
    }
}

// === impl StreamStats ===

impl StreamStats {
    /// Nothing counted yet.
    pub fn new(name: &str, length: Duration, part_times: &[PartTime]) -> StreamStats {
        let cut = Pieces::of(length);
        let piece = Piece { due: 0, answered: 0, latency: LatencyRecorder::coarse() };
        StreamStats {
            name: name.to_owned(),
            tally: Tally::default(),
            due: 0,
            retries: 0,
            latency: LatencyRecorder::new(),
            send_delay: LatencyRecorder::new(),
            parts: vec![LatencyRecorder::new(); part_times.len()],
            pieces: vec![piece; cut.count()],
            cut,
            part_times: part_times.to_vec(),
        }
    }

    /// A request became due.
    pub fn came_due(&mut self, intended: Duration) {
        self.due += 1;
        self.pieces[self.cut.index(intended)].due += 1;
    }

    /// It was sent, so much later than its reader could have.
    pub fn sent(&mut self, delay: Duration) {
        self.send_delay.record(delay);
    }

    /// Its answer came.
    pub fn ended(&mut self, intended: Duration, at: Duration) {
        self.pieces[self.cut.index(at)].answered += 1;
        self.lost(intended, at);
    }

    /// It was given up; leaving out the time it had by then would hide the worst.
    pub fn lost(&mut self, intended: Duration, at: Duration) {
        let latency = at.saturating_sub(intended);
        self.latency.record(latency);
        for (part, time) in self.parts.iter_mut().zip(&self.part_times) {
            if time.from <= intended && intended < time.to {
                part.record(latency);
            }
        }
        self.pieces[self.cut.index(intended)].latency.record(latency);
    }

    /// What came of it.
    pub fn summary(&self) -> StreamSummary {
        let parts = self.parts.iter().zip(&self.part_times);
        let piece_s = self.cut.piece.as_secs_f64();
        StreamSummary {
            name: self.name.clone(),
            due: self.due,
            retries: self.retries,
            tally: self.tally.clone(),
            latency: self.latency.summary(),
            send_delay: self.send_delay.summary(),
            parts: parts
                .map(|(part, time)| PartSummary { name: time.name.clone(), latency: part.summary() })
                .collect(),
            over_time: self
                .pieces
                .iter()
                .enumerate()
                .map(|(index, piece)| PieceSummary {
                    at_s: index as f64 * piece_s,
                    due_per_s: piece.due as f64 / piece_s,
                    answered_per_s: piece.answered as f64 / piece_s,
                    latency: piece.latency.summary(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_counts_where_it_was_intended_and_is_answered_where_it_came() {
        let second = Duration::from_secs(1);
        let parts = [
            PartTime { name: "calm".into(), from: Duration::ZERO, to: second * 5 },
            PartTime { name: "flood".into(), from: second * 5, to: second * 10 },
        ];
        let mut stats = StreamStats::new("guests", second * 10, &parts);
        stats.came_due(second);
        stats.ended(second, second * 8);
        let summary = stats.summary();
        assert_eq!((summary.parts[0].latency.count, summary.parts[1].latency.count), (1, 0));
        let piece = |at_s: f64| summary.over_time.iter().rev().find(|piece| piece.at_s <= at_s).unwrap();
        assert_eq!(piece(1.0).latency.count, 1);
        assert!(piece(1.0).due_per_s > 0.0);
        assert!(piece(8.0).answered_per_s > 0.0);
        assert!((summary.latency.max_us - 7e6).abs() < 1e4);
    }
}
