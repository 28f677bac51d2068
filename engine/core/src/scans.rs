//! Recent scans: the answers that are kept so that a retry gets the same bytes, found by key or by LSN.
//! Part of the state: filled and emptied by `apply` only. Knows no rule.

use crate::capture::Capture;
use crate::catalog::{DeviceId, TypeId};
use crate::clock::Time;
use crate::decision::Answer;
use crate::hash_index::{HashIndex, NUMBER_MAX};
use crate::limits::{SCAN_RETENTION_MS, SCANS_FORGOTTEN_PER_SCAN, SCANS_KEPT_MAX};
use crate::record::{PassageOutcome, ScanKey};
use crate::ticket::TicketUse;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A decided scan, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptScan {
    /// Where it stands in the journal; rises through the table.
    pub lsn: u64,
    /// Under which it is found.
    pub key: ScanKey,
    /// Hash of kind and code: the same key with another code is another scan.
    pub code_hash: u64,
    /// Who asked.
    pub device: DeviceId,
    /// Had the device given an id?
    pub named: bool,
    /// What became of the admission.
    pub outcome: PassageOutcome,
    /// What the ticket had done before and has done after it, when the scan changed it.
    pub moved: Option<(TicketUse, TicketUse)>,
    /// The answer.
    pub answer: Answer,
    /// When it reached the engine: from here on it is kept, however old the scan itself is.
    pub recorded_at: Time,
}

/// Kept scans in the order of the journal.
#[derive(Debug, Default)]
pub struct ScanTable {
    /// Chunks never move, so a growing table never makes a gate wait for a copy.
    chunks: VecDeque<VecDeque<KeptScan>>,
    /// Sequence number of the oldest kept scan.
    first: u64,
    /// Sequence number the next scan gets.
    next: u64,
    /// By 32 bits of the key, to the sequence number modulo `NUMBERS`.
    index: HashIndex,
    /// Scans forgotten before their time because the table was full.
    pub forgotten_early: u64,
    /// While a checkpoint is taken: what changed before it was captured.
    pub(crate) capture: Option<Capture<Option<KeptScan>>>,
}

const CHUNK: usize = 4_096;
/// Sequence numbers in the index go round: never two kept scans under one number.
const NUMBERS: u64 = 1 << 31;

const _: () = assert!(NUMBERS > SCANS_KEPT_MAX + SCANS_FORGOTTEN_PER_SCAN as u64);
const _: () = assert!(NUMBERS <= NUMBER_MAX as u64);

impl KeptScan {
    /// Does the answer name the holder of a ticket of a type that `concerns`?
    pub fn names_holder_of(&self, concerns: impl Fn(TypeId) -> bool) -> bool {
        let facts = self.answer.ticket.as_ref();
        facts.is_some_and(|facts| concerns(facts.type_id) && facts.label.has_person())
    }

    /// Forgets the holder.
    pub fn shred(&mut self) {
        if let Some(facts) = &mut self.answer.ticket {
            facts.label = facts.label.without_person();
        }
    }
}

impl ScanTable {
    /// Scans kept.
    pub fn len(&self) -> usize {
        (self.next - self.first) as usize
    }

    /// Is none kept?
    pub fn is_empty(&self) -> bool {
        self.first == self.next
    }

    /// Sequence numbers of the kept scans.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.first, self.next)
    }

    /// The scan of a sequence number.
    pub(crate) fn get(&self, seq: u64) -> Option<&KeptScan> {
        if seq < self.first || seq >= self.next {
            return None;
        }
        let (chunk, offset) = self.place(seq);
        self.chunks.get(chunk)?.get(offset)
    }

    /// The first chunk loses its front, so its offsets count from its own first scan.
    fn place(&self, seq: u64) -> (usize, usize) {
        let from_base = (seq - (self.first - self.first % CHUNK as u64)) as usize;
        let (chunk, offset) = (from_base / CHUNK, from_base % CHUNK);
        if chunk == 0 { (0, (seq - self.first) as usize) } else { (chunk, offset) }
    }

    /// The newest scan under this key.
    pub fn find(&self, key: ScanKey) -> Option<&KeptScan> {
        self.get(self.seq_of(key)?)
    }

    fn seq_of(&self, key: ScanKey) -> Option<u64> {
        let has_key = |number| self.get(self.seq(number)).is_some_and(|scan| scan.key == key);
        self.index.find(hash_of(key), has_key).map(|number| self.seq(number))
    }

    /// The kept scan's sequence number that the index calls `number`.
    fn seq(&self, number: u32) -> u64 {
        self.first + (u64::from(number) + NUMBERS - self.first % NUMBERS) % NUMBERS
    }

    /// The scan that stands at this LSN. A binary search.
    pub fn at_lsn(&self, lsn: u64) -> Option<&KeptScan> {
        self.get(self.seq_at_lsn(lsn)?)
    }

    fn seq_at_lsn(&self, lsn: u64) -> Option<u64> {
        let (mut low, mut high) = (self.first, self.next);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle)?.lsn < lsn { low = middle + 1 } else { high = middle }
        }
        self.get(low).filter(|scan| scan.lsn == lsn).map(|_| low)
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &KeptScan> {
        (self.first..self.next).rev().filter_map(|seq| self.get(seq))
    }

    /// Keeps a scan and forgets what has expired.
    pub fn push(&mut self, scan: KeptScan) {
        let now = scan.recorded_at;
        self.append(scan);
        for _ in 0..SCANS_FORGOTTEN_PER_SCAN {
            let Some(oldest) = self.get(self.first) else { break };
            let expired = now.since_ms(oldest.recorded_at) > SCAN_RETENTION_MS;
            let full = self.next - self.first > SCANS_KEPT_MAX;
            if !expired && !full {
                break;
            }
            self.forgotten_early += u64::from(!expired);
            self.forget_oldest();
        }
    }

    /// Keeps a scan without forgetting another: loading a checkpoint or a store, which hold exactly what was kept.
    pub fn append(&mut self, scan: KeptScan) {
        assert!(self.get(self.next.wrapping_sub(1)).is_none_or(|last| last.lsn < scan.lsn));
        let (hash, seq) = (hash_of(scan.key), self.next);
        if let Some(older) = self.seq_of(scan.key) {
            self.index.remove(hash, number(older));
        }
        self.index.insert(hash, number(seq));
        if seq.is_multiple_of(CHUNK as u64) || self.chunks.is_empty() {
            self.chunks.push_back(VecDeque::with_capacity(CHUNK));
        }
        self.chunks.back_mut().expect("a chunk was just made sure of").push_back(scan);
        self.next += 1;
    }

    fn forget_oldest(&mut self) {
        self.before_change(self.first);
        let Some(chunk) = self.chunks.front_mut() else { return };
        let Some(scan) = chunk.pop_front() else { return };
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        // Not there when a newer scan has taken the key over.
        self.index.remove(hash_of(scan.key), number(self.first));
        self.first += 1;
    }

    /// Notes what became of the admission at this LSN.
    pub fn set_outcome(&mut self, lsn: u64, outcome: PassageOutcome) {
        let Some(seq) = self.seq_at_lsn(lsn) else { return };
        self.before_change(seq);
        let (chunk, offset) = self.place(seq);
        if let Some(scan) = self.chunks.get_mut(chunk).and_then(|chunk| chunk.get_mut(offset)) {
            scan.outcome = outcome;
        }
    }

    /// Sequence number of the first kept scan at this LSN or later. A binary search.
    fn seq_from_lsn(&self, lsn: u64) -> u64 {
        let (mut low, mut high) = (self.first, self.next);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|scan| scan.lsn < lsn) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The LSN behind the run of at most `count` kept scans that begins at this LSN or later; `None`: there are none.
    pub fn run_from(&self, lsn: u64, count: u64) -> Option<u64> {
        let first = self.seq_from_lsn(lsn);
        let last = first.saturating_add(count).min(self.next).checked_sub(1).filter(|last| *last >= first)?;
        self.get(last).map(|scan| scan.lsn + 1)
    }

    /// Kept scans from an LSN on and before another, oldest first.
    pub fn between(&self, from: u64, until: u64) -> impl Iterator<Item = &KeptScan> {
        (self.seq_from_lsn(from)..self.seq_from_lsn(until)).filter_map(|seq| self.get(seq))
    }

    /// Forgets the holder in kept answers from an LSN on and before another, where the ticket is of a type that `concerns`.
    pub fn shred(&mut self, from: u64, until: u64, concerns: impl Fn(TypeId) -> bool) {
        for seq in self.seq_from_lsn(from)..self.seq_from_lsn(until) {
            if self.get(seq).is_some_and(|scan| scan.names_holder_of(&concerns)) {
                self.before_change(seq);
                let (chunk, offset) = self.place(seq);
                if let Some(scan) = self.chunks.get_mut(chunk).and_then(|chunk| chunk.get_mut(offset)) {
                    scan.shred();
                }
            }
        }
    }

    fn before_change(&mut self, seq: u64) {
        if let Some(mut capture) = self.capture.take() {
            capture.before_change(seq, || self.get(seq).cloned());
            self.capture = Some(capture);
        }
    }
}

/// The key is a keyed hash already: any of its bits place it.
fn hash_of(key: ScanKey) -> u32 {
    (key.0 >> 64) as u32
}

/// What the index calls a sequence number.
fn number(seq: u64) -> u32 {
    (seq % NUMBERS) as u32
}
