//! A text that runs through a line. Where it stands follows from the time alone: nothing adds up, nothing drifts.

use std::time::Duration;

/// The start of a text stands still for so long, so that it can be read.
const PAUSE: Duration = Duration::from_millis(1_500);
/// Empty cells between a text's end and its start.
const GAP: usize = 3;

/// A text that is longer than its line, in cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marquee {
    text: Vec<u8>,
    step: Duration,
    began: Duration,
}

impl Marquee {
    /// A text that begins to run at a moment, a cell each `step` (not zero).
    pub fn new(mut text: Vec<u8>, step: Duration, began: Duration) -> Marquee {
        assert!(!step.is_zero());
        text.extend([b' '; GAP]);
        Marquee { text, step, began }
    }

    /// Does the other one run the same text at the same pace?
    pub fn is_like(&self, other: &Marquee) -> bool {
        self.text == other.text && self.step == other.step
    }

    /// What a line of so many cells shows at a moment.
    pub fn window(&self, now: Duration, columns: usize) -> Vec<u8> {
        let pause = PAUSE.as_millis().div_ceil(self.step.as_millis());
        let round = pause + self.text.len() as u128 - 1;
        let at = (self.steps(now) % round).saturating_sub(pause - 1);
        self.text.iter().copied().cycle().skip(at as usize).take(columns).collect()
    }

    /// How long until its next step.
    pub fn next(&self, now: Duration) -> Duration {
        let ms = self.step.as_millis();
        let since = now.saturating_sub(self.began).as_millis();
        // Less than a step, and a step is less than 66 s.
        Duration::from_millis((ms - since % ms) as u64)
    }

    fn steps(&self, now: Duration) -> u128 {
        now.saturating_sub(self.began).as_millis() / self.step.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(ms: u64) -> String {
        let began = Duration::from_millis(10_000);
        let marquee = Marquee::new(b"ABCDE".to_vec(), Duration::from_millis(500), began);
        let window = marquee.window(began + Duration::from_millis(ms), 4);
        String::from_utf8_lossy(&window).into_owned()
    }

    #[test]
    fn a_text_stands_then_runs_then_stands_again() {
        for (ms, window) in [
            (0, "ABCD"),
            (1_499, "ABCD"),
            (1_500, "BCDE"),
            (1_999, "BCDE"),
            (2_000, "CDE "),
            (3_000, "E   "),
            (3_500, "   A"),
            (4_500, " ABC"),
            (5_000, "ABCD"),
            (6_499, "ABCD"),
            (6_500, "BCDE"),
        ] {
            assert_eq!(shows(ms), window, "after {ms} ms");
        }
    }

    #[test]
    fn the_next_step_is_told_to_the_millisecond() {
        let marquee = Marquee::new(b"ABCDE".to_vec(), Duration::from_millis(500), Duration::ZERO);
        for (now, next) in [(0, 500), (1, 499), (499, 1), (500, 500), (1_000_000_250, 250)] {
            assert_eq!(marquee.next(Duration::from_millis(now)), Duration::from_millis(next), "at {now}");
        }
    }
}
