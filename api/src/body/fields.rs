//! The fields a device may send: their names, types and limits, the same for every way of writing them.
//! Knows no syntax: the JSON readers and the text form fill it.

use super::{BodyError, Presented, Wire, rfc3339};
use engine::Time;
use engine::catalog::{CardFormat, Direction};
use engine::decision::Reason;
use engine::limits::{CODE_BYTES_MAX, GROUP_PEOPLE_MAX, NAME_BYTES_MAX, SCAN_ID_BYTES_MAX, TEXT_BYTES_MAX};

/// Longest key or token, in bytes.
const KEY_BYTES_MAX: usize = 512;
/// Longest card number as text, in bytes: ten bytes in hexadecimal with separators, and some spare.
const CARD_UID_BYTES_MAX: usize = 64;

/// Which end of a card's number is sent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// First byte first.
    Big,
    /// Last byte first.
    Little,
}

/// Everything a device says of itself and of a scan. A field that is `null` counts as absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields<'a> {
    /// How the body was written.
    pub wire: Wire,
    /// `device_id`.
    pub device: Option<&'a str>,
    /// `devicenumber`, the readers' own way to say who they are; not a credential.
    pub number: Option<&'a str>,
    /// `qr_data`, or the readers' `vgdecoderesult`.
    pub code: Option<&'a str>,
    /// `card_uid`, as the reader wrote it.
    pub card_uid: Option<&'a str>,
    /// `timestamp` as it was written: scan ids are derived from it.
    pub timestamp: Option<&'a str>,
    /// `timestamp` as a moment.
    pub scanned_at: Option<Time>,
    /// `location`: the gate.
    pub location: Option<&'a str>,
    /// `api_key`.
    pub api_key: Option<&'a str>,
    /// `scan_id`, else `nonce`.
    pub scan_id: Option<&'a str>,
    /// `direction`: `entry` or `exit`.
    pub direction: Option<Direction>,
    /// `people` that want to pass.
    pub people: Option<u16>,
    /// `override_reason`: why an operator admits what would be refused.
    pub override_reason: Option<&'a str>,
    /// `operator_token`: who overrides.
    pub operator_token: Option<&'a str>,
    /// `byte_order` of the card number.
    pub byte_order: Option<ByteOrder>,
    /// `card_format`, said in full.
    pub card_format: Option<CardFormat>,
    /// `access_granted`: what the device showed. Of offline rows only.
    pub access_granted: Option<bool>,
    /// `reason`: why the device refused. Of offline rows only.
    pub reason: Option<Reason>,
    /// A bit for every field that came, null or not.
    seen: u32,
}

/// A value as the syntax gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    Whole(u64),
    Number,
    Bool(bool),
    Null,
    List,
    Object,
}

/// Which fields have a meaning here; the others are ignored, whatever they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A request of a device.
    Request,
    /// A row of an upload: also what the device showed.
    Offline,
}

/// A field with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    DeviceId,
    DeviceNumber,
    Code,
    ReaderCode,
    CardUid,
    Timestamp,
    Location,
    ApiKey,
    ScanId,
    Nonce,
    Direction,
    People,
    OverrideReason,
    OperatorToken,
    ByteOrder,
    CardFormat,
    AccessGranted,
    Reason,
}

// === impl Field ===

impl Field {
    /// The field of a name, if it has a meaning in this shape.
    pub(super) fn of(name: &str, shape: Shape) -> Option<Field> {
        Some(match name {
            "device_id" => Field::DeviceId,
            "qr_data" => Field::Code,
            "timestamp" => Field::Timestamp,
            "location" => Field::Location,
            "api_key" => Field::ApiKey,
            "scan_id" => Field::ScanId,
            "nonce" => Field::Nonce,
            "direction" => Field::Direction,
            "people" => Field::People,
            "card_uid" => Field::CardUid,
            "devicenumber" => Field::DeviceNumber,
            "vgdecoderesult" | "vgdecoderresult" => Field::ReaderCode,
            "override_reason" => Field::OverrideReason,
            "operator_token" => Field::OperatorToken,
            "byte_order" => Field::ByteOrder,
            "card_format" => Field::CardFormat,
            "access_granted" if shape == Shape::Offline => Field::AccessGranted,
            "reason" if shape == Shape::Offline => Field::Reason,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Field::DeviceId => "device_id",
            Field::DeviceNumber => "devicenumber",
            Field::Code => "qr_data",
            Field::ReaderCode => "vgdecoderesult",
            Field::CardUid => "card_uid",
            Field::Timestamp => "timestamp",
            Field::Location => "location",
            Field::ApiKey => "api_key",
            Field::ScanId => "scan_id",
            Field::Nonce => "nonce",
            Field::Direction => "direction",
            Field::People => "people",
            Field::OverrideReason => "override_reason",
            Field::OperatorToken => "operator_token",
            Field::ByteOrder => "byte_order",
            Field::CardFormat => "card_format",
            Field::AccessGranted => "access_granted",
            Field::Reason => "reason",
        }
    }

    fn bytes_max(self) -> usize {
        match self {
            Field::Code | Field::ReaderCode => CODE_BYTES_MAX,
            Field::CardUid => CARD_UID_BYTES_MAX,
            Field::ScanId | Field::Nonce => SCAN_ID_BYTES_MAX,
            Field::ApiKey | Field::OperatorToken => KEY_BYTES_MAX,
            Field::OverrideReason => TEXT_BYTES_MAX,
            _ => NAME_BYTES_MAX,
        }
    }

    fn wrong(self, problem: impl Into<String>) -> BodyError {
        BodyError::of(self.name(), problem)
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// No field yet.
    pub(super) fn of(wire: Wire) -> Fields<'a> {
        Fields { wire, ..Fields::default() }
    }

    /// Takes a field's value. The first mistake is the answer.
    pub(super) fn set(&mut self, field: Field, value: Scalar<'a>) -> Result<(), BodyError> {
        let bit = 1 << field as u32;
        if self.seen & bit != 0 {
            return Err(field.wrong("is there twice; send it once"));
        }
        self.seen |= bit;
        match (field, value) {
            (_, Scalar::Null) => Ok(()),
            (Field::People, value) => {
                self.people = Some(people(field, value)?);
                Ok(())
            }
            (Field::AccessGranted, Scalar::Bool(granted)) => {
                self.access_granted = Some(granted);
                Ok(())
            }
            (Field::AccessGranted, value) => Err(wrong_type(field, "true or false", value)),
            (field, Scalar::Text(text)) => self.set_text(field, text),
            (field, value) => Err(wrong_type(field, "text", value)),
        }
    }

    fn set_text(&mut self, field: Field, text: &'a str) -> Result<(), BodyError> {
        if field == Field::DeviceNumber && text.is_empty() {
            return Ok(()); // A reader without a number sends an empty one.
        }
        let text = checked(field, text)?;
        match field {
            Field::DeviceId => self.device = Some(text),
            Field::DeviceNumber => self.number = Some(text),
            Field::Code | Field::ReaderCode if self.code.is_some() => {
                return Err(field.wrong("comes with qr_data; send the code once"));
            }
            Field::Code | Field::ReaderCode => self.code = Some(text),
            Field::CardUid => self.card_uid = Some(text),
            Field::Timestamp => {
                self.scanned_at = Some(timestamp(field, text)?);
                self.timestamp = Some(text);
            }
            Field::Location => self.location = Some(text),
            Field::ApiKey => self.api_key = Some(text),
            Field::ScanId => self.scan_id = Some(text),
            Field::Nonce => self.scan_id = self.scan_id.or(Some(text)),
            Field::Direction => self.direction = Some(direction(field, text)?),
            Field::OverrideReason => self.override_reason = Some(text),
            Field::OperatorToken => self.operator_token = Some(text),
            Field::ByteOrder => self.byte_order = Some(byte_order(field, text)?),
            Field::CardFormat => self.card_format = Some(card_format(field, text)?),
            Field::Reason => self.reason = Some(reason(field, text)?),
            Field::People | Field::AccessGranted => {}
        }
        Ok(())
    }

    /// How the card number is written: as the request says, else with its byte order, else as the device is set.
    pub fn card_format(&self, device: CardFormat) -> CardFormat {
        card_format_of(self.card_format, self.byte_order, device)
    }

    /// What was presented: exactly one of a code and a card.
    ///
    /// # Errors
    /// None or both.
    pub fn presented(&self) -> Result<Presented<'a>, BodyError> {
        match (self.code, self.card_uid) {
            (Some(code), None) => Ok(Presented::Code(code)),
            (None, Some(uid)) => Ok(Presented::Card(uid)),
            (None, None) => {
                Err(Field::Code.wrong("is missing; send the scanned code (or card_uid for a card)"))
            }
            (Some(_), Some(_)) => Err(Field::CardUid.wrong("comes with a code; send one of them")),
        }
    }
}

/// A request's word goes before its byte order, and that before the device's setting.
pub(super) fn card_format_of(
    format: Option<CardFormat>,
    byte_order: Option<ByteOrder>,
    device: CardFormat,
) -> CardFormat {
    let decimal = matches!(device, CardFormat::DecBe | CardFormat::DecLe);
    match (format, byte_order, decimal) {
        (Some(format), _, _) => format,
        (None, None, _) => device,
        (None, Some(ByteOrder::Big), false) => CardFormat::HexBe,
        (None, Some(ByteOrder::Little), false) => CardFormat::HexLe,
        (None, Some(ByteOrder::Big), true) => CardFormat::DecBe,
        (None, Some(ByteOrder::Little), true) => CardFormat::DecLe,
    }
}

/// Text within the field's limit, without control characters. A code may end in what readers append.
fn checked(field: Field, text: &str) -> Result<&str, BodyError> {
    let text = if matches!(field, Field::Code | Field::ReaderCode) { trimmed(text) } else { text };
    if text.is_empty() {
        return Err(field.wrong("is empty; fill it in or leave it out"));
    }
    let bytes_max = field.bytes_max();
    if text.len() > bytes_max {
        return Err(field.wrong(format!("has {} bytes, {bytes_max} is the most", text.len())));
    }
    if holds_control(text) {
        return Err(field.wrong("holds a control character; send printable text"));
    }
    Ok(text)
}

/// Looks at every byte without stopping early: the loop runs many bytes at a time.
fn holds_control(text: &str) -> bool {
    let ascii_control = |found: bool, byte: u8| found | (byte < b' ') | (byte == 0x7F);
    text.bytes().fold(false, ascii_control) || (!text.is_ascii() && text.chars().any(char::is_control))
}

/// Without the line end or space a reader may be set to append.
pub(super) fn trimmed(text: &str) -> &str {
    let appended = text.bytes().rev().take_while(|byte| matches!(byte, b'\r' | b'\n' | b' ')).count();
    &text[..text.len() - appended]
}

fn wrong_type(field: Field, wanted: &str, value: Scalar<'_>) -> BodyError {
    let found = match value {
        Scalar::Text(_) => "text",
        Scalar::Whole(_) | Scalar::Number => "a number",
        Scalar::Bool(_) => "true or false",
        Scalar::Null => "null",
        Scalar::List => "a list",
        Scalar::Object => "an object",
    };
    field.wrong(format!("must be {wanted}, this is {found}"))
}

fn people(field: Field, value: Scalar<'_>) -> Result<u16, BodyError> {
    match value {
        Scalar::Whole(people) if (1..=u64::from(GROUP_PEOPLE_MAX)).contains(&people) => Ok(people as u16),
        Scalar::Whole(_) | Scalar::Number => {
            Err(field.wrong(format!("must be a whole number from 1 to {GROUP_PEOPLE_MAX}")))
        }
        other => Err(wrong_type(field, "a number", other)),
    }
}

fn timestamp(field: Field, text: &str) -> Result<Time, BodyError> {
    rfc3339::parse(text)
        .ok_or_else(|| field.wrong("must be RFC 3339 with Z or an offset, such as 2024-01-15T10:30:00Z"))
}

fn direction(field: Field, text: &str) -> Result<Direction, BodyError> {
    match text {
        "entry" => Ok(Direction::Entry),
        "exit" => Ok(Direction::Exit),
        _ => Err(field.wrong("must be entry or exit")),
    }
}

fn byte_order(field: Field, text: &str) -> Result<ByteOrder, BodyError> {
    match text {
        "big" | "big_endian" | "be" => Ok(ByteOrder::Big),
        "little" | "little_endian" | "le" => Ok(ByteOrder::Little),
        _ => Err(field.wrong("must be big (first byte first) or little (last byte first)")),
    }
}

fn card_format(field: Field, text: &str) -> Result<CardFormat, BodyError> {
    match text {
        "hex_be" => Ok(CardFormat::HexBe),
        "hex_le" => Ok(CardFormat::HexLe),
        "dec_be" => Ok(CardFormat::DecBe),
        "dec_le" => Ok(CardFormat::DecLe),
        _ => Err(field.wrong("must be hex_be, hex_le, dec_be or dec_le")),
    }
}

fn reason(field: Field, text: &str) -> Result<Reason, BodyError> {
    Reason::of_code(text)
        .ok_or_else(|| field.wrong("is no reason of this interface; send one such as already_used"))
}
