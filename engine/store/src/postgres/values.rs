//! Values as PostgreSQL takes them: moments, texts without U+0000, JSON that is written already. Knows types and no table.

use crate::error::{StoreError, StoreResult};
use bytes::{BufMut, BytesMut};
use engine::clock::Time;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::Display;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// From 1970, the engine's beginning of time, to 2000, PostgreSQL's.
const EPOCH_MS: i64 = 946_684_800_000;
const US_PER_MS: i64 = 1_000;
/// The first and the last millisecond of PostgreSQL's calendar: 4713 BC, and 294276.
const FIRST_MS: i64 = -210_866_803_200_000;
const LAST_MS: i64 = 9_224_318_015_999_999;
/// What stands for U+0000, and for itself, with one more character: no text is written with it by anybody.
const ESCAPE: char = '\u{FFFE}';

type Failed = Box<dyn Error + Sync + Send>;

/// A timestamptz. One beyond the calendar is an infinity; that comes back as the first or last moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment(pub Time);

impl ToSql for Moment {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        let ms = self.0.0;
        out.put_i64(match ms {
            ..FIRST_MS => i64::MIN,
            FIRST_MS..=LAST_MS => (ms - EPOCH_MS) * US_PER_MS,
            _ => i64::MAX,
        });
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Moment {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Moment, Failed> {
        Ok(Moment(match i64::from_be_bytes(raw.try_into()?) {
            i64::MIN => Time::MIN,
            i64::MAX => Time::MAX,
            us => Time(us.div_euclid(US_PER_MS) + EPOCH_MS),
        }))
    }

    accepts!(TIMESTAMPTZ);
}

/// A text of anybody's: PostgreSQL refuses one with U+0000, and one such text would hold up every record behind it.
#[derive(Clone, Debug)]
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl<'a> Text<'a> {
    pub(super) fn of(text: &'a str) -> Text<'a> {
        if !text.contains(['\0', ESCAPE]) {
            return Text(Cow::Borrowed(text));
        }
        let mut escaped = String::with_capacity(text.len() + 8);
        for character in text.chars() {
            match character {
                '\0' => escaped.extend([ESCAPE, '0']),
                ESCAPE => escaped.extend([ESCAPE, '1']),
                other => escaped.push(other),
            }
        }
        Text(Cow::Owned(escaped))
    }

    pub(super) fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }

    /// The text that was written.
    pub(super) fn plain(self) -> Cow<'a, str> {
        if !self.0.contains(ESCAPE) {
            return self.0;
        }
        let mut characters = self.0.chars();
        let mut plain = String::with_capacity(self.0.len());
        while let Some(character) = characters.next() {
            match character {
                ESCAPE if characters.next() == Some('0') => plain.push('\0'),
                other => plain.push(other),
            }
        }
        Cow::Owned(plain)
    }
}

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(TEXT);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Text<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Text<'a>, Failed> {
        Ok(Text(Cow::Borrowed(std::str::from_utf8(raw)?)))
    }

    accepts!(TEXT);
}

/// A JSON text, to and from a column that keeps it as it is.
#[derive(Clone, Debug)]
pub(super) struct Json<'a>(pub Cow<'a, str>);

impl ToSql for Json<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(JSON);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Json<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Json<'a>, Failed> {
        Ok(Json(Cow::Borrowed(std::str::from_utf8(raw)?)))
    }

    accepts!(JSON);
}

/// A column of a row.
pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> StoreResult<T> {
    row.try_get(column).map_err(|error| StoreError::damaged("a row", error))
}

/// A number as the engine has it.
pub(super) fn number<T: TryFrom<F>, F: Copy + Display>(from: F) -> StoreResult<T> {
    T::try_from(from).map_err(|_| StoreError::damaged("a row", format!("{from} is out of range")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(time: Time) -> Time {
        let mut bytes = BytesMut::new();
        Moment(time).to_sql(&Type::TIMESTAMPTZ, &mut bytes).unwrap();
        Moment::from_sql(&Type::TIMESTAMPTZ, &bytes).unwrap().0
    }

    #[test]
    fn moments_come_back_and_those_beyond_the_calendar_are_infinite() {
        for ms in [0, -1, 1, 1_780_000_000_123, -62_135_596_800_000, FIRST_MS, LAST_MS] {
            assert_eq!(there_and_back(Time(ms)), Time(ms));
        }
        for (beyond, end) in [
            (LAST_MS + 1, Time::MAX),
            (i64::MAX, Time::MAX),
            (FIRST_MS - 1, Time::MIN),
            (i64::MIN, Time::MIN),
        ] {
            assert_eq!(there_and_back(Time(beyond)), end);
        }
    }

    #[test]
    fn every_text_comes_back_and_none_has_a_zero() {
        for text in ["", "plain", "\0", "a\0b\0", "\u{FFFE}", "\u{FFFE}0", "\0\u{FFFE}1\0"] {
            let written = Text::of(text);
            assert!(!written.0.contains('\0'));
            assert_eq!(written.plain(), text);
        }
    }
}
