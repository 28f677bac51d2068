//! Moments as the API writes them: RFC 3339 in UTC with milliseconds. Knows no clock and no time zone.

use crate::problem::Problem;
use engine::Time;

/// `2026-11-23T18:00:00.000Z`; a moment beyond all calendars is told as the nearest there is.
pub fn rfc3339(at: Time) -> String {
    let (least, most) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    let ms = at.0.clamp(least.as_millisecond(), most.as_millisecond());
    jiff::Timestamp::from_millisecond(ms).unwrap_or(least).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A moment as somebody wrote it, in the parameter of this name.
///
/// # Errors
/// It is none.
pub fn parse(field: &str, text: &str) -> Result<Time, Problem> {
    let moment = text.parse::<jiff::Timestamp>().map(|moment| Time(moment.as_millisecond()));
    moment.map_err(|_| Problem::malformed(field, "a moment such as 2026-11-23T18:00:00Z is meant"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_the_millisecond_and_the_ends_of_time_do_not_panic() {
        assert_eq!(rfc3339(Time(1_795_456_800_000)), "2026-11-23T18:00:00.000Z");
        assert_eq!(rfc3339(Time(7)), "1970-01-01T00:00:00.007Z");
        assert!(!rfc3339(Time::MIN).is_empty() && !rfc3339(Time::MAX).is_empty());
    }
}
