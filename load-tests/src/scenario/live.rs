//! The one line that tells how a run goes: time, asked and answered, p99 of the last second, wrong answers. Knows a terminal;
//! counts nothing itself but the last second.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::stats::StreamStats;
use crate::latency::LatencyRecorder;
use crate::report::duration_text;

/// The line.
#[derive(Debug)]
pub struct Live {
    length: Duration,
    next_at: Option<Instant>,
    last_second: LatencyRecorder,
    due_before: u64,
    answered_before: u64,
    is_terminal: bool,
}

const PAUSE: Duration = Duration::from_secs(1);

// === impl Live ===

impl Live {
    /// For a run of this length.
    pub fn new(length: Duration) -> Live {
        Live {
            length,
            next_at: None,
            last_second: LatencyRecorder::coarse(),
            due_before: 0,
            answered_before: 0,
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// A scan was answered.
    pub fn answered(&mut self, latency: Duration) {
        self.last_second.record(latency);
    }

    /// Writes the line, once a second.
    pub fn step(&mut self, now: Instant, begin: Instant, streams: &[StreamStats]) {
        let next_at = *self.next_at.get_or_insert(begin + PAUSE);
        if now < next_at {
            return;
        }
        self.next_at = Some(next_at + PAUSE);
        let due: u64 = streams.iter().map(|stream| stream.due).sum();
        let tallies = || streams.iter().map(|stream| &stream.tally);
        let answered: u64 = tallies().map(|tally| tally.admitted + tally.denied + tally.wrong).sum();
        let wrong: u64 = tallies().map(|tally| tally.wrong).sum();
        let lost: u64 = tallies().map(|tally| tally.lost).sum();
        let line = format!(
            "{:>4.0}/{:.0} s  asked {:>6}/s  answered {:>6}/s  waiting {:>5}  p99 {:>9}  wrong {wrong}  lost {lost}",
            (now - begin).as_secs_f64(),
            self.length.as_secs_f64(),
            due - self.due_before,
            answered - self.answered_before,
            (due - answered).saturating_sub(lost),
            duration_text(self.last_second.summary().p99_us),
        );
        let (before, after) = if self.is_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        let mut out = std::io::stderr().lock();
        // A terminal that has gone is no reason to stop measuring.
        let _ = write!(out, "{before}{line}{after}").and_then(|()| out.flush());
        self.last_second.clear();
        (self.due_before, self.answered_before) = (due, answered);
    }

    /// Leaves the line.
    pub fn end(&self) {
        if self.is_terminal {
            eprintln!();
        }
    }
}
