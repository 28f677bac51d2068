//! The one trait in front of every database, and the trait of its questions. Knows records and state; knows no SQL.

use crate::error::StoreResult;
use crate::figures::FlowScope;
use crate::postgres::Inbox;
use crate::rows::{
    ArrivalRow, AuditFilter, AuditRow, CommandRow, ConflictRow, DenialRow, Period, PresentedOrder,
    PresentedRow, ScanFilter, ScanRow, TicketFilter, TicketPage,
};
use engine::Lsn;
use engine::catalog::{Catalog, DeviceId, EventId, TypeId};
use engine::counts::Counts;
use engine::record::Record;
use engine::state::State;
use engine::ticket::{CodeKind, Ticket, TicketId};
use std::fmt;
use std::sync::Arc;

/// A projection. One thread owns it for writing; questions go through [`Store::queries`].
pub trait Store: Send {
    /// The last record applied; 0: none. One row read.
    ///
    /// # Errors
    /// The database is away.
    fn cursor(&self) -> StoreResult<Lsn>;

    /// The key scan ids are hashed with, which is drawn once per journal: it tells whose records these are. `None`
    /// while nothing was applied. One row read.
    ///
    /// # Errors
    /// The database is away.
    fn salt(&self) -> StoreResult<Option<[u8; 16]>>;

    /// Applies records: rows and cursor in one transaction, seen by readers when this returns, durable after
    /// [`Store::sync`]. Records up to the cursor are skipped, so a batch may be given again after any failure. Best
    /// with hundreds of records: a batch costs one commit.
    ///
    /// # Errors
    /// A gap before or within the batch, a record that does not fit the rows, the database is away. Nothing of the
    /// batch remains then.
    fn apply(&mut self, batch: &[(Lsn, Record<'_>)]) -> StoreResult<()>;

    /// Makes everything that was applied durable; gives the cursor that is. What was applied since the last call may
    /// be taken back by a power cut, newest batches first and whole, the cursor with them. Costs a sync of the disk, or
    /// nothing where every commit is one.
    ///
    /// # Errors
    /// The database is away, or its disk cannot sync: then nothing more counts as durable until a restart.
    fn sync(&mut self) -> StoreResult<Lsn>;

    /// About how many bytes [`Store::sync`] would have to write now; 0 where every commit is durable.
    ///
    /// # Errors
    /// The database is away.
    fn unsynced_bytes(&self) -> StoreResult<u64>;

    /// A calm moment: what was put off while batches came thick may be done now. Costs what a large batch costs; nothing
    /// where nothing is put off.
    ///
    /// # Errors
    /// As [`Store::sync`].
    fn tidy(&mut self) -> StoreResult<()> {
        Ok(())
    }

    /// Makes what was removed or written anew unreadable in the store's own files, as far as the store can: no dead rows, no
    /// free pages, no log. Rewrites tables, so it costs what reading and writing them costs; questions go on but for
    /// moments, and batches wait. Backups and logs shipped elsewhere are out of its reach.
    ///
    /// # Errors
    /// The database is away, or somebody reads for too long: to be asked again.
    fn scrub(&mut self) -> StoreResult<()>;

    /// The state of a node at [`Store::cursor`], for one that has neither journal nor checkpoint: byte for byte what
    /// `engine::checkpoint::image` gives of the engine at that record. Reads every hot ticket and kept scan.
    ///
    /// # Errors
    /// The database is away, or a row cannot be read back.
    fn bootstrap(&self) -> StoreResult<State>;

    /// Fills an empty store with a node's state, for one that has lost its store and the beginning of its journal:
    /// [`Store::bootstrap`] then gives that state, and records after it may be applied. Without an access log before
    /// it, and without the tickets that no node holds in memory. One transaction; writes every ticket and kept scan.
    ///
    /// # Errors
    /// The store is not empty, the database is away. Nothing remains then.
    fn seed(&mut self, state: &State) -> StoreResult<()>;

    /// A connection of its own for questions: it never waits for a batch and no batch waits for it.
    ///
    /// # Errors
    /// The database is away.
    fn queries(&self) -> StoreResult<Box<dyn Queries>>;

    /// The box office's inbox, with a connection of its own; `None` where there is none. Connects to nothing yet.
    fn inbox(&self) -> Option<Inbox> {
        None
    }

    /// What may be seen of it by others while a thread owns it. Costs nothing and never waits.
    fn watch(&self) -> StoreWatch;
}

/// What may be seen of a store from outside.
#[derive(Clone)]
pub struct StoreWatch {
    /// Which database it is, in one word.
    pub name: &'static str,
    /// Gives how the connections for questions are used now; `None`: it has no pool of them.
    pub pool: Option<Arc<dyn Fn() -> PoolUse + Send + Sync>>,
}

/// How a pool of connections is used at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that are there.
    pub open: usize,
    /// Of these, with a question under way.
    pub in_use: usize,
    /// Questions that wait for a connection.
    pub waiting: usize,
    /// Connections there may be.
    pub most: usize,
}

// === impl StoreWatch ===

impl fmt::Debug for StoreWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreWatch").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Questions to a projection. Each sees the rows of whole batches only.
pub trait Queries: Send {
    /// The last record these questions see.
    ///
    /// # Errors
    /// The database is away; so for every question.
    fn cursor(&self) -> StoreResult<Lsn>;

    /// The catalog at the cursor.
    ///
    /// # Errors
    /// As `find_code`.
    fn catalog(&self) -> StoreResult<Arc<Catalog>>;

    /// The ticket that has this code: one of a cold event first, of several the newest. Two index look-ups.
    ///
    /// # Errors
    /// The database is away, or the row cannot be read back.
    fn find_code(&self, kind: CodeKind, code: &[u8]) -> StoreResult<Option<(TicketId, Ticket)>>;

    /// The ticket of a number, hot or cold. One row read.
    ///
    /// # Errors
    /// As `find_code`.
    fn ticket(&self, id: TicketId) -> StoreResult<Option<(TicketId, Ticket)>>;

    /// Gives every code of every cold ticket to `each`; how many there are. To fill the filter in front of the store.
    ///
    /// # Errors
    /// As `find_code`; some codes may have been given before.
    fn cold_codes(&self, each: &mut dyn FnMut(CodeKind, &[u8])) -> StoreResult<u64>;

    /// Tickets of an event by number, those after `after`, at most `limit`: for warming and export.
    ///
    /// # Errors
    /// As `find_code`.
    fn tickets_of(
        &self,
        event: EventId,
        after: Option<TicketId>,
        limit: usize,
    ) -> StoreResult<Vec<(TicketId, Ticket)>>;

    /// Tickets that fit, those after `after`, at most `limit`. Looks at some thousand tickets at the most, then says
    /// where to go on: a page of some milliseconds, whatever the filter.
    ///
    /// # Errors
    /// As `find_code`.
    fn tickets(
        &self,
        filter: &TicketFilter,
        after: Option<TicketId>,
        limit: usize,
    ) -> StoreResult<TicketPage>;

    /// Tickets found by the beginnings of words: every word of `text` begins a word of the holder, the reference or
    /// the order. A text that begins a code finds its ticket too; a card's number is written in hexadecimal.
    /// Tickets of an event, or all, in the order of their numbers, those after `after`, at most `limit`. Where
    /// thousands of words begin so, a page may have fewer, and be followed by others.
    ///
    /// # Errors
    /// As `find_code`.
    fn search_tickets(
        &self,
        text: &str,
        event: Option<EventId>,
        after: Option<TicketId>,
        limit: usize,
    ) -> StoreResult<TicketPage>;

    /// The access log: scans that fit, those after `after` in the filter's order, at most `limit`. With a code,
    /// ticket, device, gate or reason an index is used; with times alone all scans between them are sorted; with a
    /// type, a kind or admitted alone the log is read until so many were found.
    ///
    /// # Errors
    /// The database is away, or a row cannot be read back.
    fn scans(&self, filter: &ScanFilter, after: Option<Lsn>, limit: usize) -> StoreResult<Vec<ScanRow>>;

    /// Head counts and tallies at the cursor. The engine has newer ones.
    ///
    /// # Errors
    /// The database is away.
    fn counts(&self) -> StoreResult<Counts>;

    /// What went through in each minute of a period: of an event as a whole, by gate or by type. In the order of minutes
    /// and numbers; minutes without anything are left out. Reads one row for each minute that has something, and gate.
    ///
    /// # Errors
    /// The database is away; so for the next three.
    fn arrivals(&self, event: EventId, scope: FlowScope, period: Period) -> StoreResult<Vec<ArrivalRow>>;

    /// Active tickets of a type, without specimens. Counts entries of an index: some 40 ms for a million.
    ///
    /// # Errors
    /// As `arrivals`.
    fn active_tickets(&self, kind: TypeId) -> StoreResult<u64>;

    /// Refusals of an event by reason, gate and device, as many rows as there are such triples.
    ///
    /// # Errors
    /// As `arrivals`.
    fn denials(&self, event: EventId) -> StoreResult<Vec<DenialRow>>;

    /// Codes of an event that were presented again, at most `limit`, by an index.
    ///
    /// # Errors
    /// As `arrivals`.
    fn presented_again(
        &self,
        event: EventId,
        order: PresentedOrder,
        limit: usize,
    ) -> StoreResult<Vec<PresentedRow>>;

    /// Who changed what, newest first, those before `before`, at most `limit`. An index for each field of the filter.
    ///
    /// # Errors
    /// The database is away.
    fn audit(&self, filter: &AuditFilter, before: Option<Lsn>, limit: usize) -> StoreResult<Vec<AuditRow>>;

    /// The conflicts, oldest first, those after `after`, at most `limit`; with `resolved` those that somebody looked
    /// into, or nobody yet.
    ///
    /// # Errors
    /// As `find_code`.
    fn conflicts(
        &self,
        after: Option<Lsn>,
        resolved: Option<bool>,
        limit: usize,
    ) -> StoreResult<Vec<ConflictRow>>;

    /// What a device was told, newest first, commands before `before`, at most `limit`.
    ///
    /// # Errors
    /// As `find_code`.
    fn device_commands(
        &self,
        device: DeviceId,
        before: Option<Lsn>,
        limit: usize,
    ) -> StoreResult<Vec<CommandRow>>;
}
