//! Moments as RFC 3339 writes them, both ways. Knows UTC and offsets; time zones are the engine's calendar's.

use engine::Time;

/// Longest timestamp that is looked at, in bytes: full date and time, nanoseconds, offset.
const TIMESTAMP_BYTES_MAX: usize = 35;
/// The last moment four digits of year can write.
const LAST: Time = Time(253_402_300_799_999);
/// The first one.
const FIRST: Time = Time(-62_167_219_200_000);

/// The moment a timestamp such as `2024-01-15T10:30:00.250+01:00` names, cut to milliseconds. About 15 ns.
///
/// Strict: date, time with seconds, and `Z` or an offset; a space may stand for the `T`. A leap second is the
/// first second of the next minute.
pub fn parse(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes.len() > TIMESTAMP_BYTES_MAX {
        return None;
    }
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, wanted)| bytes[*at] != *wanted) || !matches!(bytes[10], b'T' | b't' | b' ')
    {
        return None;
    }
    let year = digits(&bytes[..4])?;
    let (month, day) = (digits(&bytes[5..7])?, digits(&bytes[8..10])?);
    let (hour, minute, second) = (digits(&bytes[11..13])?, digits(&bytes[14..16])?, digits(&bytes[17..19])?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ms, zone) = fraction(&bytes[19..])?;
    let offset_s = offset(zone)?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Time((seconds - offset_s) * 1_000 + fraction_ms))
}

/// Appends the moment as `2024-01-15T10:30:00Z`: UTC, seconds. What four digits of year cannot write becomes the
/// nearest moment that they can. No allocation but the buffer's growth.
pub fn write(at: Time, out: &mut Vec<u8>) {
    let seconds = at.clamp(FIRST, LAST).0.div_euclid(1_000);
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00Z";
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    for (at, value) in
        [(0, year / 100), (2, year % 100), (5, month), (8, day), (11, hour), (14, minute), (17, second)]
    {
        text[at] += (value / 10) as u8;
        text[at + 1] += (value % 10) as u8;
    }
    out.extend_from_slice(&text);
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Milliseconds of an optional fraction, and what follows it.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, zone) = rest.split_at(len);
    if fraction.is_empty() {
        return None;
    }
    let ms = (0..3).fold(0, |ms, at| ms * 10 + fraction.get(at).map_or(0, |byte| i64::from(byte - b'0')));
    Some((ms, zone))
}

/// Seconds east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
            let seconds = hours * 3_600 + minutes * 60;
            (hours <= 23 && minutes <= 59).then_some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar; years are counted from March so that the leap day
/// is the last one.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of `days_from_civil`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(at: Time) -> String {
        let mut out = Vec::new();
        write(at, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_timestamp_is_the_moment_another_library_reads() {
        for text in [
            "2024-01-15T10:30:00Z",
            "2024-02-29T23:59:59.999Z",
            "2026-10-25T02:30:00.250+01:00",
            "1969-12-31T23:59:59-00:30",
            "2000-03-01T00:00:00.123456789+14:00",
            "0001-01-01T00:00:00Z",
        ] {
            let expected = text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            assert_eq!(parse(text), Some(Time(expected)), "{text}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_survives_the_round_trip() {
        for day in (-150_000..150_000).step_by(7) {
            let at = Time(day * 86_400_000 + 12_345_000);
            assert_eq!(parse(&written(at)), Some(at));
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2024-01-15",
            "2024-01-15T10:30:00",
            "2024-01-15T10:30Z",
            "2024-13-15T10:30:00Z",
            "2023-02-29T10:30:00Z",
            "2024-01-15T24:00:00Z",
            "2024-01-15T10:30:61Z",
            "2024-01-15T10:30:00.Z",
            "2024-01-15T10:30:00+0100",
            "2024-01-15T10:30:00+24:00",
            "2024-01-15T10:30:00ZZ",
            "2024-01-15T10:30:00é",
            "+024-01-15T10:30:00Z",
            "1705314600",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn moments_without_four_digits_of_year_are_written_as_the_nearest_ones() {
        assert_eq!(written(Time::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(written(Time::MIN), "0000-01-01T00:00:00Z");
    }
}
