//! What is counted of signing in, for the metrics page and for tests. Counters only; knows nobody's name.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of signing in, since the start.
#[derive(Debug, Default)]
pub struct SignInFigures {
    signed_in: AtomicU64,
    failed: AtomicU64,
    told_to_wait: AtomicU64,
    hashes: AtomicU64,
    hashing: AtomicU64,
    hashing_max: AtomicU64,
    waiting: AtomicU64,
    waiting_max: AtomicU64,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident, $count:ident;)*) => {
        impl SignInFigures {
            $($(#[doc = $doc])* pub fn $name(&self) -> u64 { self.$name.load(Ordering::Relaxed) }
              pub(super) fn $count(&self) { self.$name.fetch_add(1, Ordering::Relaxed); })*
        }
    };
}

counters! {
    /// Sessions that began.
    signed_in, count_signed_in;
    /// Wrong names, passwords and codes.
    failed, count_failed;
    /// Attempts that were refused unread, because others failed before or too many wait.
    told_to_wait, count_told_to_wait;
    /// Passwords that were hashed, right or wrong.
    hashes, count_hash;
}

impl SignInFigures {
    /// Most passwords that were hashed at the same time.
    pub fn hashing_max(&self) -> u64 {
        self.hashing_max.load(Ordering::Relaxed)
    }

    /// Most passwords that waited at the same time.
    pub fn waiting_max(&self) -> u64 {
        self.waiting_max.load(Ordering::Relaxed)
    }

    pub(super) fn waits(&self) -> Up<'_> {
        Up::new(&self.waiting, &self.waiting_max)
    }

    pub(super) fn is_hashing(&self) -> Up<'_> {
        self.count_hash();
        Up::new(&self.hashing, &self.hashing_max)
    }
}

/// One more of something, for as long as this lives.
pub(super) struct Up<'f>(&'f AtomicU64);

impl<'f> Up<'f> {
    fn new(now: &'f AtomicU64, most: &AtomicU64) -> Up<'f> {
        let now_there = now.fetch_add(1, Ordering::Relaxed) + 1;
        most.fetch_max(now_there, Ordering::Relaxed);
        Up(now)
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
