//! Changes of the catalog, of tickets and of what waits for devices, by operators, lists and a box office: each one record.
//! Knows no scan.

use super::{Engine, EngineError, TicketError};
use crate::catalog::{DeviceId, Entity, OperatorId};
use crate::inbox::{self, InboxOutcome, InboxRow, Stored, Wish};
use crate::journal::Lsn;
use crate::limits::{NOTICES_PER_DEVICE_MAX, TICKETS_PER_RECORD_MAX};
use crate::record::{Command, Record};
use crate::registry::Act;
use crate::state::{DeviceMode, PendingCommand, State};
use crate::ticket::{CodeKind, Ticket, TicketId, TicketStatus};
use std::collections::HashSet;

/// A code with its kind.
pub(super) type Code<'a> = (CodeKind, &'a [u8]);

impl Engine {
    /// Puts an entity into the catalog, new by its name or replacing the one of that name.
    ///
    /// # Errors
    /// An entity that contradicts itself, `Unavailable`.
    pub fn put(&self, operator: Option<OperatorId>, entity: Entity) -> Result<Lsn, EngineError> {
        self.put_into(&mut self.state.lock(), operator, entity)
    }

    /// As `put`, but only while the entity of that name is exactly as expected; `None`: while there is none.
    ///
    /// # Errors
    /// As `put`; `Changed`.
    pub fn put_if(
        &self,
        operator: Option<OperatorId>,
        expected: Option<&Entity>,
        entity: Entity,
    ) -> Result<Lsn, EngineError> {
        let mut state = self.state.lock();
        expect(&state, expected, &entity)?;
        self.put_into(&mut state, operator, entity)
    }

    /// As `put_if`, with an act beside it: why it was done, and what changes in the registry with it.
    ///
    /// # Errors
    /// As `put_if` and `act`.
    pub fn put_with(
        &self,
        operator: Option<OperatorId>,
        expected: Option<&Entity>,
        entity: Entity,
        act: Act,
    ) -> Result<Lsn, EngineError> {
        act.check()?;
        let mut state = self.state.lock();
        expect(&state, expected, &entity)?;
        state.registry.check_room(&act.entries)?;
        state.catalog.check(&entity)?;
        // Should the journal fail between the two, a line of the audit is too many, and not a change without one.
        self.commit(&mut state, &Record::Act { at: self.clock.now(), operator, act })?;
        self.put_into(&mut state, operator, entity)
    }

    fn put_into(
        &self,
        state: &mut State,
        operator: Option<OperatorId>,
        entity: Entity,
    ) -> Result<Lsn, EngineError> {
        let entity = keep_what_is_not_theirs(state, entity);
        state.catalog.check(&entity)?;
        let record = Record::Put { at: self.clock.now(), operator, entity: Box::new(entity) };
        Ok(self.commit(state, &record)?)
    }

    /// Adds tickets, in records of a bounded size. A ticket with a code that is taken is left out and told; the
    /// others are added. With `dry_run` nothing is added.
    ///
    /// # Errors
    /// `Unavailable`: some of the tickets may have been added.
    pub fn add_tickets(
        &self,
        tickets: Vec<Ticket>,
        dry_run: bool,
    ) -> Result<(Lsn, Vec<Result<(), TicketError>>), EngineError> {
        let mut outcomes = Vec::with_capacity(tickets.len());
        let mut last = Lsn(0);
        let mut tickets = tickets.into_iter().peekable();
        while tickets.peek().is_some() {
            let batch: Vec<Ticket> = tickets.by_ref().take(TICKETS_PER_RECORD_MAX).collect();
            last = self.add_batch(batch, dry_run, &mut outcomes)?.max(last);
        }
        Ok((last, outcomes))
    }

    fn add_batch(
        &self,
        batch: Vec<Ticket>,
        dry_run: bool,
        outcomes: &mut Vec<Result<(), TicketError>>,
    ) -> Result<Lsn, EngineError> {
        let mut state = self.state.lock();
        let mut fresh: Vec<Ticket> = Vec::with_capacity(batch.len());
        let mut codes = HashSet::new();
        for ticket in batch {
            let outcome = self.addable(&state, &ticket, &mut codes, &|_, _| false);
            if outcome.is_ok() {
                fresh.push(ticket);
            }
            outcomes.push(outcome);
        }
        if fresh.is_empty() || dry_run {
            return Ok(Lsn(state.lsn));
        }
        let mut far = false;
        for ticket in fresh.iter().filter(|ticket| state.is_cold(ticket.type_id)) {
            self.cold.insert(ticket);
            far = true;
        }
        let first = state.tickets.next_id();
        let lsn =
            self.commit(&mut state, &Record::Tickets { at: self.clock.now(), first, tickets: fresh })?;
        self.note_cold(lsn, far);
        Ok(lsn)
    }

    /// Can this ticket be there? `codes` are those of others that come with it, `gives_way` says whether a
    /// ticket in memory leaves it one of its codes.
    pub(super) fn addable(
        &self,
        state: &State,
        ticket: &Ticket,
        codes: &mut HashSet<(CodeKind, Vec<u8>)>,
        gives_way: &dyn Fn(TicketId, Code<'_>) -> bool,
    ) -> Result<(), TicketError> {
        if state.catalog.ticket_type(ticket.type_id).is_none() {
            return Err(TicketError::UnknownType);
        }
        if ticket.details.codes().next().is_none() {
            return Err(TicketError::NoCode);
        }
        for (kind, code) in ticket.details.codes() {
            let owner = state.tickets.find(kind, code).filter(|(id, _)| !gives_way(*id, (kind, code)));
            if owner.is_some() || codes.contains(&(kind, code.to_vec())) {
                return Err(TicketError::CodeTaken(String::from_utf8_lossy(code).into_owned()));
            }
        }
        codes.extend(ticket.details.codes().map(|(kind, code)| (kind, code.to_vec())));
        Ok(())
    }

    /// Changes a ticket's status.
    ///
    /// # Errors
    /// No such ticket in memory, `Unavailable`.
    pub fn set_status(
        &self,
        operator: Option<OperatorId>,
        ticket: TicketId,
        status: TicketStatus,
    ) -> Result<Lsn, EngineError> {
        let mut state = self.state.lock();
        state.tickets.get(ticket).ok_or(EngineError::TicketNotFound)?;
        let record = Record::Status { at: self.clock.now(), operator, ticket, status };
        Ok(self.commit(&mut state, &record)?)
    }

    /// Takes a row of the inbox in: judges what it wishes, and writes what came of it into the journal. Whoever takes rows
    /// in gives no row twice: the store is to tell them which are done.
    ///
    /// # Errors
    /// `MaybeCold`: look the ticket up, then ask again. `StoreBehind`: a person amended such a ticket since; look it up
    /// again. `Unavailable`.
    pub fn take_in(
        &self,
        row: InboxRow,
        wish: &Wish,
        stored: Stored<'_>,
    ) -> Result<(Lsn, InboxOutcome), EngineError> {
        let mut state = self.state.lock();
        let mut codes = wish.codes().into_iter();
        let found = match stored {
            Stored::Asked(_, as_of) if as_of < self.cold_amended() => return Err(EngineError::StoreBehind),
            Stored::Asked(found, _) => found,
            Stored::NotAsked => {
                let unseen =
                    |(kind, code)| state.tickets.find(kind, code).is_none() && self.cold.maybe(kind, code);
                if codes.any(unseen) {
                    return Err(EngineError::MaybeCold);
                }
                None
            }
        };
        let now = self.clock.now();
        let outcome = inbox::judge(&state, wish, found, now);
        let far = match &outcome {
            InboxOutcome::Added { ticket, .. } if state.is_cold(ticket.type_id) => {
                self.cold.insert(ticket);
                true
            }
            InboxOutcome::Changed { id, .. } => state.tickets.get(*id).is_none(),
            _ => false,
        };
        let record = Record::Inbox { at: now, row, outcome: Box::new(outcome) };
        let lsn = self.commit(&mut state, &record)?;
        self.note_cold(lsn, far);
        let Record::Inbox { outcome, .. } = record else { unreachable!("it was made one above") };
        Ok((lsn, *outcome))
    }

    /// Notes what came of a row without a ticket having to be looked at.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn note_row(&self, row: InboxRow, outcome: InboxOutcome) -> Result<Lsn, EngineError> {
        assert!(!matches!(outcome, InboxOutcome::Added { .. } | InboxOutcome::Changed { .. }));
        let record = Record::Inbox { at: self.clock.now(), row, outcome: Box::new(outcome) };
        Ok(self.commit(&mut self.state.lock(), &record)?)
    }

    /// Leaves a command for a device. A lock, release, emergency open or reload is never refused because others wait.
    ///
    /// # Errors
    /// `CommandsWait` for a message or an unlock, `Unavailable`.
    pub fn command(
        &self,
        operator: Option<OperatorId>,
        device: DeviceId,
        command: Command,
        lives_ms: i64,
    ) -> Result<Lsn, EngineError> {
        let at = self.clock.now();
        let mut state = self.state.lock();
        let is_notice = |command: &Command| matches!(command, Command::Message(_) | Command::Unlock);
        let waiting = state.devices.get(device.index()).into_iter().flat_map(|own| own.waiting(at));
        let notices = waiting.filter(|pending| is_notice(&pending.command)).count();
        if is_notice(&command) && notices >= NOTICES_PER_DEVICE_MAX {
            return Err(EngineError::CommandsWait);
        }
        let record = Record::Command { at, operator, device, command, expires_at: at.plus_ms(lives_ms) };
        Ok(self.commit(&mut state, &record)?)
    }

    /// Hands over what waits for a device: each command once, none that expired or that a later one supersedes.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn take_commands(
        &self,
        device: DeviceId,
    ) -> Result<(Lsn, DeviceMode, Vec<PendingCommand>), EngineError> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let Some(own) = state.devices.get(device.index()) else {
            return Ok((Lsn(0), DeviceMode::Normal, Vec::new()));
        };
        let mode = own.mode;
        let Some(through) = own.commands.back().map(|pending| pending.lsn) else {
            return Ok((Lsn(state.lsn), mode, Vec::new()));
        };
        let fresh = own.waiting(now).cloned().collect();
        let lsn = self.commit(&mut state, &Record::Delivered { at: now, device, through })?;
        Ok((lsn, mode, fresh))
    }

    /// How a device stands and how many commands wait for it.
    pub fn device_state(&self, device: DeviceId) -> (DeviceMode, usize) {
        let now = self.clock.now();
        let state = self.state.lock();
        state
            .devices
            .get(device.index())
            .map_or((DeviceMode::Normal, 0), |own| (own.mode, own.waiting(now).count()))
    }

    /// Marks a conflict as looked into.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn resolve_conflict(&self, operator: Option<OperatorId>, conflict: u64) -> Result<Lsn, EngineError> {
        let record = Record::ConflictResolved { at: self.clock.now(), operator, conflict };
        Ok(self.commit(&mut self.state.lock(), &record)?)
    }
}

/// Is the entity that is to be put as whoever puts it has seen it?
fn expect(state: &State, expected: Option<&Entity>, entity: &Entity) -> Result<(), EngineError> {
    let expected = expected.map(|own| keep_what_is_not_theirs(state, own.clone()));
    if state.catalog.like(entity) == expected { Ok(()) } else { Err(EngineError::Changed) }
}

/// Whether an event is cold is the engine's own affair: whoever puts an event cannot change it.
fn keep_what_is_not_theirs(state: &State, entity: Entity) -> Entity {
    match entity {
        Entity::Event(mut event) => {
            let known = state.catalog.event_named(&event.name).and_then(|id| state.catalog.event(id));
            event.cold = known.is_some_and(|known| known.cold);
            Entity::Event(event)
        }
        other => other,
    }
}
