//! One batch of records into rows, in one transaction with the cursor. Every rule is the engine's (see `shadow`);
//! this file knows which rows a record touches.

use super::{catalog_rows, count_rows, kept_rows, scan_rows, ticket_rows};
use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::retention::{PAGE, Retention};
use crate::shadow::Shadow;
use crate::words::Word;
use catalog_rows::json;
use engine::Lsn;
use engine::catalog::{DeviceId, Entity, EventId, OperatorId};
use engine::clock::Time;
use engine::counts::Counts;
use engine::record::{Command, PassageRecord, Record, ScanRecord};
use engine::state::State;
use engine::ticket::{Ticket, TicketId, TicketUse};
use kept_rows::KeptWriter;
use rusqlite::{CachedStatement, Connection, Params, Transaction, TransactionBehavior, params};
use std::collections::BTreeSet;
use ticket_rows::{Place, Uses};

/// A batch being written. When anything fails, transaction and shadow are thrown away together.
struct Writer<'t> {
    transaction: &'t Transaction<'t>,
    shadow: &'t mut Shadow,
    // Prepared once for the batch: looking a statement up by its text costs as much as a small row.
    scans: CachedStatement<'t>,
    kept: KeptWriter<'t>,
    uses: Uses<'t>,
    cursor_before: Lsn,
    counts_before: Counts,
    kept_from_before: u64,
    /// Devices whose state changed.
    devices: BTreeSet<DeviceId>,
}

/// Applies the records after the cursor; none of them when this fails.
pub(super) fn apply(
    connection: &mut Connection,
    shadow: &mut Shadow,
    batch: &[(Lsn, Record<'_>)],
) -> StoreResult<()> {
    let cursor = Lsn(shadow.state.lsn);
    let fresh = &batch[batch.partition_point(|(lsn, _)| *lsn <= cursor)..];
    if fresh.is_empty() {
        return Ok(());
    }
    // Immediate: waits for the lock now, in place of failing at the first row.
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).while_doing("begin a batch")?;
    let mut writer = Writer::new(&transaction, shadow)?;
    for (lsn, record) in fresh {
        writer.record(*lsn, record)?;
    }
    writer.finish()?;
    transaction.commit().while_doing("commit a batch")
}

// === impl Writer ===

impl<'t> Writer<'t> {
    fn new(transaction: &'t Transaction<'t>, shadow: &'t mut Shadow) -> StoreResult<Writer<'t>> {
        Ok(Writer {
            transaction,
            scans: scan_rows::prepare(transaction)?,
            kept: KeptWriter::new(transaction)?,
            uses: Uses::new(transaction)?,
            cursor_before: Lsn(shadow.state.lsn),
            counts_before: shadow.state.counts.clone(),
            kept_from_before: shadow.retention.from,
            devices: BTreeSet::new(),
            shadow,
        })
    }

    fn record(&mut self, lsn: Lsn, record: &Record<'_>) -> StoreResult<()> {
        self.shadow.follows(lsn)?;
        match record {
            // What touches tickets or kept scans, which the shadow does not have.
            Record::Scan(scan) => self.scan(lsn, scan)?,
            Record::Passage(passage) => self.passage(lsn, passage)?,
            Record::Tickets { at, first, tickets } => self.tickets(lsn, *at, *first, tickets)?,
            Record::Status { at, operator, ticket, status } => {
                ticket_rows::set_status(self.transaction, lsn, *ticket, *status, *at)?;
                let subject = ticket.0.to_string();
                self.audit(lsn, *at, *operator, "ticket_status", &subject, &json(status))?;
            }
            Record::Cooled { event, first, count, .. } => self.cooled(lsn, *event, *first, *count)?,
            Record::Warmed { tickets, .. } => self.warmed(lsn, tickets)?,
            // What the engine applies to the shadow as it applies it to its own state.
            Record::Repeat { .. }
            | Record::Turns { .. }
            | Record::Put { .. }
            | Record::Command { .. }
            | Record::Delivered { .. }
            | Record::ConflictResolved { .. }
            | Record::Born { .. } => {
                self.shadow.state.apply(lsn.0, record);
                self.history(lsn, record)?;
            }
        }
        self.shadow.state.lsn = lsn.0;
        Ok(())
    }

    /// Rows of records that the shadow has taken already.
    fn history(&mut self, lsn: Lsn, record: &Record<'_>) -> StoreResult<()> {
        match record {
            Record::Repeat { at, device, of } => {
                let row = params![lsn.0 as i64, at.0, device.0, *of as i64];
                self.write("write a repeat", "INSERT INTO repeats VALUES (?1, ?2, ?3, ?4)", row)?;
                let count = "UPDATE scans SET repeats = repeats + 1 WHERE lsn = ?1";
                self.write("count a repeat", count, [*of as i64])
            }
            Record::Turns { at, gate, device, people } => {
                let event = self.shadow.state.catalog.gate(*gate).and_then(|gate| gate.event);
                let event = event.map(|event| event.0);
                let row = params![lsn.0 as i64, at.0, gate.0, event, device.0, people];
                self.write("write turns", "INSERT INTO turns VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row)
            }
            Record::Put { at, operator, entity } => self.put(lsn, *at, *operator, entity),
            Record::Command { at, operator, device, command, expires_at } => {
                self.devices.insert(*device);
                self.command(lsn, *at, *operator, *device, command, *expires_at)
            }
            Record::Delivered { at, device, through } => {
                self.devices.insert(*device);
                let sql = "UPDATE device_commands SET delivered_at = ?1 \
                           WHERE device = ?2 AND lsn <= ?3 AND delivered_at IS NULL";
                self.write("note delivered commands", sql, params![at.0, device.0, *through as i64])
            }
            Record::ConflictResolved { at, operator, conflict } => {
                let by = operator.map(|operator| operator.0);
                let sql = "UPDATE conflicts SET resolved_at = ?2, resolved_by = ?3 \
                           WHERE lsn = ?1 AND resolved_at IS NULL";
                self.write("resolve a conflict", sql, params![*conflict as i64, at.0, by])?;
                self.audit(lsn, *at, *operator, "resolve_conflict", &conflict.to_string(), "null")
            }
            _ => Ok(()),
        }
    }

    fn scan(&mut self, lsn: Lsn, scan: &ScanRecord<'_>) -> StoreResult<()> {
        let ticket = scan.answer.ticket.as_ref().map(|facts| facts.ticket);
        let moved = self.move_ticket(lsn, ticket, scan.after)?;
        let event = self.shadow.state.owner(&scan.answer).event;
        let kept = self.shadow.scanned(lsn, scan, moved);
        scan_rows::insert(&mut self.scans, lsn, scan, event)?;
        self.kept.keep(&kept)?;
        let (transaction, written) = (self.transaction, &self.kept);
        let retention = &mut self.shadow.retention;
        retention.kept(kept.recorded_at, &mut |from| written.page(transaction, from, PAGE))?;
        if let Some(reason) = scan.conflict {
            let row = params![lsn.0 as i64, reason.word(), ticket.map(|ticket| ticket.0)];
            let sql = "INSERT INTO conflicts (lsn, reason, ticket) VALUES (?1, ?2, ?3)";
            self.write("write a conflict", sql, row)?;
        }
        Ok(())
    }

    /// Writes what a hot ticket has done; gives what it had done before and has done now. `None` when there is nothing
    /// to write, or the ticket is not in memory: then the engine changes nothing either.
    fn move_ticket(
        &mut self,
        lsn: Lsn,
        ticket: Option<TicketId>,
        after: Option<TicketUse>,
    ) -> StoreResult<Option<(TicketUse, TicketUse)>> {
        let Some((id, after)) = ticket.zip(after) else { return Ok(None) };
        let Some(before) = self.uses.hot(id)? else { return Ok(None) };
        self.uses.set(lsn, id, after);
        Ok(Some((before, after)))
    }

    fn passage(&mut self, lsn: Lsn, passage: &PassageRecord) -> StoreResult<()> {
        let scan = passage.scan as i64;
        let outcome = passage.outcome.word();
        let row = params![lsn.0 as i64, passage.at.0, passage.device.0, scan, outcome];
        self.write("write a passage", "INSERT INTO passages VALUES (?1, ?2, ?3, ?4, ?5)", row)?;
        let sql = "UPDATE scans SET outcome = ?2, outcome_at = ?3 WHERE lsn = ?1";
        self.write("note an outcome", sql, params![scan, outcome, passage.at.0])?;
        if passage.scan < self.shadow.retention.from {
            return Ok(());
        }
        let answer = match self.shadow.recent(passage.scan) {
            Some(answer) => Some(answer.clone()),
            None => kept_rows::kept(self.transaction, passage.scan)?.map(|kept| kept.answer),
        };
        let Some(answer) = answer else { return Ok(()) };
        let ticket = answer.ticket.as_ref().map(|facts| facts.ticket);
        let given_back = self.move_ticket(lsn, ticket, passage.after)?;
        self.shadow.state.passage_reported(&answer, passage.outcome, given_back);
        Ok(())
    }

    fn tickets(&mut self, lsn: Lsn, at: Time, first: TicketId, tickets: &[Ticket]) -> StoreResult<()> {
        self.shadow.number(lsn, first, tickets.len())?;
        for (id, ticket) in (first.0..).map(TicketId).zip(tickets) {
            let cold = self.shadow.state.is_cold(ticket.type_id);
            let place = Place { event: self.shadow.event_of(ticket.type_id), cold };
            ticket_rows::put(self.transaction, lsn, id, ticket, place)?;
        }
        self.uses.flush()?;
        self.audit(lsn, at, None, "add_tickets", &first.0.to_string(), &tickets.len().to_string())
    }

    fn cooled(&mut self, lsn: Lsn, event: EventId, first: TicketId, count: u32) -> StoreResult<()> {
        self.uses.flush()?;
        for usage in ticket_rows::cool(self.transaction, lsn, event, first, count)? {
            self.shadow.state.counts.presence(usage, -1);
        }
        self.set_cold(lsn, event, true)
    }

    fn warmed(&mut self, lsn: Lsn, tickets: &[(TicketId, Ticket)]) -> StoreResult<()> {
        for (id, ticket) in tickets {
            let event = self.shadow.event_of(ticket.type_id);
            if let Some(event) = event {
                self.set_cold(lsn, event, false)?;
            }
            // What is in memory already stays as it is: the same tickets may come twice.
            if self.uses.hot(*id)?.is_none() {
                self.shadow.state.counts.presence(ticket.usage, 1);
                ticket_rows::put(self.transaction, lsn, *id, ticket, Place { event, cold: false })?;
            }
        }
        // What it has read of them is no longer so.
        self.uses.flush()
    }

    fn set_cold(&mut self, lsn: Lsn, event: EventId, cold: bool) -> StoreResult<()> {
        let version = self.shadow.state.catalog.version;
        self.shadow.state.set_cold(event, cold);
        if self.shadow.state.catalog.version == version {
            return Ok(());
        }
        catalog_rows::put_event(self.transaction, lsn, &self.shadow.state.catalog, event)
    }

    fn put(&self, lsn: Lsn, at: Time, operator: Option<OperatorId>, entity: &Entity) -> StoreResult<()> {
        catalog_rows::put(self.transaction, lsn, &self.shadow.state.catalog, entity)?;
        let action = match entity {
            Entity::Event(_) => "put_event",
            Entity::Zone(_) => "put_zone",
            Entity::Gate(_) => "put_gate",
            Entity::Type(_) => "put_ticket_type",
            Entity::Device(_) => "put_device",
            Entity::Operator(_) => "put_operator",
        };
        let (_, name) = entity.kind_and_name();
        self.audit(lsn, at, operator, action, name, &catalog_rows::without_secrets(entity))
    }

    fn command(
        &self,
        lsn: Lsn,
        at: Time,
        operator: Option<OperatorId>,
        device: DeviceId,
        command: &Command,
        expires_at: Time,
    ) -> StoreResult<()> {
        let said = json(command);
        let by = operator.map(|operator| operator.0);
        let row = params![lsn.0 as i64, at.0, by, device.0, said, expires_at.0];
        let sql = "INSERT INTO device_commands (lsn, at, operator, device, command, expires_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.write("write a command", sql, row)?;
        let device = self.shadow.state.catalog.device(device).map_or("", |device| &device.name);
        self.audit(lsn, at, operator, "command", device, &said)
    }

    fn audit(
        &self,
        lsn: Lsn,
        at: Time,
        operator: Option<OperatorId>,
        action: &str,
        subject: &str,
        details: &str,
    ) -> StoreResult<()> {
        let by = operator.map(|operator| operator.0);
        let row = params![lsn.0 as i64, at.0, by, action, subject, details];
        self.write("write the audit", "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row)
    }

    fn write(&self, action: &'static str, sql: &str, row: impl Params) -> StoreResult<()> {
        self.transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(row))
            .map(drop)
            .while_doing(action)
    }

    /// What changed as a whole is written once for the batch, the cursor with it.
    fn finish(mut self) -> StoreResult<()> {
        self.uses.flush()?;
        self.kept.flush()?;
        let Shadow { state, next_ticket, retention, .. } = &*self.shadow;
        count_rows::write(self.transaction, &self.counts_before, &state.counts)?;
        for device in &self.devices {
            if let Some(state) = state.devices.get(device.index()) {
                count_rows::write_device(self.transaction, device.index(), state)?;
            }
        }
        if retention.from != self.kept_from_before {
            kept_rows::forget(self.transaction, retention.from)?;
        }
        move_cursor(self.transaction, state, *next_ticket, retention, self.cursor_before)
    }
}

/// Writes the cursor, and what of a state is in no other table.
pub(super) fn move_cursor(
    connection: &Connection,
    state: &State,
    next_ticket: TicketId,
    retention: &Retention,
    before: Lsn,
) -> StoreResult<()> {
    let moved = connection
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
    if moved == 1 { Ok(()) } else { Err(StoreError::NotAlone { expected: before }) }
}
