//! An index from hashes to numbers: of codes to tickets, of scan keys to kept scans. Owns slots and probing; knows
//! neither keys nor what is numbered: whoever asks compares the key itself.
//!
//! One slot is one word, so that a look-up among millions waits for one line of memory here:
//!
//! ```text
//! slot  | hash, upper 32 bits | number + 1, lower 32 bits |     0: empty
//! ```
//!
//! A general table (hashbrown) was here before: it keeps its control bytes apart, one more line to wait for, and doubles
//! when it grows, which left it less than half full at a million tickets. This one grows by a quarter.

/// Parts, each growing for itself: a part of an index of 10 million grows in a few milliseconds.
const PARTS: usize = 64;
/// Slots of a part when it gets its first entry.
const SLOTS_MIN: usize = 16;
/// The largest number a slot has room for.
pub(crate) const NUMBER_MAX: u32 = u32::MAX - 1;

/// Hashes to numbers. The same hash may stand for several numbers.
#[derive(Debug)]
pub(crate) struct HashIndex {
    parts: Vec<Part>,
}

/// `used <= slots.len() * 4 / 5`, so that every run of full slots ends.
#[derive(Debug, Default)]
struct Part {
    slots: Vec<u64>,
    used: usize,
}

// === impl HashIndex ===

impl Default for HashIndex {
    fn default() -> HashIndex {
        HashIndex { parts: (0..PARTS).map(|_| Part::default()).collect() }
    }
}

impl HashIndex {
    /// The first number under this hash that `is_it`. One line of memory, at times two, besides what `is_it` reads.
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let part = &self.parts[hash as usize % PARTS];
        part.first(hash, |slot| hash_of(slot) == hash && is_it(number_of(slot)))
            .map(|at| number_of(part.slots[at]))
    }

    /// Adds a number under a hash. Amortized constant; growing copies one part.
    pub(crate) fn insert(&mut self, hash: u32, number: u32) {
        assert!(number <= NUMBER_MAX);
        let part = &mut self.parts[hash as usize % PARTS];
        if (part.used + 1) * 5 > part.slots.len() * 4 {
            part.grow();
        }
        part.place(slot_of(hash, number));
        part.used += 1;
    }

    /// Takes a number out from under a hash, if it is there.
    pub(crate) fn remove(&mut self, hash: u32, number: u32) {
        let part = &mut self.parts[hash as usize % PARTS];
        let wanted = slot_of(hash, number);
        if let Some(at) = part.first(hash, |slot| slot == wanted) {
            part.used -= 1;
            part.close_gap(at);
        }
    }
}

// === impl Part ===

impl Part {
    /// The place of the first full slot from a hash's home on that `is_it`; an empty one ends the search.
    fn first(&self, hash: u32, mut is_it: impl FnMut(u64) -> bool) -> Option<usize> {
        let mut at = self.home(hash);
        loop {
            match *self.slots.get(at)? {
                0 => return None,
                slot if is_it(slot) => return Some(at),
                _ => at = self.after(at),
            }
        }
    }

    /// Where a hash would like to be: its upper bits scaled to the slots; the lower ones have chosen the part.
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.slots.len() as u64) >> 32) as usize
    }

    fn place(&mut self, slot: u64) {
        let mut at = self.home(hash_of(slot));
        while self.slots[at] != 0 {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    fn grow(&mut self) {
        let len = (self.slots.len() + self.slots.len() / 4).max(SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![0; len]);
        old.into_iter().filter(|slot| *slot != 0).for_each(|slot| self.place(slot));
    }

    /// Empties a slot and moves those behind it up that would not be found across a gap.
    fn close_gap(&mut self, mut gap: usize) {
        self.slots[gap] = 0;
        let mut at = self.after(gap);
        while self.slots[at] != 0 {
            let home = self.home(hash_of(self.slots[at]));
            // May it move? Only if its home is not behind the gap: going round from home, the gap comes before `at`.
            // No division: this is done for every scan that is forgotten.
            let from_home =
                |place: usize| if place < home { place + self.slots.len() - home } else { place - home };
            if from_home(gap) < from_home(at) {
                self.slots[gap] = std::mem::take(&mut self.slots[at]);
                gap = at;
            }
            at = self.after(at);
        }
    }
}

fn slot_of(hash: u32, number: u32) -> u64 {
    (u64::from(hash) << 32) | u64::from(number + 1)
}

fn hash_of(slot: u64) -> u32 {
    (slot >> 32) as u32
}

fn number_of(slot: u64) -> u32 {
    slot as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn all_under(index: &HashIndex, hash: u32) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        index.find(hash, |number| {
            assert!(found.insert(number), "each once");
            false
        });
        found
    }

    proptest! {
        // Few hashes, close together and at both ends: long runs, runs that go round the end, many of one hash.
        #[test]
        fn finds_what_a_set_of_pairs_has(acts in proptest::collection::vec((any::<bool>(), 0_u32..12, 0_u32..40), 1..600)) {
            let hash_of = |n: u32| if n < 6 { n * 64 } else { u32::MAX - (n - 6) * 64 - 63 };
            let (mut index, mut model) = (HashIndex::default(), BTreeSet::new());
            for (add, n, number) in acts {
                if !add {
                    index.remove(hash_of(n), number);
                    model.remove(&(n, number));
                } else if model.insert((n, number)) {
                    index.insert(hash_of(n), number);
                }
            }
            for n in 0..12 {
                let expected: BTreeSet<u32> = model.iter().filter(|(own, _)| *own == n).map(|(_, number)| *number).collect();
                prop_assert_eq!(all_under(&index, hash_of(n)), expected);
            }
            prop_assert_eq!(index.parts.iter().map(|part| part.used).sum::<usize>(), model.len());
        }
    }

    #[test]
    fn a_large_index_is_two_thirds_to_four_fifths_full() {
        let mut index = HashIndex::default();
        for n in 0..200_000_u32 {
            index.insert(n.wrapping_mul(0x9e37_79b1), n);
        }
        let slots: usize = index.parts.iter().map(|part| part.slots.len()).sum();
        assert!((0.6..=0.8).contains(&(200_000.0 / slots as f64)), "{slots} slots");
        assert_eq!(index.find(77_u32.wrapping_mul(0x9e37_79b1), |_| true), Some(77));
        assert_eq!(HashIndex::default().find(5, |_| true), None);
    }
}
