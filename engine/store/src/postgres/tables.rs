//! The rows of one batch into PostgreSQL: gathered, and written many at once, as each statement costs a journey to the
//! server and back. Knows which module writes which row, and in which order.

use super::connect::Link;
use super::copy::Copy;
use super::inbox::Outcomes;
use super::kept_rows::{self, Keeping};
use super::registry_rows::Entries;
use super::ticket_rows::{self, Puts, Uses};
use super::values::{Json, Moment, Text};
use super::{catalog_rows, count_rows, figure_rows, scan_rows, shred_rows};
use crate::error::{StoreResult, WhileDoing};
use crate::figures::Figures;
use crate::kept::KeptRow;
use crate::shadow::Shadow;
use crate::shred::Lines;
use crate::tables::{Audit, Conflict, Place, Position, Tables};
use crate::words::Word;
use deadpool_postgres::ClientWrapper;
use engine::Lsn;
use engine::catalog::{Catalog, DeviceId, Entity, EventId, GateId, OperatorId};
use engine::clock::Time;
use engine::counts::Counts;
use engine::inbox::{InboxOutcome, InboxRow};
use engine::record::{PassageRecord, Record, ScanRecord};
use engine::scans::KeptScan;
use engine::state::DeviceState;
use engine::ticket::{Ticket, TicketId, TicketStatus, TicketUse};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio_postgres::types::{ToSql, Type};

const RESOLVE: &str =
    "UPDATE conflicts SET resolved_at = $2, resolved_by = $3 WHERE lsn = $1 AND resolved_at IS NULL";
const DELIVERED: &str =
    "UPDATE device_commands SET delivered_at = $1 WHERE device = $2 AND lsn <= $3 AND delivered_at IS NULL";
const MOVE_CURSOR: &str = "UPDATE meta SET cursor = $1, salt = $2, catalog_version = $3, next_ticket = $4, \
     kept_from = $5, kept = $6, forgotten_early = $7, repeats = $8, tests = $9 WHERE cursor = $10";

/// A batch being written.
pub(super) struct PostgresTables<'s> {
    link: &'s Link,
    session: &'s ClientWrapper,
    scans: Copy,
    passages: Copy,
    repeats: Copy,
    turns: Copy,
    conflicts: Copy,
    commands: Copy,
    audit: Copy,
    audit_subjects: Copy,
    kept: Keeping,
    /// Tickets to be written, and which.
    puts: Puts,
    put: BTreeSet<TicketId>,
    statuses: HashMap<TicketId, (Lsn, TicketStatus, Time)>,
    /// Written after the two above.
    changes: BTreeMap<TicketId, (Lsn, Ticket)>,
    /// What cold tickets have done, for they are not among the touched.
    cold_uses: BTreeMap<TicketId, (Lsn, TicketUse)>,
    outcomes: Outcomes,
    registry: Entries,
    /// Where the tickets stand whose status a record changes.
    known_statuses: HashMap<TicketId, TicketStatus>,
    /// What was read of tickets, and changed since. `None`: the ticket is cold, or there is no such ticket.
    touched: HashMap<TicketId, Option<Touched>>,
    /// Changes of rows that were written before, or wait here to be.
    resolved: Vec<(u64, Time, Option<OperatorId>)>,
    delivered: Vec<(Time, DeviceId, u64)>,
}

struct Touched {
    usage: TicketUse,
    /// The record that made it so; `None`: it is as its row says.
    by: Option<Lsn>,
}

// === impl PostgresTables ===

impl<'s> PostgresTables<'s> {
    /// Ready to write these records: what their tickets have done is read at once, not one by one. Without records:
    /// ready to write a state.
    pub(super) fn new(
        link: &'s Link,
        session: &'s ClientWrapper,
        shadow: &Shadow,
        records: &[(Lsn, Record<'_>)],
    ) -> StoreResult<PostgresTables<'s>> {
        let ids = tickets_of(shadow, records);
        let changing = tickets_that_change(records);
        let known_statuses = match changing.is_empty() {
            true => HashMap::new(),
            false => link.wait("read where tickets stand", ticket_rows::statuses(session, &changing))?,
        };
        let mut touched = HashMap::new();
        if !ids.is_empty() {
            let mut hot = link.wait("read what tickets have done", ticket_rows::hot_uses(session, &ids))?;
            let read = |id| (id, hot.remove(&id).map(|usage| Touched { usage, by: None }));
            touched = ids.into_iter().map(read).collect();
        }
        Ok(PostgresTables {
            link,
            session,
            scans: scan_rows::copy(),
            passages: Copy::new(
                "passages (lsn, at, device, scan, outcome)",
                &[Type::INT8, Type::TIMESTAMPTZ, Type::INT8, Type::INT8, Type::TEXT],
                "write passages",
            ),
            repeats: Copy::new(
                "repeats (lsn, at, device, scan)",
                &[Type::INT8, Type::TIMESTAMPTZ, Type::INT8, Type::INT8],
                "write repeats",
            ),
            turns: Copy::new(
                "turns (lsn, at, gate, event, device, people)",
                &[Type::INT8, Type::TIMESTAMPTZ, Type::INT4, Type::INT8, Type::INT8, Type::INT4],
                "write turns",
            ),
            conflicts: Copy::new(
                "conflicts (lsn, reason, ticket, resolved_at)",
                &[Type::INT8, Type::TEXT, Type::INT8, Type::TIMESTAMPTZ],
                "write conflicts",
            ),
            commands: Copy::new(
                "device_commands (lsn, at, operator, device, command, expires_at)",
                &[Type::INT8, Type::TIMESTAMPTZ, Type::INT8, Type::INT8, Type::JSON, Type::TIMESTAMPTZ],
                "write commands",
            ),
            audit: Copy::new(
                "audit (lsn, at, operator, action, subject, details)",
                &[Type::INT8, Type::TIMESTAMPTZ, Type::INT8, Type::TEXT, Type::TEXT, Type::JSON],
                "write the audit",
            ),
            audit_subjects: Copy::new(
                "audit_subjects (subject, lsn)",
                &[Type::TEXT, Type::INT8],
                "write whom the audit is about",
            ),
            kept: Keeping::new(),
            puts: Puts::default(),
            put: BTreeSet::new(),
            statuses: HashMap::new(),
            changes: BTreeMap::new(),
            cold_uses: BTreeMap::new(),
            outcomes: Outcomes::default(),
            registry: Entries::default(),
            known_statuses,
            touched,
            resolved: Vec::new(),
            delivered: Vec::new(),
        })
    }

    /// Writes tickets and what they have done, so that a statement sees it.
    fn flush_tickets(&mut self) -> StoreResult<()> {
        let mut uses = Uses::default();
        let mut moved: Vec<(TicketId, &mut Touched)> = self
            .touched
            .iter_mut()
            .filter_map(|(id, own)| Some((*id, own.as_mut().filter(|own| own.by.is_some())?)))
            .collect();
        // In the order of their numbers: neighbours are on one page.
        moved.sort_unstable_by_key(|(id, _)| *id);
        for (id, own) in moved {
            if let Some(lsn) = own.by.take() {
                uses.add(lsn, id, own.usage, false);
            }
        }
        for (id, (lsn, usage)) in std::mem::take(&mut self.cold_uses) {
            uses.add(lsn, id, usage, true);
        }
        let (puts, statuses, changes) = (&mut self.puts, &self.statuses, &self.changes);
        let session = self.session;
        self.link.wait("write tickets", async {
            if !puts.is_empty() {
                puts.flush(session).await?;
            }
            uses.set(session).await?;
            ticket_rows::set_statuses(session, statuses).await?;
            ticket_rows::change(session, changes).await
        })?;
        self.put.clear();
        self.statuses.clear();
        self.changes.clear();
        Ok(())
    }

    /// Writes what only adds rows, then what changes some of them.
    async fn flush_history(&mut self) -> StoreResult<()> {
        let session = self.session;
        self.kept.flush(session).await?;
        let adding = [
            &mut self.scans,
            &mut self.passages,
            &mut self.repeats,
            &mut self.turns,
            &mut self.conflicts,
            &mut self.commands,
            &mut self.audit,
            &mut self.audit_subjects,
        ];
        for copy in adding {
            copy.flush(session).await?;
        }
        self.outcomes.flush(session).await?;
        self.registry.flush(session).await?;
        for (scan, at, by) in self.resolved.drain(..) {
            let by = by.map(|operator| i64::from(operator.0));
            change(session, "resolve a conflict", RESOLVE, &[&(scan as i64), &Moment(at), &by]).await?;
        }
        for (at, device, through) in self.delivered.drain(..) {
            let row: [&(dyn ToSql + Sync); 3] = [&Moment(at), &i64::from(device.0), &(through as i64)];
            change(session, "note delivered commands", DELIVERED, &row).await?;
        }
        Ok(())
    }
}

async fn change(
    session: &ClientWrapper,
    action: &'static str,
    sql: &'static str,
    values: &[&(dyn ToSql + Sync)],
) -> StoreResult<u64> {
    let statement = session.prepare_cached(sql).await.while_doing(action)?;
    session.execute(&statement, values).await.while_doing(action)
}

/// The tickets whose use records will ask for.
fn tickets_of(shadow: &Shadow, records: &[(Lsn, Record<'_>)]) -> BTreeSet<TicketId> {
    let mut ids = BTreeSet::new();
    for (_, record) in records {
        match record {
            Record::Scan(scan) if scan.after.is_some() => {
                ids.extend(scan.answer.ticket.as_ref().map(|facts| facts.ticket));
            }
            Record::Passage(passage) if passage.after.is_some() => {
                let answer = shadow.recent(passage.scan);
                ids.extend(answer.and_then(|answer| answer.ticket.as_ref()).map(|facts| facts.ticket));
            }
            Record::Warmed { tickets, .. } | Record::Amended { tickets, .. } => {
                ids.extend(tickets.iter().map(|(id, _)| *id))
            }
            _ => {}
        }
    }
    ids
}

/// The tickets whose status records will ask for.
fn tickets_that_change(records: &[(Lsn, Record<'_>)]) -> Vec<i64> {
    let changing = |(_, record): &(Lsn, Record<'_>)| match record {
        Record::Status { ticket, .. } => Some(i64::from(ticket.0)),
        _ => None,
    };
    records.iter().filter_map(changing).collect()
}

impl Tables for PostgresTables<'_> {
    fn hot_use(&mut self, id: TicketId) -> StoreResult<Option<TicketUse>> {
        if let Some(known) = self.touched.get(&id) {
            return Ok(known.as_ref().map(|touched| touched.usage));
        }
        let only = BTreeSet::from([id]);
        let read = ticket_rows::hot_uses(self.session, &only);
        let usage = self.link.wait("read what a ticket has done", read)?.remove(&id);
        self.touched.insert(id, usage.map(|usage| Touched { usage, by: None }));
        Ok(usage)
    }

    fn set_use(&mut self, lsn: Lsn, id: TicketId, usage: TicketUse) {
        self.touched.insert(id, Some(Touched { usage, by: Some(lsn) }));
    }

    fn put_ticket(&mut self, lsn: Lsn, id: TicketId, ticket: &Ticket, place: Place) -> StoreResult<()> {
        if self.put.contains(&id) || self.changes.contains_key(&id) {
            self.flush_tickets()?;
        }
        self.put.insert(id);
        self.puts.add(lsn, id, ticket, place);
        self.known_statuses.insert(id, ticket.status);
        let hot = (!place.cold).then_some(Touched { usage: ticket.usage, by: None });
        self.touched.insert(id, hot);
        Ok(())
    }

    fn set_status(
        &mut self,
        lsn: Lsn,
        id: TicketId,
        status: TicketStatus,
        at: Time,
    ) -> StoreResult<Option<TicketStatus>> {
        if self.changes.contains_key(&id) {
            self.flush_tickets()?;
        }
        self.statuses.insert(id, (lsn, status, at));
        Ok(self.known_statuses.insert(id, status))
    }

    fn set_cold_use(&mut self, lsn: Lsn, id: TicketId, usage: TicketUse) -> StoreResult<()> {
        self.cold_uses.insert(id, (lsn, usage));
        Ok(())
    }

    fn change_ticket(&mut self, lsn: Lsn, id: TicketId, ticket: &Ticket) -> StoreResult<()> {
        // It says what its status is: one that waits to be written is older.
        self.statuses.remove(&id);
        self.changes.insert(id, (lsn, ticket.clone()));
        self.known_statuses.insert(id, ticket.status);
        Ok(())
    }

    fn tickets_of(
        &mut self,
        event: EventId,
        first: TicketId,
        count: u32,
    ) -> StoreResult<Vec<(TicketId, Ticket)>> {
        self.flush()?;
        let read = shred_rows::tickets(self.session, event, first, count);
        self.link.wait("read the tickets of an event", read)
    }

    fn kept_rows(&mut self, from: u64, until: u64) -> StoreResult<Vec<(u64, KeptRow)>> {
        self.flush()?;
        self.link.wait("read kept answers", shred_rows::kept_rows(self.session, from, until))
    }

    fn put_kept_row(&mut self, first: u64, row: &KeptRow) -> StoreResult<()> {
        let put = shred_rows::put_kept_row(self.session, first, row);
        self.link.wait("write kept answers anew", put)
    }

    fn audit_lines(&mut self, lines: Lines<'_>) -> StoreResult<Vec<(Lsn, String)>> {
        self.flush()?;
        self.link.wait("look up the audit", shred_rows::audit_lines(self.session, lines))
    }

    fn set_audit_details(&mut self, line: Lsn, details: &str) -> StoreResult<()> {
        let set = shred_rows::set_audit_details(self.session, line, details);
        self.link.wait("write a line of the audit anew", set)
    }

    fn forget_notes(&mut self, event: EventId) -> StoreResult<()> {
        self.flush()?;
        self.link.wait("forget notes", shred_rows::forget_notes(self.session, event))
    }

    fn inbox(&mut self, lsn: Lsn, at: Time, row: InboxRow, outcome: &InboxOutcome) -> StoreResult<()> {
        self.outcomes.add(lsn, at, row, outcome);
        Ok(())
    }

    fn cool(&mut self, lsn: Lsn, event: EventId, first: TicketId, count: u32) -> StoreResult<Vec<TicketUse>> {
        self.flush_tickets()?;
        self.touched.clear();
        self.link.wait("mark tickets as cold", ticket_rows::cool(self.session, lsn, event, first, count))
    }

    fn scan(&mut self, lsn: Lsn, scan: &ScanRecord<'_>, event: Option<EventId>) -> StoreResult<()> {
        scan_rows::add(&mut self.scans, lsn, scan, event)
    }

    fn keep(&mut self, kept: &KeptScan) -> StoreResult<()> {
        self.kept.keep(kept)
    }

    fn oldest_kept(&mut self, from: u64, limit: usize) -> StoreResult<Vec<(u64, Time)>> {
        let written = kept_rows::oldest(self.session, from, limit);
        let mut found = self.link.wait("look up the oldest kept answers", written)?;
        let room = limit.saturating_sub(found.len());
        found.extend(self.kept.times(from).take(room));
        Ok(found)
    }

    fn kept(&mut self, lsn: u64) -> StoreResult<Option<KeptScan>> {
        match self.kept.find(lsn) {
            Some(found) => found.map(Some),
            None => self.link.wait("read a kept answer", kept_rows::kept(self.session, lsn)),
        }
    }

    fn forget(&mut self, from: u64) -> StoreResult<()> {
        self.link.wait("forget old answers", kept_rows::forget(self.session, from))
    }

    fn repeat(&mut self, lsn: Lsn, at: Time, device: DeviceId, of: u64) -> StoreResult<()> {
        self.repeats.row(&[&(lsn.0 as i64), &Moment(at), &i64::from(device.0), &(of as i64)])
    }

    fn passage(&mut self, lsn: Lsn, passage: &PassageRecord) -> StoreResult<()> {
        self.passages.row(&[
            &(lsn.0 as i64),
            &Moment(passage.at),
            &i64::from(passage.device.0),
            &(passage.scan as i64),
            &passage.outcome.word(),
        ])
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
        let event = event.map(|event| i64::from(event.0));
        let (gate, device) = (i32::from(gate.0), i64::from(device.0));
        self.turns.row(&[&(lsn.0 as i64), &Moment(at), &gate, &event, &device, &people])
    }

    fn conflict(&mut self, conflict: &Conflict) -> StoreResult<()> {
        let ticket = conflict.ticket.map(|ticket| i64::from(ticket.0));
        let (lsn, resolved_at) = (conflict.lsn.0 as i64, conflict.resolved_at.map(Moment));
        self.conflicts.row(&[&lsn, &conflict.reason.word(), &ticket, &resolved_at])
    }

    fn resolve_conflict(&mut self, scan: u64, at: Time, by: Option<OperatorId>) -> StoreResult<()> {
        self.resolved.push((scan, at, by));
        Ok(())
    }

    fn put_entity(&mut self, lsn: Lsn, catalog: &Catalog, entity: &Entity) -> StoreResult<()> {
        let put = catalog_rows::put(self.session, lsn, catalog, entity);
        self.link.wait("write a row of the catalog", put)
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
        let by = operator.map(|operator| i64::from(operator.0));
        let (device, said) = (i64::from(device.0), Json(said.into()));
        self.commands.row(&[&(lsn.0 as i64), &Moment(at), &by, &device, &said, &Moment(expires_at)])
    }

    fn delivered(&mut self, at: Time, device: DeviceId, through: u64) -> StoreResult<()> {
        self.delivered.push((at, device, through));
        Ok(())
    }

    fn registry(&mut self, lsn: Lsn, kind: &str, name: &str, value: Option<&str>) -> StoreResult<()> {
        self.registry.set(lsn, kind, name, value);
        Ok(())
    }

    fn audit(&mut self, line: &Audit<'_>) -> StoreResult<()> {
        let by = line.operator.map(|operator| i64::from(operator.0));
        let (action, subject) = (Text::of(line.action), Text::of(line.subject));
        let details = Json(line.details.into());
        self.audit.row(&[&(line.lsn.0 as i64), &Moment(line.at), &by, &action, &subject, &details])
    }

    fn audit_subject(&mut self, line: Lsn, subject: &str) -> StoreResult<()> {
        self.audit_subjects.row(&[&Text::of(subject), &(line.0 as i64)])
    }

    fn flush(&mut self) -> StoreResult<()> {
        self.flush_tickets()?;
        self.touched.clear();
        let link = self.link;
        link.wait("write a batch", self.flush_history())
    }

    fn figures(&mut self, figures: &Figures) -> StoreResult<()> {
        self.link.wait("add to the figures", figure_rows::add(self.session, figures))
    }

    fn counts(&mut self, before: &Counts, after: &Counts) -> StoreResult<()> {
        self.link.wait("write counts", count_rows::write(self.session, before, after))
    }

    fn device(&mut self, device: usize, state: &DeviceState) -> StoreResult<()> {
        let write = count_rows::write_device(self.session, device, state);
        self.link.wait("write the state of a device", write)
    }

    fn move_cursor(&mut self, before: Lsn, position: &Position<'_>) -> StoreResult<bool> {
        let Position { state, next_ticket, retention } = position;
        let numbers = [
            state.lsn,
            state.catalog.version,
            u64::from(next_ticket.0),
            retention.from,
            retention.kept,
            retention.forgotten_early,
            state.counts.repeats,
            state.counts.tests,
            before.0,
        ]
        .map(|number| number as i64);
        let [lsn, version, next, from, kept, early, repeats, tests, before] = &numbers;
        let salt = &state.salt[..];
        let values: [&(dyn ToSql + Sync); 10] =
            [lsn, &salt, version, next, from, kept, early, repeats, tests, before];
        let moved = change(self.session, "move the cursor", MOVE_CURSOR, &values);
        Ok(self.link.wait("move the cursor", moved)? == 1)
    }
}
