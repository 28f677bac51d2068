//! A ticket and the table of them: what the hot path reads. Knows no gate and no rule.
//!
//! A ticket takes 80 bytes, its texts and codes one allocation (8 bytes of counter before them: nobody needs a weak
//! reference), its codes some 11 bytes each in the index.
//! Tickets lie in chunks that never move and the index in parts that grow one at a time, so that no import
//! can make a gate wait for a large copy.

use crate::capture::Capture;
use crate::catalog::{GateId, TypeId, ZoneId};
use crate::clock::Time;
use crate::hash_index::HashIndex;
use crate::limits::{CODE_BYTES_MAX, TEXT_BYTES_MAX, TICKET_CODES_MAX};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, Hasher};
use triomphe::Arc;

/// A ticket's number, given in the order of the journal and never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TicketId(pub u32);

/// Where a ticket stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    /// Good.
    #[default]
    Active,
    /// Sold, but not paid or not yet activated.
    NotActivated,
    /// Stopped for now.
    Blocked,
    /// Given back; never good again.
    Cancelled,
    /// Reissued or transferred: another ticket took its place.
    Superseded,
}

/// What a code came from. A QR code can never stand for a card: anybody can print one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeKind {
    /// Barcode or QR code: its bytes.
    Optical,
    /// RFID card: its number's bytes, first byte first.
    Card,
}

impl CodeKind {
    fn byte(self) -> u8 {
        match self {
            CodeKind::Optical => b'o',
            CodeKind::Card => b'c',
        }
    }
}

/// What a ticket has done so far. The part a scan changes; a record carries it as it is afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketUse {
    /// People that entered, over all times.
    pub used: u16,
    /// People inside now.
    pub inside: u16,
    /// People that entered on `day`.
    pub day_used: u16,
    /// The venue's day of the last entry, from `Calendar::day`; 0 where no day limit is kept.
    pub day: u16,
    /// Where the holder is.
    pub presence: ZoneId,
    /// Gate of the first entry.
    pub first_gate: GateId,
    /// Gate of the last passage.
    pub last_gate: GateId,
    /// Time of the first entry; meaningful when `used > 0`.
    pub first_at: Time,
    /// Time of the last passage.
    pub last_at: Time,
}

/// Texts and codes of a ticket in one shared allocation.
///
/// ```text
/// [codes u8][len ref u8][len holder u8][len order u8][len seat u8] ref holder order seat
/// then per code: [kind u8][len u8] bytes
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Details(Arc<[u8]>);

/// A ticket as it is put in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its type, and through it its event.
    pub type_id: TypeId,
    /// Where it stands in its life.
    pub status: TicketStatus,
    /// Tests and drills: real answers, never counted.
    pub specimen: bool,
    /// What it has done so far.
    pub usage: TicketUse,
    /// No entry before it; `Time::MIN` leaves it to the type.
    pub valid_from: Time,
    /// No entry after it; `Time::MAX` leaves it to the type.
    pub valid_until: Time,
    /// When the status last changed.
    pub status_at: Time,
    /// Texts and codes.
    pub details: Details,
}

const _: () = assert!(size_of::<Option<Ticket>>() == 80);

/// All tickets of hot events, found by code.
#[derive(Debug)]
pub struct TicketTable {
    chunks: Vec<Vec<Option<Ticket>>>,
    /// The number the next ticket gets.
    next: TicketId,
    index: HashIndex,
    hasher: foldhash::quality::RandomState,
    /// Tickets in the table.
    len: usize,
    /// While a checkpoint is taken: what changed before it was captured.
    pub(crate) capture: Option<Capture<Option<Ticket>>>,
}

/// Tickets in a chunk.
const CHUNK: usize = 1_024;

// === impl Details ===

impl Details {
    /// Packs texts and codes. The caller has checked the limits (`Details::check`).
    pub fn new(
        reference: &str,
        holder: &str,
        order: &str,
        seat: &str,
        codes: &[(CodeKind, &[u8])],
    ) -> Details {
        let texts = [reference, holder, order, seat];
        debug_assert!(Details::check(&texts, codes).is_ok());
        let mut bytes = Vec::with_capacity(
            5 + texts.iter().map(|text| text.len()).sum::<usize>()
                + codes.iter().map(|(_, code)| 2 + code.len()).sum::<usize>(),
        );
        bytes.push(codes.len() as u8);
        texts.iter().for_each(|text| bytes.push(text.len() as u8));
        texts.iter().for_each(|text| bytes.extend_from_slice(text.as_bytes()));
        for (kind, code) in codes {
            bytes.push(kind.byte());
            bytes.push(code.len() as u8);
            bytes.extend_from_slice(code);
        }
        Details(bytes.into())
    }

    /// Are these texts and codes within the limits?
    ///
    /// # Errors
    /// Which one is not, in words.
    pub fn check(texts: &[&str; 4], codes: &[(CodeKind, &[u8])]) -> Result<(), String> {
        for (text, what) in texts.iter().zip(["ticket id", "holder", "order", "seat"]) {
            if text.len() > TEXT_BYTES_MAX {
                return Err(format!("{what} has {} bytes, {TEXT_BYTES_MAX} is the most", text.len()));
            }
        }
        if codes.len() > TICKET_CODES_MAX {
            return Err(format!("{} codes, {TICKET_CODES_MAX} is the most", codes.len()));
        }
        for (_, code) in codes {
            if code.is_empty() || code.len() > CODE_BYTES_MAX {
                return Err(format!("a code has 1 to {CODE_BYTES_MAX} bytes, this one has {}", code.len()));
            }
        }
        Ok(())
    }

    fn text(&self, nth: usize) -> &str {
        let start = 5 + (0..nth).map(|n| self.0[1 + n] as usize).sum::<usize>();
        std::str::from_utf8(&self.0[start..start + self.0[1 + nth] as usize]).unwrap_or("")
    }

    /// The ticket's reference, as the seller and people name it.
    pub fn reference(&self) -> &str {
        self.text(0)
    }
    /// The holder's name, maybe empty.
    pub fn holder(&self) -> &str {
        self.text(1)
    }
    /// The order, maybe empty.
    pub fn order(&self) -> &str {
        self.text(2)
    }
    /// The seat, maybe empty.
    pub fn seat(&self) -> &str {
        self.text(3)
    }

    /// Every code with its kind.
    pub fn codes(&self) -> impl Iterator<Item = (CodeKind, &[u8])> {
        let mut rest = &self.0[5 + (0..4).map(|n| self.0[1 + n] as usize).sum::<usize>()..];
        std::iter::from_fn(move || {
            let (&kind, tail) = rest.split_first()?;
            let (&len, tail) = tail.split_first()?;
            let (code, tail) = tail.split_at(len as usize);
            rest = tail;
            Some((if kind == b'c' { CodeKind::Card } else { CodeKind::Optical }, code))
        })
    }

    /// The same without who holds it: holder, order and seat are empty. Reference and codes stay.
    #[must_use]
    pub fn without_person(&self) -> Details {
        let codes: Vec<(CodeKind, &[u8])> = self.codes().collect();
        Details::new(self.reference(), "", "", "", &codes)
    }

    /// Does it say anything about who holds it?
    pub fn has_person(&self) -> bool {
        self.0[2..5].iter().any(|len| *len > 0)
    }

    /// Only what an answer shows: reference and holder.
    pub fn label(reference: &str, holder: &str) -> Details {
        Details::new(reference, holder, "", "", &[])
    }
}

impl std::fmt::Debug for Details {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Details({}, {} codes)", self.reference(), self.0[0])
    }
}

impl Serialize for Details {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&serde_bytes_ref(&self.0), serializer)
    }
}

/// Serializes as bytes, so that postcard writes one length and one copy.
fn serde_bytes_ref(bytes: &[u8]) -> impl Serialize + '_ {
    struct Bytes<'a>(&'a [u8]);
    impl Serialize for Bytes<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    Bytes(bytes)
}

impl<'de> Deserialize<'de> for Details {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Details, D::Error> {
        let bytes = <&'de [u8]>::deserialize(deserializer)?;
        details_valid(bytes)
            .then(|| Details(bytes.into()))
            .ok_or_else(|| serde::de::Error::custom("ticket details do not add up"))
    }
}

/// Do the lengths add up and are the texts text? Bytes from a disk are checked before they are believed.
fn details_valid(bytes: &[u8]) -> bool {
    let Some((head, mut rest)) = bytes.split_at_checked(5) else { return false };
    for len in &head[1..] {
        let Some((text, tail)) = rest.split_at_checked(*len as usize) else { return false };
        if std::str::from_utf8(text).is_err() {
            return false;
        }
        rest = tail;
    }
    for _ in 0..head[0] {
        let Some((code_head, tail)) = rest.split_at_checked(2) else { return false };
        let Some((_, tail)) = tail.split_at_checked(code_head[1] as usize) else { return false };
        if !matches!(code_head[0], b'o' | b'c') || code_head[1] == 0 {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

// === impl TicketTable ===

impl Default for TicketTable {
    fn default() -> TicketTable {
        TicketTable {
            chunks: Vec::new(),
            next: TicketId(0),
            index: HashIndex::default(),
            hasher: foldhash::quality::RandomState::default(),
            len: 0,
            capture: None,
        }
    }
}

impl TicketTable {
    /// Tickets in the table.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number the next ticket gets when the table gives them out.
    pub fn next_id(&self) -> TicketId {
        self.next
    }

    /// The ticket of a number. One or two cache misses.
    pub fn get(&self, id: TicketId) -> Option<&Ticket> {
        self.chunks.get(id.0 as usize / CHUNK)?.get(id.0 as usize % CHUNK)?.as_ref()
    }

    /// The ticket that has this code. No allocation, no I/O; a miss costs one probe of the index.
    pub fn find(&self, kind: CodeKind, code: &[u8]) -> Option<(TicketId, &Ticket)> {
        let id =
            TicketId(self.index.find(self.hash(kind, code), |id| self.has_code(TicketId(id), kind, code))?);
        self.get(id).map(|ticket| (id, ticket))
    }

    fn has_code(&self, id: TicketId, kind: CodeKind, code: &[u8]) -> bool {
        self.get(id).is_some_and(|ticket| ticket.details.codes().any(|own| own == (kind, code)))
    }

    fn hash(&self, kind: CodeKind, code: &[u8]) -> u32 {
        // Seeded per process: codes are chosen by whoever prints them.
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(kind.byte());
        hasher.write(code);
        let hash = hasher.finish();
        (hash ^ (hash >> 32)) as u32
    }

    /// Puts a ticket at its number, new or replacing. The caller has made sure that no other ticket has one of its codes.
    pub fn put(&mut self, id: TicketId, ticket: Ticket) {
        // Also where nothing is yet: a checkpoint that is being taken must not see what comes after it.
        self.before_change(id);
        self.remove(id);
        for (kind, code) in ticket.details.codes() {
            self.index.insert(self.hash(kind, code), id.0);
        }
        let (chunk, offset) = (id.0 as usize / CHUNK, id.0 as usize % CHUNK);
        // Chunks of numbers that are elsewhere stay empty and cost nothing.
        self.chunks.resize_with(self.chunks.len().max(chunk + 1), Vec::new);
        self.next = self.next.max(TicketId(id.0 + 1));
        let slots = &mut self.chunks[chunk];
        if slots.capacity() == 0 {
            // Once and for all, so that a chunk never moves.
            slots.reserve_exact(CHUNK);
        }
        if slots.len() <= offset {
            slots.resize_with(offset + 1, || None);
        }
        slots[offset] = Some(ticket);
        self.len += 1;
    }

    /// Takes a ticket out; its number is not given again.
    pub fn remove(&mut self, id: TicketId) -> Option<Ticket> {
        self.get(id)?;
        self.before_change(id);
        let slot = self.chunks.get_mut(id.0 as usize / CHUNK)?.get_mut(id.0 as usize % CHUNK)?;
        let ticket = slot.take()?;
        for (kind, code) in ticket.details.codes() {
            self.index.remove(self.hash(kind, code), id.0);
        }
        self.len -= 1;
        Some(ticket)
    }

    /// Changes what a ticket has done. The only way a scan changes the table.
    pub fn set_usage(&mut self, id: TicketId, usage: TicketUse) {
        self.before_change(id);
        if let Some(ticket) = self.slot(id) {
            ticket.usage = usage;
        }
    }

    /// Changes where a ticket stands in its life.
    pub fn set_status(&mut self, id: TicketId, status: TicketStatus, at: Time) {
        self.before_change(id);
        if let Some(ticket) = self.slot(id) {
            ticket.status = status;
            ticket.status_at = at;
        }
    }

    /// Makes a ticket as `to` is, but for what it has done. Nothing where there is none of this number.
    ///
    /// # Panics
    /// When `to` has other codes: they are how a ticket is found.
    pub fn change(&mut self, id: TicketId, to: &Ticket) {
        self.before_change(id);
        if let Some(ticket) = self.slot(id) {
            assert!(ticket.details.codes().eq(to.details.codes()), "a ticket keeps its codes");
            *ticket = Ticket { usage: ticket.usage, ..to.clone() };
        }
    }

    /// Forgets who holds a ticket.
    pub fn shred(&mut self, id: TicketId) {
        self.before_change(id);
        if let Some(ticket) = self.slot(id) {
            ticket.details = ticket.details.without_person();
        }
    }

    fn slot(&mut self, id: TicketId) -> Option<&mut Ticket> {
        self.chunks.get_mut(id.0 as usize / CHUNK)?.get_mut(id.0 as usize % CHUNK)?.as_mut()
    }

    fn before_change(&mut self, id: TicketId) {
        if let Some(capture) = &mut self.capture {
            let slot =
                self.chunks.get(id.0 as usize / CHUNK).and_then(|chunk| chunk.get(id.0 as usize % CHUNK));
            capture.before_change(u64::from(id.0), || slot.cloned().flatten());
        }
    }

    /// Every ticket with its number, in order.
    pub fn iter(&self) -> impl Iterator<Item = (TicketId, &Ticket)> {
        self.chunks.iter().enumerate().flat_map(|(chunk, slots)| {
            slots.iter().enumerate().filter_map(move |(offset, slot)| {
                slot.as_ref().map(|ticket| (TicketId((chunk * CHUNK + offset) as u32), ticket))
            })
        })
    }

    /// Frees the chunk around `id` if it holds nothing any more.
    pub fn free_chunk(&mut self, id: TicketId) {
        let chunk = id.0 as usize / CHUNK;
        if self.chunks.get(chunk).is_some_and(|slots| slots.iter().all(Option::is_none)) {
            self.chunks[chunk] = Vec::new();
        }
    }

    /// Tickets in a chunk: the run in which they are best taken out.
    pub const RUN: u32 = CHUNK as u32;

    /// Makes sure that the next number is at least `id`: numbers of tickets that are elsewhere are not given again.
    pub fn reserve_ids(&mut self, next: TicketId) {
        self.next = self.next.max(next);
    }
}
