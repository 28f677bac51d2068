//! Moments as the API writes and reads them: RFC 3339, in UTC and with milliseconds. Knows no venue's time zone.

use engine::Time;

/// A moment, such as `2026-11-23T18:00:00.000Z`.
pub fn text(at: Time) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The moment of a text, with whatever offset it is written; `None`: it is no moment.
pub fn read(text: &str) -> Option<Time> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Time(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_was_written_and_with_any_offset() {
        let at = Time(1_795_456_800_123);
        assert_eq!(read(&text(at)), Some(at));
        assert_eq!(text(Time(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(read("1970-01-01T02:00:00+02:00"), Some(Time(0)));
        for wrong in ["", "yesterday", "2026-11-23", "2026-11-23T25:00:00Z", "1795456800"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
