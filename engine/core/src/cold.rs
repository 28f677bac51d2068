//! The filter in front of the store: codes of tickets whose events are not near. It may say "surely unknown",
//! which costs no I/O; it never admits and is never asked before the table in memory.

use crate::ticket::{CodeKind, Ticket};
use bloomfilter::Bloom;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Share of unknown codes that are looked up in vain.
const FALSE_POSITIVES: f64 = 0.001;
/// Codes the filter is made for at least.
const CODES_MIN: usize = 1_000_000;

/// Codes that may be in the store.
pub struct ColdFilter {
    // Read on every unknown code, written when an event goes cold: readers do not wait for each other.
    filter: RwLock<Option<Bloom<[u8]>>>,
    codes: AtomicU64,
    asked: AtomicU64,
    maybe: AtomicU64,
}

impl Default for ColdFilter {
    fn default() -> ColdFilter {
        ColdFilter {
            filter: RwLock::new(None),
            codes: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            maybe: AtomicU64::new(0),
        }
    }
}

impl ColdFilter {
    /// May the store have this code? `false` is certain. About 60 ns, no I/O.
    pub fn maybe(&self, kind: CodeKind, code: &[u8]) -> bool {
        let filter = self.filter.read();
        let Some(bloom) = filter.as_ref() else { return false };
        self.asked.fetch_add(1, Ordering::Relaxed);
        let maybe = bloom.check(&tagged(kind, code));
        self.maybe.fetch_add(u64::from(maybe), Ordering::Relaxed);
        maybe
    }

    /// Adds a ticket's codes.
    pub fn insert(&self, ticket: &Ticket) {
        ticket.details.codes().for_each(|(kind, code)| self.insert_code(kind, code));
    }

    /// Adds one code.
    pub fn insert_code(&self, kind: CodeKind, code: &[u8]) {
        let mut filter = self.filter.write();
        let bloom = filter.get_or_insert_with(|| bloom_for(CODES_MIN));
        bloom.set(&tagged(kind, code));
        self.codes.fetch_add(1, Ordering::Relaxed);
    }

    /// Replaces the filter by one made of these codes: it has no delete, so it is rebuilt and swapped.
    pub fn rebuild<'c>(&self, expected: usize, codes: impl Iterator<Item = (CodeKind, &'c [u8])>) {
        let mut bloom = bloom_for(expected.max(CODES_MIN));
        let mut count = 0;
        for (kind, code) in codes {
            bloom.set(&tagged(kind, code));
            count += 1;
        }
        *self.filter.write() = Some(bloom);
        self.codes.store(count, Ordering::Relaxed);
    }

    /// Codes in it, questions asked, questions answered "maybe".
    pub fn stats(&self) -> (u64, u64, u64) {
        (
            self.codes.load(Ordering::Relaxed),
            self.asked.load(Ordering::Relaxed),
            self.maybe.load(Ordering::Relaxed),
        )
    }
}

fn bloom_for(codes: usize) -> Bloom<[u8]> {
    // A seed of the process: codes are chosen by whoever prints them.
    use std::hash::{BuildHasher, RandomState};
    let mut seed = [0; 32];
    for (n, part) in seed.chunks_mut(8).enumerate() {
        part.copy_from_slice(&RandomState::new().hash_one(n).to_le_bytes());
    }
    Bloom::new_for_fp_rate_with_seed(codes, FALSE_POSITIVES, &seed)
        .expect("a positive count and a rate between 0 and 1")
}

/// Kind and code as one key, so that a card is never mistaken for a barcode.
fn tagged(kind: CodeKind, code: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(code.len() + 1);
    key.push(if kind == CodeKind::Card { b'c' } else { b'o' });
    key.extend_from_slice(code);
    key
}
