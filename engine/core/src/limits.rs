//! Every limit of the engine, in one place, with its unit and reason. Knows numbers only.
//!
//! At a limit the rule is the same everywhere: refuse, count, say so.

/// Longest code a ticket may have or a scan may present, in bytes. QR codes of ticket vendors stay below
/// 200 bytes; one length byte per code keeps a ticket small.
pub const CODE_BYTES_MAX: usize = 255;

/// Longest `scan_id` a device may send, in bytes (a UUID in text has 36).
pub const SCAN_ID_BYTES_MAX: usize = 128;

/// Longest name of an event, zone, gate, type, device or operator, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Longest text in a ticket's details (reference, holder, order, seat), in bytes.
pub const TEXT_BYTES_MAX: usize = 255;

/// Codes one ticket may have: paper, phone, wristband, season card and some spare.
pub const TICKET_CODES_MAX: usize = 8;

/// People one group ticket may admit.
pub const GROUP_PEOPLE_MAX: u16 = 1_000;

/// Tickets in one journal record of a bulk import: bounds the record and the time the state is locked.
pub const TICKETS_PER_RECORD_MAX: usize = 256;

/// Largest encoded bytes of one ticket in a bulk record.
pub const TICKET_ENCODED_BYTES_MAX: usize =
    TICKET_CODES_MAX * (CODE_BYTES_MAX + 3) + 4 * (TEXT_BYTES_MAX + 3) + 128;

/// How long an answer is kept so that the same `scan_id` gets the same bytes, in milliseconds (24 h).
pub const SCAN_RETENTION_MS: i64 = 24 * 60 * 60 * 1_000;

/// Answers kept at the most. Above it the oldest is forgotten early, and counted.
pub const SCANS_KEPT_MAX: u64 = 4_000_000;

/// Expired answers forgotten per new one: removal keeps up, and a clock that jumps ahead for a moment
/// cannot empty the table at once.
pub const SCANS_FORGOTTEN_PER_SCAN: usize = 2;

/// Default window in which the same code at the same device, sent without an id, is one scan, in milliseconds.
pub const REPEAT_WINDOW_MS: i64 = 3_000;

/// How long a scan can be annulled, in milliseconds (15 min).
pub const ANNUL_WINDOW_MS: i64 = 15 * 60 * 1_000;

/// Commands that may wait for one device.
pub const COMMANDS_PER_DEVICE_MAX: usize = 32;

/// Of these, messages and unlocks. What is left is for the last command that says how the device stands and one
/// reload, which are never refused.
pub const NOTICES_PER_DEVICE_MAX: usize = COMMANDS_PER_DEVICE_MAX - 2;

/// Longest message to a device, in bytes: readers show a line or two.
pub const MESSAGE_BYTES_MAX: usize = 256;

/// Requests a minute a device has unless it is told otherwise.
pub const DEVICE_RATE_PER_MINUTE: u32 = 100;

/// A device is connected when it was heard of within so many milliseconds: three heartbeats of the slowest readers.
pub const DEVICE_CONNECTED_MS: i64 = 90_000;

/// Settings of one device.
pub const DEVICE_SETTINGS_MAX: usize = 64;

/// Longest value of a device's setting, in bytes; its name is a name.
pub const DEVICE_SETTING_BYTES_MAX: usize = 1_024;

/// Open conflicts kept in memory; older ones stay in the store.
pub const CONFLICTS_MAX: usize = 100_000;

/// Longest reason for refusing a row of the inbox, in bytes: it is for people and not for files.
pub const INBOX_REASON_BYTES_MAX: usize = 300;

/// Entities of one kind in the catalog (gates, devices, types …).
pub const CATALOG_ENTRIES_MAX: usize = 20_000;

/// Entries of the registry (sessions, tokens, webhooks, settings): some 50 MB of memory where all are sessions.
pub const REGISTRY_ENTRIES_MAX: usize = 100_000;

/// Longest kind or name of a registry entry, action or subject of an act, in bytes.
pub const REGISTRY_NAME_BYTES_MAX: usize = 200;

/// Longest value of a registry entry and details of an act, in bytes.
pub const REGISTRY_VALUE_BYTES_MAX: usize = 32 << 10;

/// Registry entries one act changes.
pub const REGISTRY_CHANGES_PER_ACT_MAX: usize = 64;

/// All texts of an act together, in bytes: many entries, or long ones.
pub const ACT_BYTES_MAX: usize = 512 << 10;

/// Largest journal record the engine writes, in bytes.
pub const RECORD_BYTES_MAX: usize = crate::journal::limits::RECORD_BYTES_MAX;

// Zones, gates and ticket types are numbered in 16 bits.
const _: () = assert!(CATALOG_ENTRIES_MAX <= u16::MAX as usize);
const _: () = assert!(CODE_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(TEXT_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(TICKETS_PER_RECORD_MAX * TICKET_ENCODED_BYTES_MAX <= RECORD_BYTES_MAX);
// An amendment: whole tickets, its action and details, and a few numbers.
const _: () = assert!(
    TICKETS_PER_RECORD_MAX * TICKET_ENCODED_BYTES_MAX
        + REGISTRY_NAME_BYTES_MAX
        + REGISTRY_VALUE_BYTES_MAX
        + 64
        <= RECORD_BYTES_MAX
);
// Each text has a length before it, each entry says whether it has a value.
const _: () = assert!(ACT_BYTES_MAX + (REGISTRY_CHANGES_PER_ACT_MAX + 1) * 10 + 64 <= RECORD_BYTES_MAX);
const _: () = assert!(3 * REGISTRY_NAME_BYTES_MAX + 2 * REGISTRY_VALUE_BYTES_MAX <= ACT_BYTES_MAX);
// A device with all its settings, and as much again for the rest of it.
const _: () =
    assert!(2 * DEVICE_SETTINGS_MAX * (DEVICE_SETTING_BYTES_MAX + NAME_BYTES_MAX) <= RECORD_BYTES_MAX);
const _: () = assert!(ANNUL_WINDOW_MS < SCAN_RETENTION_MS);
const _: () = assert!(REPEAT_WINDOW_MS < ANNUL_WINDOW_MS);
