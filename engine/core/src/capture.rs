//! Copy before change: lets a checkpoint read a table chunk by chunk while gates go on, and still write the
//! table exactly as it was at one LSN. Knows no file and no ticket.

use std::collections::HashMap;

/// A capture in progress over items `0..end`; items below `cursor` are captured.
#[derive(Debug)]
pub struct Capture<T> {
    cursor: u64,
    end: u64,
    saved: HashMap<u64, T>,
}

impl<T> Capture<T> {
    /// A capture of the items `start..end`.
    pub fn new(start: u64, end: u64) -> Capture<T> {
        assert!(start <= end);
        Capture { cursor: start, end, saved: HashMap::new() }
    }

    /// To be called before item `index` changes: keeps what it was, once, unless it is captured or new.
    pub fn before_change(&mut self, index: u64, current: impl FnOnce() -> T) {
        if index >= self.cursor && index < self.end {
            self.saved.entry(index).or_insert_with(current);
        }
    }

    /// The next item to capture, with what it was if it changed since; `None` at the end.
    pub fn step(&mut self) -> Option<(u64, Option<T>)> {
        if self.cursor == self.end {
            return None;
        }
        let index = self.cursor;
        self.cursor += 1;
        Some((index, self.saved.remove(&index)))
    }
}
