//! Scans in random order over all tickets, each with an id of its own, prepared batch by batch before the time is
//! taken. Knows codes and ids; knows no engine state.

use crate::venue::{self, CODE_BYTES};
use engine::decision::{Scan, ScanKind};
use engine::sim_disk::SplitMix64;
use engine::ticket::CodeKind;

/// Bytes of a scan id: a UUID in text.
const ID_BYTES: usize = 36;

/// An endless stream of scans.
pub struct Stream {
    /// Ticket numbers in random order; read round and round.
    order: Vec<u32>,
    next: usize,
    made: u64,
    code: fn(u32) -> [u8; CODE_BYTES],
    batch: Vec<Prepared>,
}

struct Prepared {
    code: [u8; CODE_BYTES],
    id: [u8; ID_BYTES],
}

// === impl Stream ===

impl Stream {
    /// Scans of tickets `0..tickets`: each once before any comes again.
    pub fn new(tickets: u32, seed: u64) -> Stream {
        Stream::with_codes(tickets, seed, venue::code)
    }

    /// Scans of codes that no ticket has.
    pub fn of_strangers(count: u32, seed: u64) -> Stream {
        Stream::with_codes(count, seed, venue::stranger)
    }

    fn with_codes(tickets: u32, seed: u64, code: fn(u32) -> [u8; CODE_BYTES]) -> Stream {
        assert!(tickets > 0);
        let mut order: Vec<u32> = (0..tickets).collect();
        let mut random = SplitMix64(seed);
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        Stream { order, next: 0, made: 0, code, batch: Vec::new() }
    }

    /// Prepares the next `count` scans; those before them are gone.
    pub fn prepare(&mut self, count: u64) {
        self.batch.clear();
        for _ in 0..count {
            let number = self.order[self.next];
            self.next = (self.next + 1) % self.order.len();
            self.made += 1;
            self.batch.push(Prepared { code: (self.code)(number), id: scan_id(self.made) });
        }
    }

    /// The prepared scans.
    pub fn scans(&self) -> impl Iterator<Item = Scan<'_>> {
        self.batch.iter().map(|prepared| Scan {
            device: venue::DEVICE_ID,
            gate: venue::GATE_ID,
            code_kind: CodeKind::Optical,
            code: &prepared.code,
            scan_id: std::str::from_utf8(&prepared.id).ok(),
            scanned_at: None,
            direction: None,
            people: None,
            kind: ScanKind::Validate,
            overriding: None,
            shown: None,
        })
    }

    /// The prepared codes.
    pub fn codes(&self) -> impl Iterator<Item = &[u8]> {
        self.batch.iter().map(|prepared| prepared.code.as_slice())
    }

    /// Scans until every ticket has been scanned equally often.
    pub fn until_round(&self) -> u64 {
        (self.order.len() - self.next) as u64
    }
}

/// A UUID's form, another one for every number.
fn scan_id(number: u64) -> [u8; ID_BYTES] {
    let mut id = *b"00000000-0000-4000-8000-000000000000";
    let digits = venue::hex(SplitMix64(number).next());
    id[..8].copy_from_slice(&digits[..8]);
    id[24..32].copy_from_slice(&digits[8..]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_ticket_comes_once_before_any_comes_again_and_no_id_comes_twice() {
        let mut stream = Stream::new(100, 1);
        let mut ids = HashSet::new();
        for _ in 0..2 {
            stream.prepare(100);
            assert_eq!(stream.codes().collect::<HashSet<_>>().len(), 100);
            ids.extend(stream.scans().filter_map(|scan| scan.scan_id.map(str::to_owned)));
        }
        assert_eq!((ids.len(), stream.until_round()), (200, 100));
    }
}
