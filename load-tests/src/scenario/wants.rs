//! What was wanted and what came. Knows the figures of a run; knows nothing of how they came to be.

use std::collections::BTreeMap;

use serde::Serialize;

use super::file::{Measure, Part, Want};
use super::plan::Setting;
use super::stagehand::Seen;
use super::stats::StreamSummary;
use super::upload::UploadSummary;
use crate::latency::LatencySummary;
use crate::report::duration_text;

/// The server's counter of codes looked up in its store.
pub const STORE_LOOKUPS: &str = "gatehouse_cold_lookups_total";

/// The figures wants are held against.
#[derive(Debug)]
pub struct Figures<'run> {
    /// By stream.
    pub streams: &'run [StreamSummary],
    /// By upload.
    pub uploads: &'run [UploadSummary],
    /// From each cut to the last reader's next answer, in seconds.
    pub reconnected_s: &'run [Option<f64>],
    /// The server.
    pub seen: &'run Seen,
    /// What the server counted meanwhile.
    pub counters: &'run BTreeMap<String, f64>,
    /// The file's parts.
    pub parts: &'run [Part],
    /// The run's own time.
    pub setting: Setting,
}

/// A want and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// In words.
    pub wanted: String,
    /// What was measured, in words.
    pub came: String,
    /// Was it reached?
    pub met: bool,
}

// === impl Figures ===

impl Figures<'_> {
    /// Holds a want against the figures. What was not measured was not reached.
    pub fn check(&self, want: &Want) -> Checked {
        let place = want.part.as_ref().map(|part| format!(" in {part}")).unwrap_or_default();
        let subject = match (&want.of, name_of(want.what)) {
            (Some(of), measure) => format!("{measure} of {of}{place}"),
            (None, measure) => format!("{measure}{place}"),
        };
        let found = self.value(want, want.part.as_deref());
        let (limit, found, other) = match (want.at_most_s, want.at_most_times, want.at_most) {
            (Some(limit_s), _, _) => (limit_s, found, None),
            (_, Some(times), _) => {
                let other = self.value(want, want.than_in.as_deref()).filter(|other| *other > 0.0);
                (times, found.zip(other).map(|(found, other)| found / other), found.zip(other))
            }
            (_, _, limit) => (limit.unwrap_or_default(), found, None),
        };
        let seconds = |value: f64| duration_text(value * 1e6);
        let told = |value: f64| match (want.at_most_s, want.at_most_times) {
            (Some(_), _) => seconds(value),
            (None, Some(_)) => format!("{value:.2} ×"),
            (None, None) => format!("{value:.0}"),
        };
        let than = want.than_in.as_ref().map(|part| format!(" what it is in {part}")).unwrap_or_default();
        let parts = other.map(|(own, other)| format!(" ({} / {})", seconds(own), seconds(other)));
        Checked {
            wanted: format!("{subject} ≤ {}{than}", told(limit)),
            came: found.map_or("not measured".to_owned(), told) + &parts.unwrap_or_default(),
            met: found.is_some_and(|found| found <= limit),
        }
    }

    /// Durations are in seconds.
    fn value(&self, want: &Want, part: Option<&str>) -> Option<f64> {
        let upload = || self.uploads.iter().find(|own| want.of.as_ref() == Some(&own.stream.name));
        match want.what {
            Measure::P50 => self.latency(want, part).map(|latency| latency.p50_us / 1e6),
            Measure::P99 => self.latency(want, part).map(|latency| latency.p99_us / 1e6),
            Measure::P999 => self.latency(want, part).map(|latency| latency.p999_us / 1e6),
            Measure::Max => self.latency(want, part).map(|latency| latency.max_us / 1e6),
            Measure::Done => upload().map(|upload| upload.done_s),
            Measure::Reconnected => {
                self.reconnected_s.iter().copied().reduce(|a, b| Some(a?.max(b?))).flatten()
            }
            Measure::CaughtUp => self.seen.caught_up_s,
            Measure::DiskBytesRead => self.disk_bytes_read(part),
            Measure::StoreLookups => self.counters.get(STORE_LOOKUPS).copied(),
        }
    }

    fn latency(&self, want: &Want, part: Option<&str>) -> Option<LatencySummary> {
        let stream = self.streams.iter().find(|own| want.of.as_ref() == Some(&own.name))?;
        let latency = match part {
            None => stream.latency,
            Some(part) => stream.parts.iter().find(|own| own.name == part)?.latency,
        };
        (latency.count > 0).then_some(latency)
    }

    fn disk_bytes_read(&self, part: Option<&str>) -> Option<f64> {
        let part = part.and_then(|name| self.parts.iter().find(|own| own.name == name));
        let run_s = |venue_s: f64| self.setting.run_time(venue_s).as_secs_f64();
        let (from_s, to_s) = part.map_or((0.0, f64::MAX), |part| (run_s(part.from_s), run_s(part.to_s)));
        self.seen.disk_bytes_read(from_s, to_s).map(|bytes| bytes as f64)
    }
}

fn name_of(measure: Measure) -> &'static str {
    match measure {
        Measure::P50 => "p50",
        Measure::P99 => "p99",
        Measure::P999 => "p99.9",
        Measure::Max => "the longest",
        Measure::Done => "the last answer",
        Measure::Reconnected => "every reader answered again after the cut",
        Measure::CaughtUp => "the store caught up after the database's return",
        Measure::DiskBytesRead => "bytes the server had the disk read",
        Measure::StoreLookups => "codes the server looked up in its store",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::stats::{PartTime, StreamStats};
    use super::*;

    fn checked(want: &str) -> Checked {
        let second = Duration::from_secs(1);
        let part =
            |name: &str, from, to| PartTime { name: name.to_owned(), from: second * from, to: second * to };
        let parts = [part("calm", 0, 5), part("flood", 5, 9), part("night", 9, 10)];
        let mut stats = StreamStats::new("guests", second * 10, &parts);
        stats.ended(second, second + Duration::from_millis(10));
        stats.ended(second * 6, second * 6 + Duration::from_millis(30));
        let figures = Figures {
            streams: &[stats.summary()],
            uploads: &[],
            reconnected_s: &[Some(0.5), None],
            seen: &Seen::default(),
            counters: &BTreeMap::new(),
            parts: &[],
            setting: Setting { scale: 1.0, compress: 1.0, seed: 1 },
        };
        figures.check(&toml::from_str(want).unwrap())
    }

    #[test]
    fn wants_are_held_against_what_came() {
        let check = |want: &str, met: bool| assert_eq!(checked(want).met, met, "{want}: {:?}", checked(want));
        check("what = 'p99'\nof = 'guests'\nin = 'flood'\nat_most_s = 0.05", true);
        check("what = 'p99'\nof = 'guests'\nin = 'flood'\nat_most_s = 0.02", false);
        check("what = 'max'\nof = 'guests'\nin = 'flood'\nthan_in = 'calm'\nat_most_times = 3.1", true);
        check("what = 'max'\nof = 'guests'\nin = 'flood'\nthan_in = 'calm'\nat_most_times = 2.9", false);
        check("what = 'max'\nof = 'guests'\nin = 'flood'\nthan_in = 'night'\nat_most_times = 9", false);
        check("what = 'reconnected'\nat_most_s = 60", false);
        check("what = 'caught_up'\nat_most_s = 60", false);
    }

    #[test]
    fn a_want_is_told_in_words() {
        let checked = checked("what = 'p99'\nof = 'guests'\nin = 'flood'\nat_most_s = 0.05");
        assert_eq!(checked.wanted, "p99 of guests in flood ≤ 50.0 ms");
        assert!(checked.came.starts_with("30.0 ms"), "{}", checked.came);
    }
}
