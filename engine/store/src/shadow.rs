//! The shadow of a node's state: the engine's own `State` without its two tables, moved on by the engine's own
//! functions, so that no rule is told twice. Tickets and kept scans are rows. Knows no database.

use crate::error::{StoreError, StoreResult};
use crate::retention::Retention;
use engine::Lsn;
use engine::catalog::EventId;
use engine::decision::Answer;
use engine::record::ScanRecord;
use engine::scans::KeptScan;
use engine::state::State;
use engine::ticket::{TicketId, TicketUse};
use std::collections::VecDeque;

/// Answers remembered for the passages that follow: some minutes at a full gate, and some 2 MiB.
const RECENT_ANSWERS_MAX: usize = 16_384;

/// Catalog, counts, devices and cursor at one LSN.
#[derive(Debug)]
pub(crate) struct Shadow {
    /// Its tables of tickets and scans, its registry and its list of conflicts are empty: they are rows.
    pub state: State,
    /// The number the next ticket gets.
    pub next_ticket: TicketId,
    /// Which scans are still kept.
    pub retention: Retention,
    /// The newest answers by LSN: a passage is reported soon after its scan, and needs not look into the rows.
    pub recent: VecDeque<(u64, Answer)>,
}

// === impl Shadow ===

impl Shadow {
    /// Checks that a record is the next one.
    pub(crate) fn follows(&self, lsn: Lsn) -> StoreResult<()> {
        let after = Lsn(self.state.lsn);
        if lsn.0 == after.0 + 1 { Ok(()) } else { Err(StoreError::Gap { after, found: lsn }) }
    }

    /// Counts a scan; `moved` is what the ticket's row had and has.
    pub(crate) fn scanned(
        &mut self,
        lsn: Lsn,
        scan: &ScanRecord<'_>,
        moved: Option<(TicketUse, TicketUse)>,
    ) -> KeptScan {
        let kept = self.state.scanned(lsn.0, scan, moved);
        self.state.conflicts.clear();
        if self.recent.len() == RECENT_ANSWERS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((lsn.0, kept.answer.clone()));
        kept
    }

    /// The answer at an LSN, if it is one of the newest. A binary search.
    pub(crate) fn recent(&self, lsn: u64) -> Option<&Answer> {
        let at = self.recent.binary_search_by_key(&lsn, |(own, _)| *own).ok()?;
        self.recent.get(at).map(|(_, answer)| answer)
    }

    /// Gives numbers to `count` tickets.
    pub(crate) fn number(&mut self, lsn: Lsn, first: TicketId, count: usize) -> StoreResult<()> {
        if first != self.next_ticket {
            return Err(StoreError::TicketNumbers { lsn, first: first.0, expected: self.next_ticket.0 });
        }
        let next = u32::try_from(count).ok().and_then(|count| first.0.checked_add(count));
        self.next_ticket =
            TicketId(next.ok_or_else(|| StoreError::damaged(format!("record {lsn}"), "too many tickets"))?);
        Ok(())
    }

    /// The event of a ticket type.
    pub(crate) fn event_of(&self, kind: engine::catalog::TypeId) -> Option<EventId> {
        self.state.catalog.ticket_type(kind).map(|kind| kind.event)
    }
}
