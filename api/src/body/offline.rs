//! Uploads of scans made while a device was cut off: NDJSON or a JSON array, row by row. One bad row never spoils
//! another. Knows nothing of what a row does.

use super::fields::{ByteOrder, Fields, Shape, card_format_of};
use super::{BodyError, Presented, Scratch, json_general, parse_card};
use engine::Time;
use engine::catalog::{CardFormat, Direction};
use engine::decision::{Reason, Shown};

/// Longest upload, in bytes.
pub const OFFLINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rows in one upload.
pub const OFFLINE_ROWS_MAX: usize = 50_000;
/// Longest row, in bytes.
const ROW_BYTES_MAX: usize = 16 * 1024;

/// A scan made while the device was cut off, and what it showed.
#[derive(Clone, Debug, PartialEq)]
pub struct OfflineRow {
    /// `device_id`; `None`: the device that uploads.
    pub device: Option<String>,
    /// `qr_data` or `card_uid`.
    pub presented: OfflineCode,
    /// `timestamp` as it was written: scan ids are derived from it.
    pub timestamp: String,
    /// When it was.
    pub scanned_at: Time,
    /// `location`: the gate.
    pub location: Option<String>,
    /// The way.
    pub direction: Option<Direction>,
    /// People that passed.
    pub people: Option<u16>,
    /// The device's id of the scan.
    pub scan_id: Option<String>,
    /// Did the device show green?
    pub access_granted: bool,
    /// Why it refused, if it said.
    pub reason: Option<Reason>,
}

/// What was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfflineCode {
    /// A barcode's or QR code's text.
    Code(String),
    /// A card's number as the reader wrote it.
    Card {
        /// The number.
        uid: String,
        /// The format the row names.
        format: Option<CardFormat>,
        /// The byte order the row names.
        byte_order: Option<ByteOrder>,
    },
}

impl OfflineCode {
    /// A card's bytes, written as the row says or else as the device is set; `None` for a code.
    ///
    /// # Errors
    /// The number cannot be read in this format.
    pub fn card(&self, device: CardFormat) -> Result<Option<Vec<u8>>, BodyError> {
        match self {
            OfflineCode::Code(_) => Ok(None),
            OfflineCode::Card { uid, format, byte_order } => {
                parse_card(uid, card_format_of(*format, *byte_order, device)).map(Some)
            }
        }
    }
}

impl OfflineRow {
    /// What the guest saw. A refusal without a reason counts as `unknown_ticket`: the device knew nothing good of it.
    pub fn shown(&self) -> Shown {
        match (self.access_granted, self.reason) {
            (true, _) => Shown::Admitted,
            (false, reason) => Shown::Denied(reason.unwrap_or(Reason::UnknownTicket)),
        }
    }
}

/// The rows of an upload with their numbers, from 1: elements of the array, or lines of the text (empty lines count
/// but are skipped), so that the number is what an editor shows.
pub struct Offline<'a> {
    rest: Rest<'a>,
    row: usize,
    scratch: Scratch,
}

enum Rest<'a> {
    Lines(&'a [u8]),
    Elements(&'a [u8]),
    Closed(&'a [u8]),
    End,
}

/// Splits an upload into rows.
///
/// # Errors
/// It is too long or holds nothing.
pub fn parse_offline(body: &[u8]) -> Result<Offline<'_>, BodyError> {
    if body.len() > OFFLINE_BYTES_MAX {
        return Err(BodyError::whole(format!(
            "has {} bytes, {OFFLINE_BYTES_MAX} is the most; send it in parts",
            body.len()
        )));
    }
    let rest = match body.trim_ascii_start() {
        [] => return Err(BodyError::whole("is empty; send one JSON object a line, or a JSON array of them")),
        [b'[', elements @ ..] => Rest::Elements(elements),
        _ => Rest::Lines(body),
    };
    Ok(Offline { rest, row: 0, scratch: Scratch::default() })
}

// === impl Offline ===

impl Iterator for Offline<'_> {
    type Item = (usize, Result<OfflineRow, BodyError>);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = loop {
            let next = match std::mem::replace(&mut self.rest, Rest::End) {
                Rest::End => return None,
                Rest::Lines(rest) => Ok(self.next_line(rest)?),
                Rest::Elements(rest) => self.next_element(rest),
                Rest::Closed(rest) => self.after_array(rest)?,
            };
            match next {
                Ok([]) => {}
                Ok(bytes) => break bytes,
                Err(error) => return Some((self.row, Err(error))),
            }
        };
        if self.row > OFFLINE_ROWS_MAX {
            self.rest = Rest::End;
            let problem =
                format!("more than {OFFLINE_ROWS_MAX} rows; send this row and the rest in another upload");
            return Some((self.row, Err(BodyError::whole(problem))));
        }
        Some((self.row, row(bytes, &mut self.scratch)))
    }
}

impl<'a> Offline<'a> {
    /// The next line; empty for one that is skipped.
    fn next_line(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        if rest.is_empty() {
            return None;
        }
        self.row += 1;
        let len = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        self.rest = Rest::Lines(rest.get(len + 1..).unwrap_or(&[]));
        Some(rest[..len].trim_ascii())
    }

    /// The next element of the array.
    fn next_element(&mut self, rest: &'a [u8]) -> Result<&'a [u8], BodyError> {
        let rest = rest.trim_ascii_start();
        if self.row == 0 && rest.starts_with(b"]") {
            self.rest = Rest::Closed(&rest[1..]);
            return Ok(&[]);
        }
        self.row += 1;
        let Some(len) = element_len(rest) else {
            return Err(BodyError::whole("the array is not closed; the upload was cut off in this row"));
        };
        let (element, after) = (rest[..len].trim_ascii(), &rest[len + 1..]);
        self.rest = if rest[len] == b',' { Rest::Elements(after) } else { Rest::Closed(after) };
        if element.is_empty() {
            return Err(BodyError::whole("the row is empty; there is a comma too many"));
        }
        Ok(element)
    }

    /// Nothing but white space follows the array.
    fn after_array(&mut self, rest: &'a [u8]) -> Option<Result<&'a [u8], BodyError>> {
        if rest.trim_ascii().is_empty() {
            return None;
        }
        self.row += 1;
        Some(Err(BodyError::whole("something follows the array; send one array, or one object a line")))
    }
}

/// Bytes before the comma or bracket that ends this element; commas within texts and nested values do not.
fn element_len(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b',' | b']' if depth == 0 => return Some(at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn row(bytes: &[u8], scratch: &mut Scratch) -> Result<OfflineRow, BodyError> {
    if bytes.len() > ROW_BYTES_MAX {
        return Err(BodyError::whole(format!(
            "the row has {} bytes, {ROW_BYTES_MAX} is the most",
            bytes.len()
        )));
    }
    let fields = json_general::fields(bytes, scratch, Shape::Offline)?;
    let missing = |field, why: &str| BodyError::of(field, format!("is missing; {why}"));
    let (Some(timestamp), Some(scanned_at)) = (fields.timestamp, fields.scanned_at) else {
        return Err(missing("timestamp", "say when the guest was there"));
    };
    let access_granted =
        fields.access_granted.ok_or_else(|| missing("access_granted", "say what the guest was shown"))?;
    Ok(OfflineRow {
        device: fields.device.map(str::to_owned),
        presented: presented(&fields)?,
        timestamp: timestamp.to_owned(),
        scanned_at,
        location: fields.location.map(str::to_owned),
        direction: fields.direction,
        people: fields.people,
        scan_id: fields.scan_id.map(str::to_owned),
        access_granted,
        reason: fields.reason,
    })
}

fn presented(fields: &Fields<'_>) -> Result<OfflineCode, BodyError> {
    Ok(match fields.presented()? {
        Presented::Code(code) => OfflineCode::Code(code.to_owned()),
        Presented::Card(uid) => OfflineCode::Card {
            uid: uid.to_owned(),
            format: fields.card_format,
            byte_order: fields.byte_order,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"qr_data":"A","timestamp":"2024-01-15T10:30:00Z","access_granted":true}"#;

    /// One letter a row: `+` good, `-` refused, each with its number.
    fn check(body: &str, expected: &str) {
        let body = body.replace('G', GOOD);
        let rows: Vec<String> = parse_offline(body.as_bytes())
            .unwrap()
            .map(|(row, result)| format!("{}{row}", if result.is_ok() { '+' } else { '-' }))
            .collect();
        assert_eq!(rows.join(" "), expected, "{body}");
    }

    #[test]
    fn every_row_has_its_number_and_a_bad_one_spoils_no_other() {
        check("G\nG", "+1 +2");
        check("G\r\n\r\nnonsense\nG\n", "+1 -3 +4");
        check("[G,G]", "+1 +2");
        check(" [ G , {} , 5 , {\"qr_data\":\"],[\"} , G ] \n", "+1 -2 -3 -4 +5");
        check("[]", "");
        check("[ ]\n", "");
    }

    #[test]
    fn a_broken_array_gives_its_good_rows_and_names_the_break() {
        check("[G,G", "+1 -2");
        check("[G,,G]", "+1 -2 +3");
        check("[G,]", "+1 -2");
        check("[G] x", "+1 -2");
        check("[G][G]", "+1 -2");
        check("[", "-1");
        check("[\"\\\"", "-1");
    }

    #[test]
    fn a_row_says_what_is_missing() {
        for (row, field) in [
            (r#"{"qr_data":"A","access_granted":true}"#, "timestamp"),
            (r#"{"qr_data":"A","timestamp":"2024-01-15T10:30:00Z"}"#, "access_granted"),
            (r#"{"timestamp":"2024-01-15T10:30:00Z","access_granted":true}"#, "qr_data"),
            (
                r#"{"qr_data":"A","timestamp":"2024-01-15T10:30:00Z","access_granted":"yes"}"#,
                "access_granted",
            ),
            (
                r#"{"qr_data":"A","timestamp":"2024-01-15T10:30:00Z","access_granted":false,"reason":"x"}"#,
                "reason",
            ),
        ] {
            let (number, result) = parse_offline(row.as_bytes()).unwrap().next().unwrap();
            assert_eq!((number, result.unwrap_err().field), (1, Some(field)), "{row}");
        }
    }

    #[test]
    fn a_row_is_read_as_it_was_sent() {
        let body = r#"{"device_id":"D","card_uid":"04A1","byte_order":"little","timestamp":"2024-01-15T10:30:00Z",
            "location":"G","direction":"exit","people":2,"scan_id":"s","access_granted":false,"reason":"blocked"}"#
            .replace('\n', " ");
        let row = parse_offline(body.as_bytes()).unwrap().next().unwrap().1.unwrap();
        assert_eq!(row.presented.card(CardFormat::HexBe).unwrap(), Some(vec![0xA1, 0x04]));
        assert_eq!(row.shown(), Shown::Denied(Reason::Blocked));
        assert_eq!((row.device.as_deref(), row.people), (Some("D"), Some(2)));
        assert_eq!((row.direction, row.scan_id.as_deref()), (Some(Direction::Exit), Some("s")));
    }

    #[test]
    fn more_rows_than_the_limit_are_refused_from_that_row_on() {
        let rows = parse_offline("x\n".repeat(OFFLINE_ROWS_MAX + 5).as_bytes()).unwrap().count();
        assert_eq!(rows, OFFLINE_ROWS_MAX + 1);
        assert!(parse_offline(&vec![b' '; OFFLINE_BYTES_MAX + 1]).is_err());
        assert!(parse_offline(b" \n").is_err());
    }
}
