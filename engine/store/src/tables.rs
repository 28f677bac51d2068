//! What a database behind the projection can write and read back while a batch is applied. Knows records and state;
//! knows no SQL and no rule.

use crate::error::StoreResult;
use crate::figures::Figures;
use crate::kept::KeptRow;
use crate::retention::Retention;
use crate::shred::Lines;
use engine::Lsn;
use engine::catalog::{Catalog, DeviceId, Entity, EventId, GateId, OperatorId};
use engine::clock::Time;
use engine::counts::Counts;
use engine::decision::Reason;
use engine::inbox::{InboxOutcome, InboxRow};
use engine::record::{PassageRecord, ScanRecord};
use engine::scans::KeptScan;
use engine::state::{DeviceState, State};
use engine::ticket::{Ticket, TicketId, TicketStatus, TicketUse};

/// Where a ticket is besides in its own columns.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub event: Option<EventId>,
    /// Not in the engine's memory.
    pub cold: bool,
}

/// A line of the audit.
pub(crate) struct Audit<'a> {
    pub lsn: Lsn,
    pub at: Time,
    pub operator: Option<OperatorId>,
    pub action: &'a str,
    pub subject: &'a str,
    /// JSON without secrets.
    pub details: &'a str,
}

/// A line of the conflict list.
pub(crate) struct Conflict {
    /// Of the scan.
    pub lsn: Lsn,
    pub reason: Reason,
    pub ticket: Option<TicketId>,
    pub resolved_at: Option<Time>,
}

/// The cursor, and what of a node's state is in no other table.
pub(crate) struct Position<'a> {
    pub state: &'a State,
    pub next_ticket: TicketId,
    pub retention: &'a Retention,
}

/// The rows of one transaction. A row may be written at once or be gathered until [`Tables::flush`]: what these functions
/// read back has it in either case. Errors of all: the database is away, or what it holds cannot be read.
pub(crate) trait Tables {
    /// What a ticket in the engine's memory has done; `None`: it is cold, or there is no such ticket.
    fn hot_use(&mut self, id: TicketId) -> StoreResult<Option<TicketUse>>;

    /// Notes what a ticket has done. To be asked for it by [`Tables::hot_use`] before.
    fn set_use(&mut self, lsn: Lsn, id: TicketId, usage: TicketUse);

    /// Writes a ticket, new or come back, with its codes and words. What never changes in a ticket is written once.
    fn put_ticket(&mut self, lsn: Lsn, id: TicketId, ticket: &Ticket, place: Place) -> StoreResult<()>;

    /// Writes where a ticket stands in its life; gives where it stood. `None`: there is no such ticket.
    fn set_status(
        &mut self,
        lsn: Lsn,
        id: TicketId,
        status: TicketStatus,
        at: Time,
    ) -> StoreResult<Option<TicketStatus>>;

    /// Writes what a ticket that is cold has done.
    fn set_cold_use(&mut self, lsn: Lsn, id: TicketId, usage: TicketUse) -> StoreResult<()>;

    /// Writes a ticket that is otherwise, hot or cold, with its codes and words: all of it but its event and what it
    /// has done.
    fn change_ticket(&mut self, lsn: Lsn, id: TicketId, ticket: &Ticket) -> StoreResult<()>;

    /// The tickets of an event in a run of numbers, hot or cold, as they are now.
    fn tickets_of(
        &mut self,
        event: EventId,
        first: TicketId,
        count: u32,
    ) -> StoreResult<Vec<(TicketId, Ticket)>>;

    /// Rows of kept answers that have one from an LSN on and before another, each with the LSN of its first.
    fn kept_rows(&mut self, from: u64, until: u64) -> StoreResult<Vec<(u64, KeptRow)>>;

    /// Writes a row of kept answers anew: the same scans.
    fn put_kept_row(&mut self, first: u64, row: &KeptRow) -> StoreResult<()>;

    /// Lines of the audit and their details. One may come more than once.
    fn audit_lines(&mut self, lines: Lines<'_>) -> StoreResult<Vec<(Lsn, String)>>;

    /// Writes the details of a line of the audit anew.
    fn set_audit_details(&mut self, line: Lsn, details: &str) -> StoreResult<()>;

    /// Removes what supervisors wrote about scans of an event. Reads every scan of the log that has a note.
    fn forget_notes(&mut self, event: EventId) -> StoreResult<()>;

    /// Writes what came of a row of the inbox, where there is one.
    fn inbox(&mut self, lsn: Lsn, at: Time, row: InboxRow, outcome: &InboxOutcome) -> StoreResult<()>;

    /// Marks the hot tickets of an event in a run of numbers as cold; gives what each has done.
    fn cool(&mut self, lsn: Lsn, event: EventId, first: TicketId, count: u32) -> StoreResult<Vec<TicketUse>>;

    /// Writes a scan into the access log.
    fn scan(&mut self, lsn: Lsn, scan: &ScanRecord<'_>, event: Option<EventId>) -> StoreResult<()>;

    /// Keeps a scan's answer, as the engine keeps it.
    fn keep(&mut self, kept: &KeptScan) -> StoreResult<()>;

    /// The oldest kept scans from an LSN on: LSN and time of arrival of each, at most `limit`.
    fn oldest_kept(&mut self, from: u64, limit: usize) -> StoreResult<Vec<(u64, Time)>>;

    /// The kept scan at an LSN, as it was when it was kept.
    fn kept(&mut self, lsn: u64) -> StoreResult<Option<KeptScan>>;

    /// Removes answers before an LSN, as many as can be removed at little cost.
    fn forget(&mut self, from: u64) -> StoreResult<()>;

    /// Writes that the scan at LSN `of` was presented again.
    fn repeat(&mut self, lsn: Lsn, at: Time, device: DeviceId, of: u64) -> StoreResult<()>;

    /// Writes what became of an admission.
    fn passage(&mut self, lsn: Lsn, passage: &PassageRecord) -> StoreResult<()>;

    /// Writes that people passed without a ticket.
    fn turns(
        &mut self,
        lsn: Lsn,
        at: Time,
        gate: GateId,
        event: Option<EventId>,
        device: DeviceId,
        people: i32,
    ) -> StoreResult<()>;

    /// Writes a conflict.
    fn conflict(&mut self, conflict: &Conflict) -> StoreResult<()>;

    /// Notes that the conflict of a scan was looked into.
    fn resolve_conflict(&mut self, scan: u64, at: Time, by: Option<OperatorId>) -> StoreResult<()>;

    /// Writes an entity that the catalog has taken. Its number is its place in the catalog.
    fn put_entity(&mut self, lsn: Lsn, catalog: &Catalog, entity: &Entity) -> StoreResult<()>;

    /// Writes a command for a device; `said` is JSON.
    fn command(
        &mut self,
        lsn: Lsn,
        at: Time,
        operator: Option<OperatorId>,
        device: DeviceId,
        said: &str,
        expires_at: Time,
    ) -> StoreResult<()>;

    /// Notes that a device's commands up to an LSN were handed over.
    fn delivered(&mut self, at: Time, device: DeviceId, through: u64) -> StoreResult<()>;

    /// Writes an entry of the registry; `None` removes it.
    fn registry(&mut self, lsn: Lsn, kind: &str, name: &str, value: Option<&str>) -> StoreResult<()>;

    /// Writes a line of the audit.
    fn audit(&mut self, line: &Audit<'_>) -> StoreResult<()>;

    /// Notes that a line is about this too, among others; once for each.
    fn audit_subject(&mut self, line: Lsn, subject: &str) -> StoreResult<()>;

    /// Writes what was gathered.
    fn flush(&mut self) -> StoreResult<()>;

    /// Adds what a batch adds to the figures.
    fn figures(&mut self, figures: &Figures) -> StoreResult<()>;

    /// Writes the counts that are not as they were.
    fn counts(&mut self, before: &Counts, after: &Counts) -> StoreResult<()>;

    /// Writes the state of one device.
    fn device(&mut self, device: usize, state: &DeviceState) -> StoreResult<()>;

    /// Moves the cursor from `before`; `false`: it is no longer there.
    fn move_cursor(&mut self, before: Lsn, position: &Position<'_>) -> StoreResult<bool>;
}
