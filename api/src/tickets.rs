//! Ticket lists from outside: rows of a CSV or NDJSON file become tickets, or a reason with the line. Knows the
//! catalog's types; knows no server and no journal.

use engine::catalog::{Catalog, EventId};
use engine::clock::Time;
use engine::limits::{CODE_BYTES_MAX, TICKET_CODES_MAX};
use engine::ticket::{CodeKind, Details, Ticket, TicketStatus, TicketUse};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::rc::Rc;

/// Longest line of a list that is read, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// One row, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TicketRow {
    /// Barcode or QR code.
    pub code: String,
    /// Further codes, separated by `|`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub more_codes: String,
    /// RFID card number in hexadecimal, first byte first.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub card: String,
    /// The seller's reference; left out: the code.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ticket_id: String,
    /// Name of the ticket type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Holder's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub holder: String,
    /// Order number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub order: String,
    /// Seat.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub seat: String,
    /// RFC 3339; left out: as the type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub valid_from: String,
    /// RFC 3339; left out: as the type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub valid_until: String,
    /// active, not_activated, blocked, cancelled or superseded; left out: active.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// yes for tests and drills.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub specimen: String,
}

/// Columns a list may have; `code` (or `card`) and `type` it must.
pub const COLUMNS: [&str; 12] = [
    "code",
    "more_codes",
    "card",
    "ticket_id",
    "type",
    "holder",
    "order",
    "seat",
    "valid_from",
    "valid_until",
    "status",
    "specimen",
];

/// A row with its line, or what is wrong with it.
pub type Line = (u64, Result<TicketRow, String>);

/// Reads rows one at a time: a list of any length in bounded memory.
///
/// # Errors
/// When the list cannot be read at all: no known columns, an encoding this program does not know.
pub fn read(
    input: impl Read + 'static,
    encoding: Option<&str>,
) -> Result<Box<dyn Iterator<Item = Line>>, String> {
    let mut input = decoded(input, encoding)?;
    let mut first = Vec::new();
    // A decoder may give its text in small pieces: the first line is read whole before it is looked at.
    while first.iter().all(u8::is_ascii_whitespace) && first.len() < LINE_BYTES_MAX {
        let read = input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut first);
        if read.map_err(|error| format!("cannot read the list: {error}"))? == 0 {
            return Err("the list is empty".to_owned());
        }
    }
    let is_json = first.trim_ascii_start().starts_with(b"{");
    let delimiter = delimiter_of(&first);
    let input: Box<dyn BufRead> = Box::new(std::io::Cursor::new(first).chain(input));
    if is_json { Ok(Box::new(ndjson_rows(input))) } else { csv_rows(input, delimiter) }
}

/// What separates the fields of the first line, and so of the others.
fn delimiter_of(first: &[u8]) -> u8 {
    let count = |delimiter: u8| first.iter().filter(|byte| **byte == delimiter).count();
    [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// Where lines begin, noted while a list is read, so that a row is told by the line an editor shows: the CSV
/// reader skips empty lines and counts from the end of the row before.
struct LineStarts<R> {
    inner: R,
    starts: Rc<RefCell<VecDeque<(u64, u64)>>>,
    line: u64,
    byte: u64,
    at_start: bool,
}

impl<R: Read> Read for LineStarts<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let mut starts = self.starts.borrow_mut();
        for byte in &buffer[..read] {
            // A line of nothing but its end is no row.
            if self.at_start && !matches!(byte, b'\r' | b'\n') {
                starts.push_back((self.line, self.byte));
                self.at_start = false;
            }
            self.byte += 1;
            if *byte == b'\n' {
                self.line += 1;
                self.at_start = true;
            }
        }
        Ok(read)
    }
}

/// The line of the row that is read from `byte` on: the first that begins there or later.
fn line_from(starts: &RefCell<VecDeque<(u64, u64)>>, byte: u64) -> u64 {
    let mut starts = starts.borrow_mut();
    while starts.len() > 1 && starts.front().is_some_and(|(_, start)| *start < byte) {
        starts.pop_front();
    }
    starts.front().map_or(0, |(line, _)| *line)
}

/// The bytes as UTF-8: a byte order mark decides, else the name given, else it is taken for UTF-8.
fn decoded(input: impl Read + 'static, encoding: Option<&str>) -> Result<Box<dyn BufRead>, String> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let head = input.fill_buf().map_err(|error| format!("cannot read the list: {error}"))?;
    let marked = encoding_rs::Encoding::for_bom(head);
    let named = match encoding {
        Some(name) => Some(encoding_rs::Encoding::for_label(name.as_bytes()).ok_or_else(|| {
            format!("unknown encoding '{name}', use for example utf-8, utf-16le or windows-1252")
        })?),
        None => None,
    };
    let encoding = marked.map(|(encoding, _)| encoding).or(named).unwrap_or(encoding_rs::UTF_8);
    if encoding == encoding_rs::UTF_8 {
        input.consume(marked.map_or(0, |(_, len)| len));
        return Ok(Box::new(input));
    }
    let decoder = encoding_rs_io::DecodeReaderBytesBuilder::new().encoding(Some(encoding)).build(input);
    Ok(Box::new(BufReader::with_capacity(1 << 16, decoder)))
}

fn ndjson_rows(mut input: Box<dyn BufRead>) -> impl Iterator<Item = Line> {
    let mut number = 0;
    std::iter::from_fn(move || {
        loop {
            let mut line = Vec::new();
            number += 1;
            match input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Err(error) => return Some((number, Err(format!("cannot read: {error}")))),
                Ok(_) if line.len() >= LINE_BYTES_MAX => {
                    return Some((number, Err(format!("longer than {LINE_BYTES_MAX} bytes"))));
                }
                Ok(_) if line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(_) => return Some((number, row_of_json(&line))),
            }
        }
    })
}

fn row_of_json(line: &[u8]) -> Result<TicketRow, String> {
    let text = std::str::from_utf8(line).map_err(|_| NOT_UTF8.to_owned())?;
    serde_json::from_str(text).map_err(|error| format!("not a ticket in JSON: {error}"))
}

const NOT_UTF8: &str = "not UTF-8; save the list as UTF-8, or name its encoding with --encoding windows-1252";

fn csv_rows(input: Box<dyn BufRead>, delimiter: u8) -> Result<Box<dyn Iterator<Item = Line>>, String> {
    let starts = Rc::new(RefCell::new(VecDeque::new()));
    let input = LineStarts { inner: input, starts: Rc::clone(&starts), line: 1, byte: 0, at_start: true };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(input);
    let header = reader.byte_headers().map_err(|error| format!("cannot read the column names: {error}"))?;
    let columns = header.iter().map(column).collect::<Result<Vec<usize>, String>>()?;
    for needed in ["code", "type"] {
        let card_instead = needed == "code" && columns.contains(&2);
        if !columns.iter().any(|column| COLUMNS[*column] == needed) && !card_instead {
            return Err(format!(
                "there is no column '{needed}'; the first line names the columns, of these: {}",
                COLUMNS.join(", ")
            ));
        }
    }
    let mut record = csv::ByteRecord::new();
    Ok(Box::new(std::iter::from_fn(move || match reader.read_byte_record(&mut record) {
        Ok(false) => None,
        Ok(true) => {
            let line = line_from(&starts, record.position().map_or(0, csv::Position::byte));
            Some((line, row_of_csv(&record, &columns)))
        }
        Err(error) => Some((
            line_from(&starts, error.position().map_or(0, csv::Position::byte)),
            Err(format!("not CSV: {error}")),
        )),
    })))
}

fn column(name: &[u8]) -> Result<usize, String> {
    let name = String::from_utf8_lossy(name).to_lowercase();
    COLUMNS.iter().position(|column| *column == name).ok_or_else(|| {
        format!("unknown column '{name}'; the first line names the columns, of these: {}", COLUMNS.join(", "))
    })
}

fn row_of_csv(record: &csv::ByteRecord, columns: &[usize]) -> Result<TicketRow, String> {
    if record.len() != columns.len() {
        return Err(format!("{} fields where the first line names {} columns", record.len(), columns.len()));
    }
    let mut row = TicketRow::default();
    for (value, column) in record.iter().zip(columns) {
        let text = std::str::from_utf8(value).map_err(|_| NOT_UTF8.to_owned())?;
        *row.field(*column) = text.to_owned();
    }
    Ok(row)
}

impl TicketRow {
    fn field(&mut self, column: usize) -> &mut String {
        [
            &mut self.code,
            &mut self.more_codes,
            &mut self.card,
            &mut self.ticket_id,
            &mut self.kind,
            &mut self.holder,
            &mut self.order,
            &mut self.seat,
            &mut self.valid_from,
            &mut self.valid_until,
            &mut self.status,
            &mut self.specimen,
        ]
        .into_iter()
        .nth(column)
        .expect("columns are positions in COLUMNS")
    }

    /// Every optical code of the row.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.code.as_str())
            .chain(self.more_codes.split('|'))
            .map(str::trim)
            .filter(|code| !code.is_empty())
    }

    /// The ticket this row describes.
    ///
    /// # Errors
    /// What is wrong with it and what to do, in words.
    pub fn ticket(&self, catalog: &Catalog, event: EventId, now: Time) -> Result<Ticket, String> {
        let type_id = catalog
            .type_named(event, self.kind.trim())
            .ok_or_else(|| unknown_type(catalog, event, &self.kind))?;
        let card = if self.card.trim().is_empty() { None } else { Some(card_bytes(self.card.trim())?) };
        let mut codes: Vec<(CodeKind, &[u8])> =
            self.codes().map(|code| (CodeKind::Optical, code.as_bytes())).collect();
        codes.extend(card.iter().map(|bytes| (CodeKind::Card, bytes.as_slice())));
        if codes.is_empty() {
            return Err("a ticket needs a code or a card".to_owned());
        }
        for (n, code) in codes.iter().enumerate() {
            if codes[..n].contains(code) {
                return Err(format!(
                    "the code '{}' stands twice in this row",
                    String::from_utf8_lossy(code.1)
                ));
            }
            if code.0 == CodeKind::Optical && code.1.iter().any(u8::is_ascii_control) {
                return Err("a code has no control characters".to_owned());
            }
        }
        let reference =
            if self.ticket_id.trim().is_empty() { self.code.trim() } else { self.ticket_id.trim() };
        let texts = [reference, self.holder.trim(), self.order.trim(), self.seat.trim()];
        Details::check(&texts, &codes).map_err(|problem| {
            format!(
                "{problem} (a code has at most {CODE_BYTES_MAX} bytes, a ticket {TICKET_CODES_MAX} codes)"
            )
        })?;
        let (valid_from, valid_until) = (
            time(&self.valid_from, "valid_from", Time::MIN)?,
            time(&self.valid_until, "valid_until", Time::MAX)?,
        );
        if valid_from > valid_until {
            return Err("valid_until is before valid_from".to_owned());
        }
        Ok(Ticket {
            type_id,
            status: status(self.status.trim())?,
            specimen: yes(self.specimen.trim())?,
            usage: TicketUse::default(),
            valid_from,
            valid_until,
            status_at: now,
            details: Details::new(texts[0], texts[1], texts[2], texts[3], &codes),
        })
    }
}

fn unknown_type(catalog: &Catalog, event: EventId, name: &str) -> String {
    format!("unknown ticket type '{name}'; this event has {}", catalog.type_names(event))
}

/// A card number in hexadecimal, first byte first.
///
/// # Errors
/// When it is not 1 to 10 bytes of hexadecimal.
pub fn card_bytes(text: &str) -> Result<Vec<u8>, String> {
    crate::body::parse_card(text, engine::catalog::CardFormat::HexBe).map_err(|_| {
        format!("card '{text}' is not a number of 1 to 10 bytes in hexadecimal, such as 04A1B2C3D4E5F6")
    })
}

fn time(text: &str, field: &str, absent: Time) -> Result<Time, String> {
    if text.trim().is_empty() {
        return Ok(absent);
    }
    parse_time(text.trim())
        .ok_or_else(|| format!("{field} '{text}' is not a time such as 2026-11-23T18:00:00+01:00"))
}

/// A code as people read it: a card's number in hexadecimal.
pub fn code_text(kind: CodeKind, code: &[u8]) -> String {
    match kind {
        CodeKind::Optical => String::from_utf8_lossy(code).into_owned(),
        CodeKind::Card => code.iter().map(|byte| format!("{byte:02X}")).collect(),
    }
}

/// A moment in RFC 3339.
pub fn parse_time(text: &str) -> Option<Time> {
    text.parse::<jiff::Timestamp>().ok().map(|stamp| Time(stamp.as_millisecond()))
}

/// A status by its word; empty is active.
///
/// # Errors
/// Names the words there are.
pub fn status(text: &str) -> Result<TicketStatus, String> {
    Ok(match text {
        "" | "active" => TicketStatus::Active,
        "not_activated" => TicketStatus::NotActivated,
        "blocked" => TicketStatus::Blocked,
        "cancelled" => TicketStatus::Cancelled,
        "superseded" => TicketStatus::Superseded,
        _ => {
            return Err(format!(
                "status '{text}' is not one of active, not_activated, blocked, cancelled, superseded"
            ));
        }
    })
}

fn yes(text: &str) -> Result<bool, String> {
    match text {
        "" | "no" | "false" | "0" => Ok(false),
        "yes" | "true" | "1" => Ok(true),
        _ => Err(format!("specimen '{text}' is not yes or no")),
    }
}

/// Runs any bytes through the reader; must neither panic nor run for ever.
#[doc(hidden)]
pub fn fuzz_rows(data: &[u8]) {
    let catalog = Catalog::new();
    for encoding in [None, Some("windows-1252"), Some("utf-16le")] {
        if let Ok(rows) = read(std::io::Cursor::new(data.to_vec()), encoding) {
            for (_, row) in rows.take(10_000) {
                if let Ok(row) = row {
                    let _ = row.ticket(&catalog, EventId(0), Time(0));
                }
            }
        }
    }
}
