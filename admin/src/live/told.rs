//! The messages of the feed as listeners read them: plain data with its part of the document. Knows no record.

use serde::Serialize;
use utoipa::ToSchema;

/// One message of the live feed: the `data` of a server-sent event, or the text of a WebSocket message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveMessage {
    /// A scan was decided.
    Scan(ScanTold),
    /// A guest went through, or did not and has the entry back.
    Passage(PassageTold),
    /// People passed without a ticket.
    Turns(TurnsTold),
    /// The counts of one zone, gate, ticket type or event are other than before. At most twice a second for each.
    Counts(CountsTold),
    /// How much a gate does: told when it is other than before, every few seconds.
    Rates(RatesTold),
    /// A gate refuses more than it should, or no longer does.
    Alarm(AlarmTold),
    /// A device fell silent or is back.
    Device(DeviceTold),
    /// A printer or display stands otherwise than before.
    Peripheral(PeripheralTold),
    /// How journal and store are.
    Health(HealthTold),
    /// Messages are missing here.
    Gap(GapTold),
    /// The last message of a server-sent stream that ends. A WebSocket ends with a close code instead.
    End(EndTold),
}

/// A decided scan.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ScanTold {
    /// The cursor: send it as `after` to go on behind it.
    pub cursor: String,
    /// When it was decided.
    #[schema(format = DateTime)]
    pub at: String,
    /// Under which it is found again.
    pub scan_id: String,
    /// Who asked.
    pub device: Option<String>,
    /// Where.
    pub gate: Option<String>,
    /// The ticket's event, or the gate's.
    pub event: Option<String>,
    /// `validate`, `test` or `offline`.
    pub kind: &'static str,
    /// `entry` or `exit`.
    pub direction: &'static str,
    /// May the guest pass?
    pub admitted: bool,
    /// Why not.
    pub reason: Option<&'static str>,
    /// A rule that was bent softly.
    pub attention: Option<&'static str>,
    /// The refusal that somebody overrode.
    pub overridden: Option<&'static str>,
    /// What would have been refused had the device not been cut off.
    pub conflict: Option<&'static str>,
    /// People admitted.
    pub people: u16,
    /// The ticket's number.
    pub ticket: Option<u32>,
    /// The ticket's type.
    pub ticket_type: Option<String>,
    /// Is it a ticket of tests and drills, which never counts?
    pub specimen: bool,
    /// The ticket's reference. Only with `tickets.personal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub reference: Option<String>,
    /// The ticket's holder. Only with `tickets.personal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub holder: Option<String>,
}

/// What became of an admission.
#[derive(Debug, Serialize, ToSchema)]
pub struct PassageTold {
    /// The cursor.
    pub cursor: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who reported it.
    pub device: Option<String>,
    /// Where that device stands.
    pub gate: Option<String>,
    /// The scan, by its cursor.
    pub scan: String,
    /// `passed` or `annulled`.
    pub outcome: &'static str,
}

/// People without a ticket.
#[derive(Debug, Serialize, ToSchema)]
pub struct TurnsTold {
    /// The cursor.
    pub cursor: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who reported it.
    pub device: Option<String>,
    /// Where.
    pub gate: Option<String>,
    /// How many went in; negative: out.
    pub people: i32,
}

/// Counts of one thing, as they are now.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountsTold {
    /// `zone`, `gate`, `type` or `event`.
    pub of: &'static str,
    /// Its name.
    pub name: String,
    /// The event of a gate or type.
    pub event: Option<String>,
    /// People in the zone now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub inside: Option<i64>,
    /// Tallies of gate, type and event.
    #[serde(flatten)]
    pub tally: Option<TallyTold>,
}

/// Tallies since the first scan.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct TallyTold {
    /// People that entered, annulled ones taken back.
    pub entries: i64,
    /// People that left.
    pub exits: i64,
    /// People that came at least once.
    pub attendance: i64,
    /// Scans that admitted.
    pub admitted: u64,
    /// Scans that were refused.
    pub denied: u64,
    /// People that passed without a ticket, inwards less outwards.
    pub turns: i64,
}

/// How much a gate does.
#[derive(Debug, Serialize, ToSchema)]
pub struct RatesTold {
    /// The gate.
    pub gate: String,
    /// Scans of the last minute that admitted.
    pub admitted_per_minute: u64,
    /// Scans of the last minute that were refused.
    pub denied_per_minute: u64,
    /// Of the scans of the last two minutes, the part that was refused: 0 to 1; `null`: there were none.
    pub refusal_rate: Option<f64>,
}

/// An alarm.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlarmTold {
    /// `raised` or `cleared`.
    pub state: &'static str,
    /// What it is about: `refusal_rate`.
    pub what: &'static str,
    /// Where.
    pub gate: String,
    /// Of the scans of the last two minutes, the part that was refused.
    pub refusal_rate: Option<f64>,
    /// From which on it is raised.
    pub raised_from: f64,
    /// Below which it is cleared.
    pub cleared_below: f64,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A device and whether it is heard of.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceTold {
    /// `silent` or `back`.
    pub state: &'static str,
    /// Which.
    pub device: String,
    /// Where it stands.
    pub gate: Option<String>,
    /// When it was last heard of.
    #[schema(format = DateTime)]
    pub last_seen: String,
}

/// A printer or display.
#[derive(Debug, Serialize, ToSchema)]
pub struct PeripheralTold {
    /// Its name.
    pub peripheral: String,
    /// Does it work?
    pub up: bool,
    /// `ok`, `low`, `out` or `unknown`.
    pub paper: &'static str,
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs that may have printed and wait for a person.
    pub unresolved: u64,
}

/// How the node is.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthTold {
    /// `well`, or `poisoned`: nothing is admitted until a restart.
    pub journal: &'static str,
    /// `well`, `behind` or `away`: gates go on without it, lists and figures are old.
    pub store: &'static str,
    /// For how long the store lacks something, in seconds.
    pub behind_s: f64,
    /// Records that the store lacks.
    pub behind_records: u64,
}

/// Messages are missing.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapTold {
    /// `too_slow`: you did not take what was sent, come back with your cursor; `forgotten`: the journal has let go what
    /// was after your cursor; `unknown_cursor`: it is none of this node's. After the last two it goes on from now.
    pub reason: &'static str,
    /// How many records of the journal, at the most, are missing; `null`: nobody knows.
    pub missing: Option<u64>,
}

/// Why a stream ends.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndTold {
    /// `too_slow`, `stopping`: come back with your cursor; `not_allowed`: your token expired or was revoked; `failed`.
    pub reason: &'static str,
}
