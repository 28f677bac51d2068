//! One batch of records into rows. Every rule is the engine's (see `shadow`); this file knows which rows a record
//! touches, and the databases behind [`Tables`] know how each is written.

use crate::error::{StoreError, StoreResult};
use crate::figures::Figures;
use crate::retention::PAGE;
use crate::shadow::Shadow;
use crate::shred;
use crate::tables::{Audit, Conflict, Place, Position, Tables};
use engine::Lsn;
use engine::catalog::{DeviceId, Entity, EventId, OperatorId};
use engine::clock::Time;
use engine::counts::Counts;
use engine::inbox::{InboxOutcome, InboxRow};
use engine::record::{PassageOutcome, PassageRecord, Record, ScanRecord};
use engine::registry::Act;
use engine::ticket::{Ticket, TicketId, TicketUse};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A batch being written. When anything fails, transaction and shadow are thrown away together.
struct Writer<'a, T> {
    tables: &'a mut T,
    shadow: &'a mut Shadow,
    cursor_before: Lsn,
    counts_before: Counts,
    kept_from_before: u64,
    /// Devices whose state changed.
    devices: BTreeSet<DeviceId>,
    figures: Figures,
}

/// The records after the shadow's: a batch may begin some too early, as after a failure.
pub(crate) fn fresh<'b, 'r>(shadow: &Shadow, batch: &'b [(Lsn, Record<'r>)]) -> &'b [(Lsn, Record<'r>)] {
    let cursor = Lsn(shadow.state.lsn);
    &batch[batch.partition_point(|(lsn, _)| *lsn <= cursor)..]
}

/// Writes the rows of records that are [`fresh`], and the cursor, within a transaction of the caller's; moves the shadow
/// on. When it fails, both are to be thrown away.
pub(crate) fn write(
    tables: &mut impl Tables,
    shadow: &mut Shadow,
    records: &[(Lsn, Record<'_>)],
) -> StoreResult<()> {
    let mut writer = Writer {
        tables,
        cursor_before: Lsn(shadow.state.lsn),
        counts_before: shadow.state.counts.clone(),
        kept_from_before: shadow.retention.from,
        devices: BTreeSet::new(),
        figures: Figures::default(),
        shadow,
    };
    for (lsn, record) in records {
        writer.record(*lsn, record)?;
    }
    writer.finish()
}

// === impl Writer ===

impl<T: Tables> Writer<'_, T> {
    fn record(&mut self, lsn: Lsn, record: &Record<'_>) -> StoreResult<()> {
        self.shadow.follows(lsn)?;
        match record {
            // What touches tickets or kept scans, which the shadow does not have.
            Record::Scan(scan) => self.scan(lsn, scan)?,
            Record::Passage(passage) => self.passage(lsn, passage)?,
            Record::Tickets { at, first, tickets } => self.tickets(lsn, *at, *first, tickets)?,
            Record::Status { at, operator, ticket, status } => {
                let before = self.tables.set_status(lsn, *ticket, *status, *at)?;
                let subject = ticket.0.to_string();
                let details = before_and_after(&json(&before), &json(status));
                self.audit(lsn, *at, *operator, "ticket_status", &subject, &details)?;
            }
            Record::Cooled { event, first, count, .. } => self.cooled(lsn, *event, *first, *count)?,
            Record::Warmed { tickets, .. } => self.warmed(lsn, tickets)?,
            Record::Inbox { at, row, outcome } => self.inbox(lsn, *at, *row, outcome)?,
            Record::Shredded { event, first, count, answers_from, answers_until, .. } => {
                if *count > 0 {
                    shred::tickets(self.tables, lsn, *event, *first, *count)?;
                }
                let catalog = std::sync::Arc::clone(&self.shadow.state.catalog);
                let concerns = |kind| catalog.ticket_type(kind).is_some_and(|kind| kind.event == *event);
                shred::answers(self.tables, *answers_from, *answers_until, &concerns)?;
                self.shadow.recent.clear();
            }
            Record::Act { at, operator, act } => self.act(lsn, *at, *operator, act)?,
            Record::Amended { at, operator, action, details, tickets } => {
                self.amended(lsn, tickets)?;
                let subjects = self.subjects(lsn, tickets)?;
                self.audit(lsn, *at, *operator, action, &subjects, &as_json(details))?;
            }
            Record::Put { at, operator, entity } => {
                let before = self.shadow.state.catalog.like(entity);
                self.shadow.state.apply(lsn.0, record);
                self.put(lsn, *at, *operator, before.as_ref(), entity)?;
            }
            // What the engine applies to the shadow as it applies it to its own state.
            Record::Repeat { .. }
            | Record::Turns { .. }
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
            Record::Repeat { at, device, of } => self.tables.repeat(lsn, *at, *device, *of),
            Record::Turns { at, gate, device, people } => {
                let event = self.shadow.state.catalog.gate(*gate).and_then(|gate| gate.event);
                self.tables.turns(lsn, *at, *gate, event, *device, *people)
            }
            Record::Command { at, operator, device, command, expires_at } => {
                self.devices.insert(*device);
                let said = json(command);
                self.tables.command(lsn, *at, *operator, *device, &said, *expires_at)?;
                let catalog = std::sync::Arc::clone(&self.shadow.state.catalog);
                let name = catalog.device(*device).map_or("", |device| &device.name);
                self.audit(lsn, *at, *operator, "command", name, &said)
            }
            Record::Delivered { at, device, through } => {
                self.devices.insert(*device);
                self.tables.delivered(*at, *device, *through)
            }
            Record::ConflictResolved { at, operator, conflict } => {
                self.tables.resolve_conflict(*conflict, *at, *operator)?;
                self.audit(lsn, *at, *operator, "resolve_conflict", &conflict.to_string(), "null")
            }
            _ => Ok(()),
        }
    }

    fn scan(&mut self, lsn: Lsn, scan: &ScanRecord<'_>) -> StoreResult<()> {
        let ticket = scan.answer.ticket.as_ref().map(|facts| facts.ticket);
        let moved = self.move_ticket(lsn, ticket, scan.after)?;
        let event = self.shadow.state.owner(&scan.answer).event;
        self.figures.scan(event, scan, moved);
        let kept = self.shadow.scanned(lsn, scan, moved);
        self.tables.scan(lsn, scan, event)?;
        self.tables.keep(&kept)?;
        let (tables, retention) = (&mut *self.tables, &mut self.shadow.retention);
        retention.kept(kept.recorded_at, &mut |from| tables.oldest_kept(from, PAGE))?;
        match scan.conflict {
            Some(reason) => self.tables.conflict(&Conflict { lsn, reason, ticket, resolved_at: None }),
            None => Ok(()),
        }
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
        let Some(before) = self.tables.hot_use(id)? else { return Ok(None) };
        self.tables.set_use(lsn, id, after);
        Ok(Some((before, after)))
    }

    fn passage(&mut self, lsn: Lsn, passage: &PassageRecord) -> StoreResult<()> {
        self.tables.passage(lsn, passage)?;
        if passage.scan < self.shadow.retention.from {
            return Ok(());
        }
        let answer = match self.shadow.recent(passage.scan) {
            Some(answer) => Some(answer.clone()),
            None => self.tables.kept(passage.scan)?.map(|kept| kept.answer),
        };
        let Some(answer) = answer else { return Ok(()) };
        let ticket = answer.ticket.as_ref().map(|facts| facts.ticket);
        let given_back = self.move_ticket(lsn, ticket, passage.after)?;
        if passage.outcome == PassageOutcome::Annulled && given_back.is_some() {
            self.figures.annulled(self.shadow.state.owner(&answer).event, &answer);
        }
        self.shadow.state.passage_reported(&answer, passage.outcome, given_back);
        Ok(())
    }

    fn tickets(&mut self, lsn: Lsn, at: Time, first: TicketId, tickets: &[Ticket]) -> StoreResult<()> {
        self.number(lsn, first, tickets)?;
        self.audit(lsn, at, None, "add_tickets", &first.0.to_string(), &tickets.len().to_string())
    }

    /// Tickets that are new, by the numbers they got.
    fn number(&mut self, lsn: Lsn, first: TicketId, tickets: &[Ticket]) -> StoreResult<()> {
        self.shadow.number(lsn, first, tickets.len())?;
        for (id, ticket) in (first.0..).map(TicketId).zip(tickets) {
            let cold = self.shadow.state.is_cold(ticket.type_id);
            let place = Place { event: self.shadow.event_of(ticket.type_id), cold };
            self.tables.put_ticket(lsn, id, ticket, place)?;
        }
        Ok(())
    }

    /// A line of the audit, and what the act left in the registry.
    fn act(&mut self, lsn: Lsn, at: Time, operator: Option<OperatorId>, act: &Act) -> StoreResult<()> {
        for entry in &act.entries {
            self.tables.registry(lsn, &entry.kind, &entry.name, entry.value.as_deref())?;
        }
        self.audit(lsn, at, operator, &act.action, &act.subject, &as_json(&act.details))
    }

    /// Tickets as a line's subject: each finds the line, also where it is about many.
    fn subjects(&mut self, lsn: Lsn, tickets: &[(TicketId, Ticket)]) -> StoreResult<String> {
        let numbers: Vec<String> = tickets.iter().map(|(id, _)| id.0.to_string()).collect();
        if let [_, _, ..] = numbers.as_slice() {
            let each: BTreeSet<&String> = numbers.iter().collect();
            each.into_iter().try_for_each(|number| self.tables.audit_subject(lsn, number))?;
        }
        Ok(numbers.join(","))
    }

    /// People inside follow the tickets, as in the engine.
    fn amended(&mut self, lsn: Lsn, tickets: &[(TicketId, Ticket)]) -> StoreResult<()> {
        for (id, ticket) in tickets {
            if *id >= self.shadow.next_ticket {
                self.number(lsn, *id, std::slice::from_ref(ticket))?;
                if !self.shadow.state.is_cold(ticket.type_id) {
                    self.shadow.state.counts.presence(ticket.usage, 1);
                }
                continue;
            }
            self.tables.change_ticket(lsn, *id, ticket)?;
            match self.tables.hot_use(*id)? {
                Some(before) => {
                    self.shadow.state.counts.presence(before, -1);
                    self.shadow.state.counts.presence(ticket.usage, 1);
                    self.tables.set_use(lsn, *id, ticket.usage);
                }
                None => self.tables.set_cold_use(lsn, *id, ticket.usage)?,
            }
        }
        Ok(())
    }

    /// What came of a row of the inbox, and the row is told in the same transaction: it is never taken in twice.
    fn inbox(&mut self, lsn: Lsn, at: Time, row: InboxRow, outcome: &InboxOutcome) -> StoreResult<()> {
        let (action, id) = match outcome {
            InboxOutcome::Added { id, ticket } => {
                self.number(lsn, *id, std::slice::from_ref(ticket))?;
                ("inbox_add", *id)
            }
            InboxOutcome::Changed { id, ticket } => {
                self.tables.change_ticket(lsn, *id, ticket)?;
                ("inbox_change", *id)
            }
            _ => return self.tables.inbox(lsn, at, row, outcome),
        };
        self.audit(lsn, at, None, action, &id.0.to_string(), &row.id.to_string())?;
        self.tables.inbox(lsn, at, row, outcome)
    }

    fn cooled(&mut self, lsn: Lsn, event: EventId, first: TicketId, count: u32) -> StoreResult<()> {
        for usage in self.tables.cool(lsn, event, first, count)? {
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
            if self.tables.hot_use(*id)?.is_none() {
                self.shadow.state.counts.presence(ticket.usage, 1);
                self.tables.put_ticket(lsn, *id, ticket, Place { event, cold: false })?;
            }
        }
        Ok(())
    }

    fn set_cold(&mut self, lsn: Lsn, event: EventId, cold: bool) -> StoreResult<()> {
        let version = self.shadow.state.catalog.version;
        self.shadow.state.set_cold(event, cold);
        if self.shadow.state.catalog.version == version {
            return Ok(());
        }
        let catalog = &self.shadow.state.catalog;
        match catalog.event(event) {
            Some(event) => self.tables.put_entity(lsn, catalog, &Entity::Event(event.clone())),
            None => Ok(()),
        }
    }

    fn put(
        &mut self,
        lsn: Lsn,
        at: Time,
        operator: Option<OperatorId>,
        before: Option<&Entity>,
        entity: &Entity,
    ) -> StoreResult<()> {
        self.tables.put_entity(lsn, &self.shadow.state.catalog, entity)?;
        let action = match entity {
            Entity::Event(_) => "put_event",
            Entity::Zone(_) => "put_zone",
            Entity::Gate(_) => "put_gate",
            Entity::Type(_) => "put_ticket_type",
            Entity::Device(_) => "put_device",
            Entity::Operator(_) => "put_operator",
        };
        let (_, name) = entity.kind_and_name();
        let before = before.map_or("null".to_owned(), without_secrets);
        self.audit(lsn, at, operator, action, name, &before_and_after(&before, &without_secrets(entity)))
    }

    fn audit(
        &mut self,
        lsn: Lsn,
        at: Time,
        operator: Option<OperatorId>,
        action: &str,
        subject: &str,
        details: &str,
    ) -> StoreResult<()> {
        self.tables.audit(&Audit { lsn, at, operator, action, subject, details })
    }

    /// What changed as a whole is written once for the batch, the cursor with it.
    fn finish(self) -> StoreResult<()> {
        self.tables.flush()?;
        self.tables.figures(&self.figures)?;
        let Shadow { state, next_ticket, retention, .. } = &*self.shadow;
        self.tables.counts(&self.counts_before, &state.counts)?;
        for device in &self.devices {
            if let Some(own) = state.devices.get(device.index()) {
                self.tables.device(device.index(), own)?;
            }
        }
        if retention.from != self.kept_from_before {
            self.tables.forget(retention.from)?;
        }
        let before = self.cursor_before;
        let position = Position { state, next_ticket: *next_ticket, retention };
        if self.tables.move_cursor(before, &position)? {
            Ok(())
        } else {
            Err(StoreError::NotAlone { expected: before })
        }
    }
}

/// What the audit says of an entity: everything but secrets, also no hash of one.
fn without_secrets(entity: &Entity) -> String {
    match entity {
        Entity::Event(event) => json(event),
        Entity::Zone(zone) => json(zone),
        Entity::Gate(gate) => json(gate),
        Entity::Type(kind) => json(kind),
        Entity::Device(device) => {
            let mut device = device.clone();
            device.key_hashes.clear();
            json(&device)
        }
        Entity::Operator(operator) => {
            let mut operator = operator.clone();
            operator.password_hash.clear();
            operator.token_hashes.clear();
            json(&operator)
        }
    }
}

/// What was and what is, each JSON already.
fn before_and_after(before: &str, after: &str) -> String {
    format!(r#"{{"before":{before},"after":{after}}}"#)
}

/// Details that somebody else wrote: what is no JSON is said as a text, for a column takes nothing else and one such
/// record would hold up every one behind it.
fn as_json(details: &str) -> Cow<'_, str> {
    let is_json = serde_json::from_str::<serde_json::Value>(details).is_ok();
    if is_json { Cow::Borrowed(details) } else { Cow::Owned(json(&details)) }
}

pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("catalog and commands have no type that JSON cannot say")
}
