//! The rows of one batch into SQLite, each when it comes: a statement costs a microsecond here, so that only what is
//! written over and over (what tickets have done) or many to a row (kept answers) is gathered. Knows which module
//! writes which row.

use super::kept_rows::{self, KeptWriter};
use super::ticket_rows::{self, Uses};
use super::{catalog_rows, count_rows, figure_rows, registry_rows, scan_rows};
use crate::error::{StoreResult, WhileDoing};
use crate::figures::Figures;
use crate::kept::KeptRow;
use crate::shred::Lines;
use crate::tables::{Audit, Conflict, Place, Position, Tables};
use crate::words::Word;
use engine::Lsn;
use engine::catalog::{Catalog, DeviceId, Entity, EventId, GateId, OperatorId};
use engine::clock::Time;
use engine::counts::Counts;
use engine::inbox::{InboxOutcome, InboxRow};
use engine::record::{PassageRecord, ScanRecord};
use engine::scans::KeptScan;
use engine::state::DeviceState;
use engine::ticket::{Ticket, TicketId, TicketStatus, TicketUse};
use rusqlite::{CachedStatement, Params, Transaction, params};

/// A batch being written.
pub(super) struct SqliteTables<'t> {
    transaction: &'t Transaction<'t>,
    // Prepared once for the batch: looking a statement up by its text costs as much as a small row.
    scans: CachedStatement<'t>,
    kept: KeptWriter<'t>,
    uses: Uses<'t>,
}

// === impl SqliteTables ===

impl<'t> SqliteTables<'t> {
    pub(super) fn new(transaction: &'t Transaction<'t>) -> StoreResult<SqliteTables<'t>> {
        Ok(SqliteTables {
            transaction,
            scans: scan_rows::prepare(transaction)?,
            kept: KeptWriter::new(transaction)?,
            uses: Uses::new(transaction)?,
        })
    }

    fn write(&self, action: &'static str, sql: &str, row: impl Params) -> StoreResult<()> {
        self.transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(row))
            .map(drop)
            .while_doing(action)
    }
}

impl Tables for SqliteTables<'_> {
    fn hot_use(&mut self, id: TicketId) -> StoreResult<Option<TicketUse>> {
        self.uses.hot(id)
    }

    fn set_use(&mut self, lsn: Lsn, id: TicketId, usage: TicketUse) {
        self.uses.set(lsn, id, usage);
    }

    fn put_ticket(&mut self, lsn: Lsn, id: TicketId, ticket: &Ticket, place: Place) -> StoreResult<()> {
        self.uses.forget(id);
        ticket_rows::put(self.transaction, lsn, id, ticket, place)
    }

    fn set_status(
        &mut self,
        lsn: Lsn,
        id: TicketId,
        status: TicketStatus,
        at: Time,
    ) -> StoreResult<Option<TicketStatus>> {
        ticket_rows::set_status(self.transaction, lsn, id, status, at)
    }

    fn set_cold_use(&mut self, lsn: Lsn, id: TicketId, usage: TicketUse) -> StoreResult<()> {
        self.uses.write(lsn, id, usage)
    }

    fn change_ticket(&mut self, lsn: Lsn, id: TicketId, ticket: &Ticket) -> StoreResult<()> {
        ticket_rows::change(self.transaction, lsn, id, ticket)
    }

    fn tickets_of(
        &mut self,
        event: EventId,
        first: TicketId,
        count: u32,
    ) -> StoreResult<Vec<(TicketId, Ticket)>> {
        self.uses.flush()?;
        ticket_rows::of_event(self.transaction, event, first, count)
    }

    fn kept_rows(&mut self, from: u64, until: u64) -> StoreResult<Vec<(u64, KeptRow)>> {
        self.kept.flush()?;
        kept_rows::between(self.transaction, from, until)
    }

    fn put_kept_row(&mut self, first: u64, row: &KeptRow) -> StoreResult<()> {
        let values = params![first as i64, row.entries(), row.answers];
        let sql = "UPDATE kept_answers SET entries = ?2, answers = ?3 WHERE first = ?1";
        self.write("write kept answers anew", sql, values)
    }

    fn audit_lines(&mut self, lines: Lines<'_>) -> StoreResult<Vec<(Lsn, String)>> {
        let (sql, values) = match lines {
            Lines::About(subjects) => (
                "SELECT lsn, details FROM audit WHERE lsn IN (SELECT lsn FROM audit WHERE subject = ?1 \
                 UNION ALL SELECT lsn FROM audit_subjects WHERE subject = ?1)",
                subjects,
            ),
            Lines::Of(action) => {
                ("SELECT lsn, details FROM audit WHERE action = ?1", &[action.to_owned()][..])
            }
        };
        let mut found = Vec::new();
        let mut statement = self.transaction.prepare_cached(sql).while_doing("look up the audit")?;
        for value in values {
            let line = |row: &rusqlite::Row<'_>| Ok((Lsn(row.get::<_, i64>(0)? as u64), row.get(1)?));
            let rows = statement.query_map([value], line).while_doing("look up the audit")?;
            found.extend(rows.collect::<Result<Vec<_>, _>>().while_doing("read the audit")?);
        }
        Ok(found)
    }

    fn set_audit_details(&mut self, line: Lsn, details: &str) -> StoreResult<()> {
        let sql = "UPDATE audit SET details = ?2 WHERE lsn = ?1";
        self.write("write a line of the audit anew", sql, params![line.0 as i64, details])
    }

    fn forget_notes(&mut self, event: EventId) -> StoreResult<()> {
        let sql = "UPDATE scans SET note = '' WHERE note IS NOT NULL AND note <> '' AND event = ?1";
        self.write("forget notes", sql, [event.0])
    }

    fn inbox(&mut self, _: Lsn, _: Time, _: InboxRow, _: &InboxOutcome) -> StoreResult<()> {
        // The embedded store has no inbox: nobody else writes into it.
        Ok(())
    }

    fn cool(&mut self, lsn: Lsn, event: EventId, first: TicketId, count: u32) -> StoreResult<Vec<TicketUse>> {
        self.uses.flush()?;
        ticket_rows::cool(self.transaction, lsn, event, first, count)
    }

    fn scan(&mut self, lsn: Lsn, scan: &ScanRecord<'_>, event: Option<EventId>) -> StoreResult<()> {
        scan_rows::insert(&mut self.scans, lsn, scan, event)
    }

    fn keep(&mut self, kept: &KeptScan) -> StoreResult<()> {
        self.kept.keep(kept)
    }

    fn oldest_kept(&mut self, from: u64, limit: usize) -> StoreResult<Vec<(u64, Time)>> {
        self.kept.page(self.transaction, from, limit)
    }

    fn kept(&mut self, lsn: u64) -> StoreResult<Option<KeptScan>> {
        kept_rows::kept(self.transaction, lsn)
    }

    fn forget(&mut self, from: u64) -> StoreResult<()> {
        kept_rows::forget(self.transaction, from)
    }

    fn repeat(&mut self, lsn: Lsn, at: Time, device: DeviceId, of: u64) -> StoreResult<()> {
        let row = params![lsn.0 as i64, at.0, device.0, of as i64];
        self.write("write a repeat", "INSERT INTO repeats VALUES (?1, ?2, ?3, ?4)", row)?;
        let count = "UPDATE scans SET repeats = repeats + 1 WHERE lsn = ?1";
        self.write("count a repeat", count, [of as i64])
    }

    fn passage(&mut self, lsn: Lsn, passage: &PassageRecord) -> StoreResult<()> {
        let (scan, outcome) = (passage.scan as i64, passage.outcome.word());
        let row = params![lsn.0 as i64, passage.at.0, passage.device.0, scan, outcome];
        self.write("write a passage", "INSERT INTO passages VALUES (?1, ?2, ?3, ?4, ?5)", row)?;
        let sql = "UPDATE scans SET outcome = ?2, outcome_at = ?3 WHERE lsn = ?1";
        self.write("note an outcome", sql, params![scan, outcome, passage.at.0])
    }

    fn turns(
        &mut self,
        lsn: Lsn,
        at: Time,
        gate: GateId,
        event: Option<EventId>,
        device: DeviceId,
        people: i32,
    ) -> StoreResult<()> {
        let row = params![lsn.0 as i64, at.0, gate.0, event.map(|event| event.0), device.0, people];
        self.write("write turns", "INSERT INTO turns VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row)
    }

    fn conflict(&mut self, conflict: &Conflict) -> StoreResult<()> {
        let ticket = conflict.ticket.map(|ticket| ticket.0);
        let resolved_at = conflict.resolved_at.map(|at| at.0);
        let row = params![conflict.lsn.0 as i64, conflict.reason.word(), ticket, resolved_at];
        let sql = "INSERT INTO conflicts (lsn, reason, ticket, resolved_at) VALUES (?1, ?2, ?3, ?4)";
        self.write("write a conflict", sql, row)
    }

    fn resolve_conflict(&mut self, scan: u64, at: Time, by: Option<OperatorId>) -> StoreResult<()> {
        let row = params![scan as i64, at.0, by.map(|operator| operator.0)];
        let sql =
            "UPDATE conflicts SET resolved_at = ?2, resolved_by = ?3 WHERE lsn = ?1 AND resolved_at IS NULL";
        self.write("resolve a conflict", sql, row)
    }

    fn put_entity(&mut self, lsn: Lsn, catalog: &Catalog, entity: &Entity) -> StoreResult<()> {
        catalog_rows::put(self.transaction, lsn, catalog, entity)
    }

    fn command(
        &mut self,
        lsn: Lsn,
        at: Time,
        operator: Option<OperatorId>,
        device: DeviceId,
        said: &str,
        expires_at: Time,
    ) -> StoreResult<()> {
        let by = operator.map(|operator| operator.0);
        let row = params![lsn.0 as i64, at.0, by, device.0, said, expires_at.0];
        let sql = "INSERT INTO device_commands (lsn, at, operator, device, command, expires_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.write("write a command", sql, row)
    }

    fn delivered(&mut self, at: Time, device: DeviceId, through: u64) -> StoreResult<()> {
        let sql = "UPDATE device_commands SET delivered_at = ?1 \
                   WHERE device = ?2 AND lsn <= ?3 AND delivered_at IS NULL";
        self.write("note delivered commands", sql, params![at.0, device.0, through as i64])
    }

    fn registry(&mut self, lsn: Lsn, kind: &str, name: &str, value: Option<&str>) -> StoreResult<()> {
        registry_rows::set(self.transaction, lsn, kind, name, value)
    }

    fn audit(&mut self, line: &Audit<'_>) -> StoreResult<()> {
        let by = line.operator.map(|operator| operator.0);
        let row = params![line.lsn.0 as i64, line.at.0, by, line.action, line.subject, line.details];
        self.write("write the audit", "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row)
    }

    fn audit_subject(&mut self, line: Lsn, subject: &str) -> StoreResult<()> {
        let sql = "INSERT INTO audit_subjects VALUES (?1, ?2)";
        self.write("write whom the audit is about", sql, params![subject, line.0 as i64])
    }

    fn flush(&mut self) -> StoreResult<()> {
        self.uses.flush()?;
        self.kept.flush()
    }

    fn figures(&mut self, figures: &Figures) -> StoreResult<()> {
        figure_rows::add(self.transaction, figures)
    }

    fn counts(&mut self, before: &Counts, after: &Counts) -> StoreResult<()> {
        count_rows::write(self.transaction, before, after)
    }

    fn device(&mut self, device: usize, state: &DeviceState) -> StoreResult<()> {
        count_rows::write_device(self.transaction, device, state)
    }

    fn move_cursor(&mut self, before: Lsn, position: &Position<'_>) -> StoreResult<bool> {
        let Position { state, next_ticket, retention } = position;
        let moved = self
            .transaction
            .prepare_cached(
                "UPDATE meta SET cursor = ?1, salt = ?2, catalog_version = ?3, next_ticket = ?4, kept_from = ?5, \
                 kept = ?6, forgotten_early = ?7, repeats = ?8, tests = ?9 WHERE cursor = ?10",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    state.lsn as i64,
                    state.salt,
                    state.catalog.version as i64,
                    next_ticket.0,
                    retention.from as i64,
                    retention.kept as i64,
                    retention.forgotten_early as i64,
                    state.counts.repeats as i64,
                    state.counts.tests as i64,
                    before.0 as i64,
                ])
            })
            .while_doing("move the cursor")?;
        Ok(moved == 1)
    }
}
