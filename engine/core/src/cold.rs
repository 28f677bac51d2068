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
    filter: RwLock<Filter>,
    codes: AtomicU64,
    asked: AtomicU64,
    maybe: AtomicU64,
}

#[derive(Default)]
struct Filter {
    bloom: Option<Bloom<[u8]>>,
    /// `Some`: what the store holds is not known yet. Codes that came meanwhile.
    awaiting: Option<Vec<Vec<u8>>>,
}

impl Default for ColdFilter {
    fn default() -> ColdFilter {
        ColdFilter {
            filter: RwLock::new(Filter::default()),
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
        if filter.bloom.is_none() && filter.awaiting.is_none() {
            return false;
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let known = |bloom: &Bloom<[u8]>| bloom.check(&tagged(kind, code));
        let maybe = filter.awaiting.is_some() || filter.bloom.as_ref().is_some_and(known);
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
        match &mut filter.awaiting {
            Some(came) => came.push(tagged(kind, code)),
            None => filter.bloom.get_or_insert_with(|| bloom_for(CODES_MIN)).set(&tagged(kind, code)),
        }
        self.codes.fetch_add(1, Ordering::Relaxed);
    }

    /// From now on any code may be in the store, until `rebuild` tells which are: the store cannot be asked now.
    pub fn await_codes(&self) {
        self.filter.write().awaiting.get_or_insert_default();
    }

    /// Is it known what the store holds?
    pub fn is_complete(&self) -> bool {
        self.filter.read().awaiting.is_none()
    }

    /// Replaces the filter by one made of these codes: it has no delete, so it is rebuilt and swapped.
    pub fn rebuild<'c>(&self, expected: usize, codes: impl Iterator<Item = (CodeKind, &'c [u8])>) {
        let mut bloom = bloom_for(expected.max(CODES_MIN));
        let mut count = 0;
        for (kind, code) in codes {
            bloom.set(&tagged(kind, code));
            count += 1;
        }
        let mut filter = self.filter.write();
        for code in filter.awaiting.take().into_iter().flatten() {
            bloom.set(&code);
            count += 1;
        }
        filter.bloom = Some(bloom);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_it_is_not_known_what_the_store_holds_any_code_may_be_there() {
        let filter = ColdFilter::default();
        assert!(filter.is_complete());
        assert!(!filter.maybe(CodeKind::Optical, b"A"));
        filter.await_codes();
        filter.insert_code(CodeKind::Optical, b"CAME MEANWHILE");
        assert!(!filter.is_complete());
        assert!(filter.maybe(CodeKind::Optical, b"A"), "nobody knows");
        let held: [(CodeKind, &[u8]); 1] = [(CodeKind::Card, b"HELD")];
        filter.rebuild(1, held.into_iter());
        assert!(filter.is_complete());
        assert!(filter.maybe(CodeKind::Card, b"HELD"));
        assert!(filter.maybe(CodeKind::Optical, b"CAME MEANWHILE"));
        assert!(!filter.maybe(CodeKind::Optical, b"HELD"), "a code is not a card");
        assert_eq!(filter.stats().0, 2);
    }
}
