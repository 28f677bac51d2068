//! What a device sends, from bytes to fields: JSON, the readers' own text form, the bare code. Knows no HTTP, no
//! ticket and no device; it never decides anything.
//!
//! | file | owns |
//! |---|---|
//! | `fields.rs` | the fields: names, types, limits; the same for every way of writing |
//! | `json_fast.rs` | the known small flat object, without a copy; says yes or nothing |
//! | `json_general.rs`, `json_guard.rs` | JSON of any shape: guard, simd-json, walk |
//! | `json_object.rs` | any JSON object, for requests that are not scans |
//! | `wire.rs` | the readers' text form |
//! | `offline.rs` | uploads, row by row |
//! | `rfc3339.rs`, `error.rs` | moments, what was wrong |
//!
//! Every mistake is found and told by the general reader; the fast one only ever says yes, and then to exactly what
//! the general one says (`fuzz_scan`).

mod error;
mod fields;
mod json_fast;
mod json_general;
mod json_guard;
mod json_object;
mod offline;
pub mod rfc3339;
mod wire;

pub use error::BodyError;
pub use fields::{ByteOrder, Fields};
pub use json_object::{Object, Value, parse_object};
pub use offline::{OFFLINE_BYTES_MAX, OFFLINE_ROWS_MAX, Offline, OfflineCode, OfflineRow, parse_offline};

use engine::catalog::CardFormat;
use fields::Shape;

/// The bytes of a card's number, as lists read it too.
///
/// # Errors
/// What cannot be read, naming `card_uid`.
pub fn parse_card(uid: &str, format: CardFormat) -> Result<Vec<u8>, BodyError> {
    lists::card::parse_card(uid, format).map_err(|problem| BodyError::of("card_uid", problem))
}

/// How a body is written, seen from the body itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// A JSON object.
    #[default]
    Json,
    /// The readers' own form, `vgdecoderesult=…&&devicenumber=…`.
    Text,
    /// Nothing but the code.
    Bare,
}

/// What was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// A barcode's or QR code's text, maybe a card's number on a reader that does not say which.
    Code(&'a str),
    /// A card's number as the reader wrote it; `parse_card` makes bytes of it.
    Card(&'a str),
}

/// A scan: something was presented. The other fields are reached through it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanBody<'a> {
    /// What was presented.
    pub presented: Presented<'a>,
    /// The rest.
    pub fields: Fields<'a>,
}

/// Memory that is kept between requests of one connection or worker, so that parsing allocates nothing.
#[derive(Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    buffers: simd_json::Buffers,
    tape: json_general::KeptTape,
}

// === impl ScanBody ===

impl<'a> std::ops::Deref for ScanBody<'a> {
    type Target = Fields<'a>;

    fn deref(&self) -> &Fields<'a> {
        &self.fields
    }
}

/// Reads a scan, however it is written. 190 to 360 ns for the plan's own request, without allocation.
///
/// # Errors
/// What is wrong, in which field, what to do.
pub fn parse_scan<'a>(body: &'a [u8], scratch: &'a mut Scratch) -> Result<ScanBody<'a>, BodyError> {
    let fields = parse_request(body, scratch)?;
    Ok(ScanBody { presented: fields.presented()?, fields })
}

/// Reads any request of a device; no field is required. For passages, heartbeats and whatever else names a device.
///
/// # Errors
/// What is wrong, in which field, what to do.
pub fn parse_request<'a>(body: &'a [u8], scratch: &'a mut Scratch) -> Result<Fields<'a>, BodyError> {
    match sniff(body)? {
        Wire::Json => match json_fast::fields(body) {
            Some(fields) => Ok(fields),
            None => json_general::fields(body, scratch, Shape::Request),
        },
        Wire::Text | Wire::Bare => wire::fields(body),
    }
}

/// JSON begins like JSON: anything else is text. A list or a lone text is JSON too, and refused as such, rather
/// than taken for a code that nobody has.
fn sniff(body: &[u8]) -> Result<Wire, BodyError> {
    match body.trim_ascii_start() {
        [] => Err(BodyError::whole("the body is empty; send one JSON object such as {\"qr_data\":\"…\"}")),
        [b'{' | b'[' | b'"', ..] => Ok(Wire::Json),
        [0xEF, 0xBB, 0xBF, ..] => {
            Err(BodyError::whole("the body begins with a byte order mark; send UTF-8 without one"))
        }
        _ => Ok(Wire::Text),
    }
}

/// Any bytes: nothing panics, and where the fast reader says yes the general one says the same.
///
/// # Panics
/// One of that is not so.
pub fn fuzz_scan(data: &[u8]) {
    let (mut first, mut second) = (Scratch::default(), Scratch::default());
    let entry = parse_request(data, &mut first);
    if matches!(sniff(data), Ok(Wire::Json)) {
        assert_eq!(entry, json_general::fields(data, &mut second, Shape::Request));
    } else {
        assert_eq!(json_fast::fields(data), None);
    }
    if let Ok(fields) = &entry {
        let printable = |text: Option<&str>| text.is_none_or(|text| !text.chars().any(char::is_control));
        assert!(printable(fields.code) && fields.code.is_none_or(|code| !code.is_empty()));
        assert!(printable(fields.scan_id) && printable(fields.device) && printable(fields.location));
    }
    let object = parse_object(data, &mut Scratch::default()).is_ok();
    assert!(!object || data.trim_ascii().is_empty() || data.trim_ascii_start().starts_with(b"{"));
    if let Ok(rows) = parse_offline(data) {
        assert!(rows.count() <= data.len() + 1);
    }
}
