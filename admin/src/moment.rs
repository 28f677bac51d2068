//! Moments as the API writes them: RFC 3339 in UTC with milliseconds. Any offset is read. Knows no clock.

use engine::Time;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// 0000-01-01: RFC 3339 has no earlier years.
const EARLIEST: Time = Time(-62_167_219_200_000);

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Time);

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is beyond every calendar is shown as its end.
        let most = if self.0.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let stamp = Timestamp::from_millisecond(self.0.0).unwrap_or(most);
        write!(f, "{stamp:.3}")
    }
}

impl std::str::FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Moment, &'static str> {
        let stamp = text.parse::<Timestamp>().ok().map(|stamp| Time(stamp.as_millisecond()));
        stamp
            .filter(|at| *at >= EARLIEST)
            .map(Moment)
            .ok_or("a moment with its offset is meant, such as 2026-11-23T18:00:00Z")
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let moment = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A moment: RFC 3339, answered in UTC with milliseconds."))
            .examples([serde_json::json!("2026-11-23T18:00:00.000Z")]);
        moment.into()
    }
}

impl ToSchema for Moment {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_is_read_and_utc_is_written() {
        let read: Moment = serde_json::from_str("\"2026-11-23T19:00:00.5+01:00\"").unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"2026-11-23T18:00:00.500Z\"");
        assert_eq!("0000-01-01T00:00:00Z".parse(), Ok(Moment(EARLIEST)));
        for wrong in ["", "2026-11-23", "2026-11-23T18:00:00", "-0001-01-01T00:00:00Z", "soon"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_beyond_every_calendar_is_still_shown() {
        assert!(Moment(Time::MAX).to_string().starts_with("9999-12-30T"));
        assert!(Moment(Time::MIN).to_string().starts_with("-009999-"));
    }
}
