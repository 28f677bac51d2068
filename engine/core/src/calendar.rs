//! Days of an event: the date at the venue, through the event's IANA time zone, so that a day limit resets
//! at the venue's midnight also in the night the clocks change. Knows no tickets.

use crate::clock::Time;
use jiff::{Timestamp, tz::TimeZone};

/// A venue's calendar. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Calendar(TimeZone);

impl Calendar {
    /// The calendar of an IANA zone such as `Europe/Zurich`.
    ///
    /// # Errors
    /// The zone's name when it is not in the time zone database.
    pub fn of(zone: &str) -> Result<Calendar, String> {
        TimeZone::get(zone)
            .map(Calendar)
            .map_err(|_| format!("unknown time zone '{zone}', use an IANA name such as Europe/Zurich"))
    }

    /// Days from 1970-01-01 to the date at the venue, 0 for anything before it. About 60 ns.
    pub fn day(&self, at: Time) -> u16 {
        let stamp = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
        let offset_s = i64::from(self.0.to_offset(stamp).seconds());
        let day = (stamp.as_second() + offset_s).div_euclid(86_400);
        u16::try_from(day.clamp(0, i64::from(u16::MAX))).unwrap_or(0)
    }

    /// Seconds the venue's clock is ahead of UTC at this moment. About 60 ns.
    pub fn offset_s(&self, at: Time) -> i32 {
        let stamp = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
        self.0.to_offset(stamp).seconds()
    }
}

/// The clock at a venue `offset_s` ahead of UTC, as `HH:MM`, with the date in front when it is another day than
/// `now`. Needs no time zone: an answer that is kept says the same for ever.
pub fn hour(at: Time, now: Time, offset_s: i32) -> String {
    let offset = jiff::tz::Offset::from_seconds(offset_s).unwrap_or(jiff::tz::Offset::UTC);
    let Ok(stamp) = Timestamp::from_millisecond(at.0) else { return "an unknown time".to_owned() };
    let local = offset.to_datetime(stamp);
    let today = Timestamp::from_millisecond(now.0).map(|now| offset.to_datetime(now).date());
    let form = if today.is_ok_and(|today| today == local.date()) { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    local.strftime(form).to_string()
}

/// The whole moment on that clock: `2026-11-25T19:05:00`.
pub fn local(at: Time, offset_s: i32) -> String {
    let offset = jiff::tz::Offset::from_seconds(offset_s).unwrap_or(jiff::tz::Offset::UTC);
    let Ok(stamp) = Timestamp::from_millisecond(at.0) else { return "an unknown time".to_owned() };
    offset.to_datetime(stamp).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Time {
        Time(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_day_begins_at_the_venues_midnight() {
        let zurich = Calendar::of("Europe/Zurich").unwrap();
        assert_eq!(zurich.day(ms("2026-07-01T21:59:59Z")) + 1, zurich.day(ms("2026-07-01T22:00:00Z")));
    }

    #[test]
    fn the_night_the_clocks_change_has_one_midnight() {
        let zurich = Calendar::of("Europe/Zurich").unwrap();
        // Clocks go back on 2026-10-25 at 03:00 local: 02:30 happens twice, both on the same day.
        let first = ms("2026-10-25T00:30:00Z");
        let second = ms("2026-10-25T01:30:00Z");
        assert_eq!(zurich.day(first), zurich.day(second));
        assert_eq!(hour(first, first, zurich.offset_s(first)), hour(second, second, zurich.offset_s(second)));
        assert_eq!(zurich.day(ms("2026-10-25T22:59:59Z")), zurich.day(first));
        assert_eq!(zurich.day(ms("2026-10-25T23:00:00Z")), zurich.day(first) + 1);
    }

    #[test]
    fn an_unknown_zone_is_named() {
        assert!(Calendar::of("Mars/Olympus").unwrap_err().contains("Mars/Olympus"));
    }
}
