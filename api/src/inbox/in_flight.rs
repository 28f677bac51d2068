//! Rows that were taken in and of which the store does not know yet what came: they are not to be read again, and what they
//! did counts for the rows behind them. Knows no database.

use engine::Lsn;
use engine::inbox::InboxOutcome;
use std::collections::{HashMap, VecDeque};
use store::InboxEntry;

/// The rows, by the records that have them.
#[derive(Default)]
pub(super) struct InFlight {
    ids: VecDeque<i64>,
    lsns: VecDeque<Lsn>,
    /// Greatest version that was done, by key.
    versions: HashMap<String, (Lsn, i64)>,
    /// Rows that have no ticket yet, by key.
    early: HashMap<String, Vec<(Lsn, InboxEntry)>>,
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Their numbers.
    pub(super) fn ids(&mut self) -> &[i64] {
        self.ids.make_contiguous()
    }

    /// A row was taken in, by the record at `lsn`.
    pub(super) fn note(&mut self, lsn: Lsn, entry: &InboxEntry, outcome: &InboxOutcome) {
        self.ids.push_back(entry.row.id as i64);
        self.lsns.push_back(lsn);
        let Some(key) = entry.key.clone() else { return };
        match (outcome, entry.version) {
            (InboxOutcome::Early, _) => self.early.entry(key).or_default().push((lsn, entry.clone())),
            (InboxOutcome::Outdated | InboxOutcome::Refused(_), _) | (_, None) => {}
            (_, Some(version)) => drop(self.versions.insert(key, (lsn, version))),
        }
    }

    /// The store has the records up to here: what they did its rows tell.
    pub(super) fn forget_through(&mut self, projected: Lsn) {
        let known = self.lsns.partition_point(|lsn| *lsn <= projected);
        self.lsns.drain(..known);
        self.ids.drain(..known);
        self.versions.retain(|_, (lsn, _)| *lsn > projected);
        self.early.retain(|_, rows| {
            rows.retain(|(lsn, _)| *lsn > projected);
            !rows.is_empty()
        });
    }

    /// The greatest version that was done for the ticket this row is about.
    pub(super) fn newest(&self, entry: &InboxEntry) -> Option<i64> {
        self.versions.get(entry.key.as_ref()?).map(|(_, version)| *version)
    }

    /// Rows that waited for the ticket this row has added, in the order of their versions and numbers.
    pub(super) fn take_early(&mut self, entry: &InboxEntry) -> Vec<InboxEntry> {
        let rows = entry.key.as_ref().and_then(|key| self.early.remove(key)).unwrap_or_default();
        let mut rows: Vec<InboxEntry> = rows.into_iter().map(|(_, row)| row).collect();
        rows.sort_by_key(|row| (row.version, row.row.id));
        rows
    }
}
