//! A row of a ticket list, and the ticket it describes or what is wrong with it. Knows the catalog's types; knows no list.

use engine::catalog::{Catalog, EventId};
use engine::clock::Time;
use engine::limits::{CODE_BYTES_MAX, TICKET_CODES_MAX};
use engine::ticket::{CodeKind, Details, Ticket, TicketStatus, TicketUse};
use serde::{Deserialize, Serialize};

/// A code with its kind, as a ticket is found by it.
pub type Key = (CodeKind, Vec<u8>);

/// One row, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TicketRow {
    /// Barcode or QR code.
    pub code: String,
    /// Further codes, separated by `|`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub more_codes: String,
    /// RFID card numbers in hexadecimal, first byte first, separated by `|`.
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
    /// RFC 3339, or the event's own time without an offset; left out: as the type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub valid_from: String,
    /// RFC 3339, or the event's own time without an offset; left out: as the type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub valid_until: String,
    /// active, not_activated, blocked, cancelled or superseded; left out: active.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// yes for tests and drills.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub specimen: String,
    /// When it was checked elsewhere: for lists of checked tickets only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub checked_at: String,
}

impl TicketRow {
    /// The field of a column, by its place in [`crate::columns::COLUMNS`].
    pub(crate) fn field(&mut self, column: usize) -> &mut String {
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
            &mut self.checked_at,
        ]
        .into_iter()
        .nth(column)
        .expect("columns are positions in COLUMNS")
    }

    /// What the row says, by its columns; what is empty is left out.
    pub fn said(mut self) -> impl Iterator<Item = (&'static str, String)> {
        let columns = crate::columns::COLUMNS.into_iter().enumerate();
        columns
            .map(move |(n, name)| (name, std::mem::take(self.field(n))))
            .filter(|(_, text)| !text.is_empty())
    }

    /// Every optical code of the row.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.code.as_str())
            .chain(self.more_codes.split('|'))
            .map(str::trim)
            .filter(|code| !code.is_empty())
    }

    /// Every code and card of the row, each once.
    ///
    /// # Errors
    /// None at all, one that stands twice, one that cannot be, in words.
    pub fn keys(&self) -> Result<Vec<Key>, String> {
        let mut keys: Vec<Key> =
            self.codes().map(|code| (CodeKind::Optical, code.as_bytes().to_vec())).collect();
        for card in self.card.split('|').map(str::trim).filter(|card| !card.is_empty()) {
            keys.push((CodeKind::Card, card_bytes(card)?));
        }
        if keys.is_empty() {
            return Err("a ticket needs a code or a card".to_owned());
        }
        for (n, (kind, code)) in keys.iter().enumerate() {
            if keys[..n].iter().any(|(own, other)| (own, other) == (kind, code)) {
                return Err(format!("the code '{}' stands twice in this row", code_text(*kind, code)));
            }
            if *kind == CodeKind::Optical && code.iter().any(u8::is_ascii_control) {
                return Err("a code has no control characters".to_owned());
            }
        }
        Ok(keys)
    }

    /// The ticket this row describes.
    ///
    /// # Errors
    /// What is wrong with it and what to do, in words.
    pub fn ticket(&self, catalog: &Catalog, event: EventId, now: Time) -> Result<Ticket, String> {
        let type_id = catalog
            .type_named(event, self.kind.trim())
            .ok_or_else(|| unknown_type(catalog, event, &self.kind))?;
        let keys = self.keys()?;
        let codes: Vec<(CodeKind, &[u8])> =
            keys.iter().map(|(kind, code)| (*kind, code.as_slice())).collect();
        let reference =
            if self.ticket_id.trim().is_empty() { self.code.trim() } else { self.ticket_id.trim() };
        let texts = [reference, self.holder.trim(), self.order.trim(), self.seat.trim()];
        Details::check(&texts, &codes).map_err(|problem| {
            format!(
                "{problem} (a code has at most {CODE_BYTES_MAX} bytes, a ticket {TICKET_CODES_MAX} codes)"
            )
        })?;
        if !self.checked_at.trim().is_empty() {
            return Err("checked_at is for lists of checked tickets; a new ticket is not used yet".to_owned());
        }
        let time = |text: &str, field, absent| match text.trim() {
            "" => Ok(absent),
            text => local_time(catalog, event, text).ok_or_else(|| not_a_time(field, text)),
        };
        let valid_from = time(&self.valid_from, "valid_from", Time::MIN)?;
        let valid_until = time(&self.valid_until, "valid_until", Time::MAX)?;
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

    /// When it was checked elsewhere; left out: now.
    ///
    /// # Errors
    /// It is no time.
    pub fn checked(&self, catalog: &Catalog, event: EventId, now: Time) -> Result<Time, String> {
        match self.checked_at.trim() {
            "" => Ok(now),
            text => local_time(catalog, event, text).ok_or_else(|| not_a_time("checked_at", text)),
        }
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
    crate::card::parse_card(text, engine::catalog::CardFormat::HexBe).map_err(|_| {
        format!("card '{text}' is not a number of 1 to 10 bytes in hexadecimal, such as 04A1B2C3D4E5F6")
    })
}

fn not_a_time(field: &str, text: &str) -> String {
    format!("{field} '{text}' is not a time such as 2026-11-23T18:00:00+01:00")
}

/// A moment in RFC 3339, or in the event's own time where no offset is written.
fn local_time(catalog: &Catalog, event: EventId, text: &str) -> Option<Time> {
    parse_time(text).or_else(|| {
        let zone = jiff::tz::TimeZone::get(&catalog.event(event)?.time_zone).ok()?;
        let has_time = text.len() > "2026-11-23T".len();
        let local = text.parse::<jiff::civil::DateTime>().ok().filter(|_| has_time)?;
        Some(Time(local.to_zoned(zone).ok()?.timestamp().as_millisecond()))
    })
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

/// A moment as RFC 3339 writes it, in UTC with milliseconds; what has no year of four digits is the last that has one.
pub fn moment(at: Time) -> String {
    const FIRST: i64 = -62_167_219_200_000;
    const LAST: i64 = 253_402_207_199_999;
    let stamp = jiff::Timestamp::from_millisecond(at.0.clamp(FIRST, LAST));
    stamp.map(|stamp| format!("{stamp:.3}")).unwrap_or_default()
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
    match text.to_ascii_lowercase().as_str() {
        "" | "no" | "false" | "0" => Ok(false),
        "yes" | "true" | "1" => Ok(true),
        _ => Err(format!("specimen '{text}' is not yes or no")),
    }
}
