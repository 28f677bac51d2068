//! Counters of the HTTP layer. Each worker writes its own; a reader adds them up. Knows no other part.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter with one writing thread, so that adding needs no locked instruction (about 1 ns).
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Statuses a fault can have; the last place counts all others.
const FAULT_STATUSES: [u16; 10] = [400, 408, 411, 413, 414, 417, 431, 501, 503, 505];

/// One worker's counters, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct WorkerStats {
    pub(super) opened: Counter,
    pub(super) closed: Counter,
    pub(super) refused: Counter,
    pub(super) accept_errors: Counter,
    pub(super) requests: Counter,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
    pub(super) panics: Counter,
    pub(super) undurable: Counter,
    pub(super) streams_opened: Counter,
    pub(super) streams_closed: Counter,
    pub(super) slow_heads: Counter,
    pub(super) slow_bodies: Counter,
    pub(super) idle_closed: Counter,
    pub(super) slow_readers: Counter,
    pub(super) late_answers: Counter,
    pub(super) durable_late: Counter,
    faults: [Counter; FAULT_STATUSES.len() + 1],
}

impl WorkerStats {
    pub(super) fn fault(&self, status: u16) {
        let place = FAULT_STATUSES.iter().position(|known| *known == status).unwrap_or(FAULT_STATUSES.len());
        self.faults[place].add(1);
    }
}

/// All counters of a server since its start, added up over its workers. Counts never go down; what is open now is
/// `opened - closed`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections served.
    pub connections_opened: u64,
    /// Of these, closed again.
    pub connections_closed: u64,
    /// Connections closed at once because a cap was reached.
    pub connections_refused: u64,
    /// Failures of `accept`.
    pub accept_errors: u64,
    /// Requests given to the service.
    pub requests: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Panics caught in the service.
    pub panics: u64,
    /// Replies rewritten because the journal failed or was late.
    pub undurable: u64,
    /// Streams begun.
    pub streams_opened: u64,
    /// Streams ended.
    pub streams_closed: u64,
    /// Heads that took too long.
    pub timeouts_head: u64,
    /// Bodies that took too long.
    pub timeouts_body: u64,
    /// Connections closed for idleness.
    pub timeouts_idle: u64,
    /// Connections closed because the peer did not read.
    pub timeouts_write: u64,
    /// Late answers that came too late.
    pub timeouts_later: u64,
    /// Batches for which the journal took too long.
    pub timeouts_durable: u64,
    /// Protocol faults by status; 0 stands for any other status.
    pub faults: Vec<(u16, u64)>,
}

impl Stats {
    /// Connections open now.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        self.connections_opened.saturating_sub(self.connections_closed)
    }

    /// Faults of one status so far.
    #[must_use]
    pub fn faults_of(&self, status: u16) -> u64 {
        self.faults.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count)
    }

    pub(super) fn sum<'a>(workers: impl Iterator<Item = &'a WorkerStats> + Clone) -> Self {
        let total = |counter: fn(&WorkerStats) -> &Counter| workers.clone().map(|w| counter(w).get()).sum();
        let statuses = FAULT_STATUSES.iter().copied().chain([0]).enumerate();
        Self {
            // Read first: a connection closing meanwhile must not make more closed than opened.
            connections_closed: total(|w| &w.closed),
            connections_opened: total(|w| &w.opened),
            connections_refused: total(|w| &w.refused),
            accept_errors: total(|w| &w.accept_errors),
            requests: total(|w| &w.requests),
            bytes_in: total(|w| &w.bytes_in),
            bytes_out: total(|w| &w.bytes_out),
            panics: total(|w| &w.panics),
            undurable: total(|w| &w.undurable),
            streams_closed: total(|w| &w.streams_closed),
            streams_opened: total(|w| &w.streams_opened),
            timeouts_head: total(|w| &w.slow_heads),
            timeouts_body: total(|w| &w.slow_bodies),
            timeouts_idle: total(|w| &w.idle_closed),
            timeouts_write: total(|w| &w.slow_readers),
            timeouts_later: total(|w| &w.late_answers),
            timeouts_durable: total(|w| &w.durable_late),
            faults: statuses
                .map(|(place, status)| (status, workers.clone().map(|w| w.faults[place].get()).sum()))
                .collect(),
        }
    }
}
