//! The catalogue of what webhooks tell: each type's word, what it means, and what its `data` has. Knows no record.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal;)*) => {
        /// A type of event. The list is part of the API: types are added, never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[doc = $doc])* $name),* }

        impl Kind {
            /// Every type that can be asked for.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];

            /// As messages write it.
            pub const fn word(self) -> &'static str { match self { $(Kind::$name => $word),* } }
            /// The type of a word.
            pub fn of_word(word: &str) -> Option<Kind> { match word { $($word => Some(Kind::$name),)* _ => None } }
            /// What it is, for people.
            pub fn meaning(self) -> &'static str { match self { $(Kind::$name => concat!($($doc),*).trim_ascii()),* } }
        }
    };
}

kinds! {
    /// A guest may pass: `scan`, `scan_id`, `event`, `gate`, `device`, `direction`, `people`, `attention`, `offline`, `ticket`.
    ScanAdmitted = "scan.admitted";
    /// A guest may not pass: as `scan.admitted`, with `reason`.
    ScanDenied = "scan.denied";
    /// An admitted guest went through: `scan`, `event`, `gate`, `device`, `ticket`.
    ScanPassed = "scan.passed";
    /// An admitted guest did not go through; the entry was given back: as `scan.passed`.
    ScanAnnulled = "scan.annulled";
    /// A device let somebody in while it was cut off whom the rules refuse: as `scan.admitted`, with `reason`.
    ConflictRaised = "conflict.raised";
    /// Somebody looked into a conflict: `scan`.
    ConflictResolved = "conflict.resolved";
    /// A ticket is otherwise: `ticket`, `status`, `action`. Of a ticket whose event is far away only the number is known.
    TicketChanged = "ticket.changed";
    /// Tickets are new: `event`, `count`, `first` (the first one's number).
    TicketsAdded = "tickets.added";
    /// A device is new or otherwise: `device`, `gate`, `status`.
    DeviceChanged = "device.changed";
    /// A gate is new or otherwise: `gate`, `event`, `from`, `to`, `mode`.
    GateChanged = "gate.changed";
    /// A zone is new or otherwise: `zone`, `capacity`.
    ZoneChanged = "zone.changed";
    /// An event is new or otherwise: `event`, `title`, `doors_open_at`, `starts_at`, `ends_at`.
    EventChanged = "event.changed";
    /// A ticket type is new or otherwise: `event`, `ticket_type`.
    TicketTypeChanged = "ticket_type.changed";
}

/// A message that is sent to try an address; nobody asks for it.
pub const PING: &str = "test.ping";

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
        let word = String::deserialize(deserializer)?;
        Kind::of_word(&word).ok_or_else(|| serde::de::Error::custom("there is no such type of event"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_types_belong_together() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_word(kind.word()), Some(*kind));
            assert!(kind.meaning().len() > 20, "{kind:?}");
        }
        assert_eq!(Kind::of_word(PING), None);
    }
}
