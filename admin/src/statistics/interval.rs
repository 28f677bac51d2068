//! Intervals on a venue's clock: an hour begins when that clock says so, also where it is half an hour beside UTC, and the
//! hour that comes twice in autumn is two intervals. Knows no figures.

use crate::problem::Problem;
use engine::Time;
use engine::calendar::Calendar;

/// Lengths there are, in seconds: those of which an hour is made up, so that the night the clocks change fits too.
pub const INTERVALS_S: [u32; 9] = [60, 120, 180, 300, 600, 900, 1_200, 1_800, 3_600];
/// Where nothing else is asked for.
const DEFAULT_S: u32 = 300;

/// A length of time that an hour is made up of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    seconds: u32,
}

// === impl Interval ===

impl Interval {
    /// Of so many seconds.
    ///
    /// # Errors
    /// A length that is not among [`INTERVALS_S`].
    pub fn of(seconds: Option<u32>) -> Result<Interval, Problem> {
        let seconds = seconds.unwrap_or(DEFAULT_S);
        if INTERVALS_S.contains(&seconds) {
            return Ok(Interval { seconds });
        }
        let known = INTERVALS_S.map(|own| own.to_string()).join(", ");
        Err(Problem::invalid("interval", format!("one of {known} seconds is meant")))
    }

    /// Its length in seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    /// Its length in milliseconds.
    pub fn ms(self) -> i64 {
        i64::from(self.seconds) * 1_000
    }

    /// When the interval of a moment began, on this clock.
    pub fn begin(self, calendar: &Calendar, at: Time) -> Time {
        let local_ms = at.0.saturating_add(i64::from(calendar.offset_s(at)) * 1_000);
        Time(at.0.saturating_sub(local_ms.rem_euclid(self.ms())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn an_hour_begins_when_the_venues_clock_says_so() {
        let (hour, kolkata) = (Interval::of(Some(3_600)).unwrap(), Calendar::of("Asia/Kolkata").unwrap());
        assert_eq!(hour.begin(&kolkata, time("2026-07-01T12:29:59Z")), time("2026-07-01T11:30:00Z"));
        assert_eq!(hour.begin(&kolkata, time("2026-07-01T12:30:00Z")), time("2026-07-01T12:30:00Z"));
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_and_the_one_that_is_left_out_is_none() {
        let (hour, zurich) = (Interval::of(Some(3_600)).unwrap(), Calendar::of("Europe/Zurich").unwrap());
        let begins = |from: &str, hours: i64| {
            let from = time(from);
            let mut begins: Vec<Time> =
                (0..hours * 60).map(|n| hour.begin(&zurich, from.plus_ms(n * 60_000))).collect();
            begins.dedup();
            begins.len() as i64
        };
        // A day at the venue: 25 hours in autumn, 23 in spring.
        assert_eq!(begins("2026-10-24T22:00:00Z", 25), 25);
        assert_eq!(begins("2026-03-28T23:00:00Z", 23), 23);
    }

    #[test]
    fn a_length_that_no_hour_is_made_of_is_refused() {
        assert!(Interval::of(Some(61)).is_err() && Interval::of(Some(7_200)).is_err());
        assert_eq!(Interval::of(None).unwrap().seconds(), DEFAULT_S);
    }
}
