//! What the venue itself has set: kept in the registry, read by whatever part it concerns. Knows no path.

use engine::Engine;
use engine::calendar::Calendar;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::mistakes::Mistakes;

/// Where they are in the registry.
pub(crate) const KIND: &str = "settings";
/// Their name there.
pub(crate) const NAME: &str = "venue";
/// Longest retention, in days.
const RETENTION_DAYS_MAX: u32 = 36_500;
/// Most scans an alarm may wait for.
const ALARM_SCANS_MAX: u32 = 100_000;

/// What the venue itself has set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VenueSettings {
    /// IANA name of the time zone that programs show times in which belong to no event.
    #[schema(example = "Europe/Zurich", min_length = 1, max_length = 64, default = "UTC")]
    pub time_zone: String,
    /// Days after an event's end that personal data of its tickets is kept; `null`: until somebody removes it.
    #[schema(example = 90, minimum = 1, maximum = 36_500)]
    pub retention_days: Option<u32>,
    /// The alarm of a gate is raised when so many of a hundred scans of two minutes are refused.
    #[schema(example = 20, minimum = 1, maximum = 100, default = 25)]
    pub refusal_alarm_percent: u32,
    /// Fewer scans than this raise no alarm.
    #[schema(example = 20, minimum = 1, maximum = 100_000, default = 20)]
    pub refusal_alarm_scans: u32,
}

impl Default for VenueSettings {
    fn default() -> VenueSettings {
        VenueSettings {
            time_zone: "UTC".to_owned(),
            retention_days: None,
            refusal_alarm_percent: 25,
            refusal_alarm_scans: 20,
        }
    }
}

impl VenueSettings {
    /// As they are now. A look into the registry: for what happens now and then, not for every scan.
    pub(crate) fn of(engine: &Engine) -> VenueSettings {
        engine.registry_entry(KIND, NAME).map(|text| VenueSettings::read(&text)).unwrap_or_default()
    }

    /// Of an entry of the registry.
    pub(crate) fn read(text: &str) -> VenueSettings {
        serde_json::from_str(text).unwrap_or_else(|error| {
            tracing::error!(%error, "the venue's settings cannot be read; those that a new venue has are used");
            VenueSettings::default()
        })
    }

    /// Are they possible?
    pub(crate) fn check(&self, mistakes: &mut Mistakes) {
        if let Err(words) = Calendar::of(&self.time_zone) {
            mistakes.rule(false, "time_zone", words);
        }
        let retention = self.retention_days.is_none_or(|days| (1..=RETENTION_DAYS_MAX).contains(&days));
        let words = format!("1 to {RETENTION_DAYS_MAX} days are meant, or null");
        mistakes.rule(retention, "retention_days", words);
        let percent = (1..=100).contains(&self.refusal_alarm_percent);
        mistakes.rule(percent, "refusal_alarm_percent", "1 to 100 are meant");
        let scans = (1..=ALARM_SCANS_MAX).contains(&self.refusal_alarm_scans);
        mistakes.rule(scans, "refusal_alarm_scans", format!("1 to {ALARM_SCANS_MAX} are meant"));
    }
}
