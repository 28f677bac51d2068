//! One webhook while the program runs: what it is set to now, where it stands in the journal, how much of it waits.

use crate::queue::PENDING_MAX;
use crate::settings::Webhook;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A webhook with its entry in the registry, as it was read or written last.
#[derive(Clone, Debug)]
pub struct Known {
    /// The entry's text: a change expects it.
    pub entry: Arc<str>,
    /// What it says.
    pub webhook: Arc<Webhook>,
}

/// A webhook at work.
#[derive(Debug)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// Nobody sends for it any more.
    pub removed: AtomicBool,
    known: Mutex<Known>,
    cursor: AtomicU64,
    /// The cursor as the queue's file has it.
    noted: AtomicU64,
    pending: AtomicUsize,
}

impl Line {
    /// One that stands behind this record, with so much that waits.
    pub fn new(id: &str, known: Known, cursor: u64, pending: usize) -> Line {
        Line {
            id: id.to_owned(),
            removed: AtomicBool::new(false),
            known: Mutex::new(known),
            cursor: AtomicU64::new(cursor),
            noted: AtomicU64::new(cursor),
            pending: AtomicUsize::new(pending),
        }
    }

    /// As it is now.
    pub fn known(&self) -> Known {
        self.known.lock().clone()
    }

    /// It was changed.
    pub fn set_known(&self, known: Known) {
        *self.known.lock() = known;
    }

    /// The last record that was looked at for it.
    pub fn cursor(&self) -> u64 {
        self.cursor.load(Ordering::Acquire)
    }

    /// Records up to here were looked at.
    pub fn set_cursor(&self, lsn: u64) {
        self.cursor.store(lsn, Ordering::Release);
    }

    /// Where it stands, if that is to be written down.
    pub fn to_note(&self) -> Option<u64> {
        Some(self.cursor()).filter(|cursor| self.noted.swap(*cursor, Ordering::AcqRel) != *cursor)
    }

    /// Messages that may still be taken.
    pub fn room(&self) -> usize {
        PENDING_MAX.saturating_sub(self.pending.load(Ordering::Acquire))
    }

    /// So many came.
    pub fn came(&self, messages: usize) {
        self.pending.fetch_add(messages, Ordering::AcqRel);
    }

    /// One went.
    pub fn went(&self) {
        let less = |pending: usize| Some(pending.saturating_sub(1));
        let _ = self.pending.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// Is anything sent?
    pub fn is_enabled(&self) -> bool {
        self.known.lock().webhook.settings.enabled && !self.removed.load(Ordering::Acquire)
    }
}
