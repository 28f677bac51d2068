//! Rates of gates over the last minutes and the alarm on refusals: samples in, rates and changes out. Pure; knows no
//! clock and no listener.

use crate::venue_settings::VenueSettings;
use std::collections::VecDeque;
use std::time::Duration;

/// Between two samples.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(2);
/// Samples of a minute.
const MINUTE: usize = 60 / SAMPLE_EVERY.as_secs() as usize;
/// Samples that refusal rates are taken over: two minutes.
const WINDOW: usize = 2 * MINUTE;
/// A raised alarm is cleared once the rate is below this part of what raised it, so that it does not flicker around one
/// value.
const CLEARED_BELOW: f64 = 0.6;

/// When the alarm is raised and cleared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// A gate whose refusal rate is so high or higher raises it.
    pub raised_from: f64,
    /// It is cleared once the rate is lower than this.
    pub cleared_below: f64,
    /// With fewer scans in the window it is not raised: three refusals of four scans are an evening's beginning.
    pub scans_min: u64,
}

/// Scans of one gate since the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// That admitted.
    pub admitted: u64,
    /// That were refused.
    pub denied: u64,
}

/// What a gate did in the last minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// In the last minute.
    pub minute: Sample,
    /// Part of the scans of the last two minutes that was refused; `None`: there were none.
    pub refusal: Option<f64>,
    scans: u64,
}

/// The last minutes of one gate.
#[derive(Debug, Default)]
pub struct Window {
    samples: VecDeque<Sample>,
    raised: bool,
}

// === impl Limits ===

impl Limits {
    /// As the venue has set them.
    pub fn of(settings: &VenueSettings) -> Limits {
        let raised_from = f64::from(settings.refusal_alarm_percent) / 100.0;
        Limits {
            raised_from,
            cleared_below: raised_from * CLEARED_BELOW,
            scans_min: u64::from(settings.refusal_alarm_scans),
        }
    }
}

// === impl Window ===

impl Window {
    /// Takes the next sample; gives the rates, and the alarm where it changed: raised or not.
    pub fn take(&mut self, sample: Sample, limits: &Limits) -> (Rates, Option<bool>) {
        self.samples.push_back(sample);
        if self.samples.len() > WINDOW + 1 {
            self.samples.pop_front();
        }
        let rates = self.rates();
        let raised = match rates.refusal {
            Some(rate) if self.raised => rate >= limits.cleared_below,
            Some(rate) => rate >= limits.raised_from && rates.scans >= limits.scans_min,
            None => false,
        };
        let changed = (raised != self.raised).then_some(raised);
        self.raised = raised;
        (rates, changed)
    }

    fn rates(&self) -> Rates {
        let (minute, window) = (self.since(MINUTE), self.since(WINDOW));
        let scans = window.admitted + window.denied;
        let refusal = (scans > 0).then(|| window.denied as f64 / scans as f64);
        Rates { minute, refusal, scans }
    }

    /// What came in the last so many samples, or in as many as there are.
    fn since(&self, count: usize) -> Sample {
        let newest = self.samples.back().copied().unwrap_or_default();
        let oldest = self.samples.len().saturating_sub(count + 1);
        let before = self.samples.get(oldest).copied().unwrap_or_default();
        Sample {
            admitted: newest.admitted.saturating_sub(before.admitted),
            denied: newest.denied.saturating_sub(before.denied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(admitted: u64, denied: u64) -> Sample {
        Sample { admitted, denied }
    }

    /// Takes a sample by the limits of a new venue.
    fn take(window: &mut Window, admitted: u64, denied: u64) -> (Rates, Option<bool>) {
        window.take(sample(admitted, denied), &Limits::of(&VenueSettings::default()))
    }

    #[test]
    fn the_alarm_comes_when_the_venue_has_said_and_follows_a_change() {
        let mut window = Window::default();
        let strict =
            VenueSettings { refusal_alarm_percent: 10, refusal_alarm_scans: 5, ..VenueSettings::default() };
        take(&mut window, 0, 0);
        assert_eq!(take(&mut window, 9, 1).1, None);
        assert_eq!(window.take(sample(9, 1), &Limits::of(&strict)).1, Some(true));
        assert_eq!(take(&mut window, 9, 1).1, Some(false), "0.1 is below 0.15");
    }

    #[test]
    fn an_alarm_is_raised_at_a_quarter_and_cleared_only_well_below_it() {
        let mut window = Window::default();
        assert_eq!(take(&mut window, 1_000, 500).1, None, "what was before is no news");
        assert_eq!(take(&mut window, 1_010, 505).1, None, "too few to say");
        let (rates, raised) = take(&mut window, 1_060, 520);
        assert_eq!((rates.refusal, raised), (Some(0.25), Some(true)));
        assert_eq!(take(&mut window, 1_080, 520).1, None, "0.2 is not well below");
        assert_eq!(take(&mut window, 1_120, 520).1, Some(false), "0.14 is");
        assert_eq!(take(&mut window, 1_120, 524).1, None, "and raised only at a quarter again");
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut window = Window::default();
        take(&mut window, 0, 0);
        assert_eq!(take(&mut window, 0, 30).1, Some(true));
        let mut cleared_after = 0;
        for n in 1.. {
            let (rates, changed) = take(&mut window, 0, 30);
            if n == MINUTE {
                assert_eq!(rates.minute, sample(0, 0));
            }
            if changed == Some(false) {
                assert_eq!(rates.refusal, None);
                cleared_after = n;
                break;
            }
        }
        assert_eq!(cleared_after, WINDOW, "nobody comes any more: there is nothing to alarm about");
    }
}
