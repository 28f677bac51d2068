//! The shadow of a node's state: the engine's own `State` without its two tables, moved on by the engine's own
//! functions, so that no rule is told twice. Tickets and kept scans are rows. Knows no database.

use crate::error::{StoreError, StoreResult};
use crate::retention::Retention;
use engine::Lsn;
use engine::catalog::EventId;
use engine::record::ScanRecord;
use engine::scans::KeptScan;
use engine::state::State;
use engine::ticket::{TicketId, TicketUse};

/// Catalog, counts, devices and cursor at one LSN.
#[derive(Debug)]
pub(crate) struct Shadow {
    /// Its tables of tickets and scans, and its list of conflicts, are empty: they are rows.
    pub state: State,
    /// The number the next ticket gets.
    pub next_ticket: TicketId,
    /// Which scans are still kept.
    pub retention: Retention,
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
        kept
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
