//! Tickets of events that are not near: how they leave the memory and come back, and how new they are in the store. Knows no
//! store.

use super::{Engine, EngineError};
use crate::catalog::{Entity, EventId};
use crate::cold::ColdFilter;
use crate::journal::Lsn;
use crate::limits::TICKETS_PER_RECORD_MAX;
use crate::record::Record;
use crate::ticket::{Ticket, TicketId, TicketTable};
use std::sync::atomic::Ordering;

impl Engine {
    /// Takes an event's tickets out of memory. To be called only when all of them are in the store (`projected`
    /// is past every record about them). Gates wait for one run of a few thousand at the most.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn cool(&self, event: EventId) -> Result<Lsn, EngineError> {
        let end = self.state.lock().tickets.next_id().0;
        let mut last = Lsn(0);
        for first in (0..end.max(1)).step_by(TicketTable::RUN as usize) {
            let mut state = self.state.lock();
            let run = (first..first + TicketTable::RUN).map(TicketId);
            let of_event: Vec<&Ticket> = run
                .filter_map(|id| state.tickets.get(id))
                .filter(|ticket| {
                    state.catalog.ticket_type(ticket.type_id).is_some_and(|kind| kind.event == event)
                })
                .collect();
            of_event.iter().for_each(|ticket| self.cold.insert(ticket));
            if of_event.is_empty() && first > 0 {
                continue;
            }
            let record = Record::Cooled {
                at: self.clock.now(),
                event,
                first: TicketId(first),
                count: TicketTable::RUN,
            };
            last = self.commit(&mut state, &record)?;
            self.note_cold(last, true);
        }
        Ok(last)
    }

    /// The last record that has to do with tickets in the store only: a store that has it has all of them as they are.
    pub fn cold_changed(&self) -> Lsn {
        Lsn(self.cold_changed.load(Ordering::SeqCst))
    }

    /// The last record by which a person amended tickets in the store only: who takes rows in has not heard of it.
    pub(super) fn cold_amended(&self) -> Lsn {
        Lsn(self.cold_amended.load(Ordering::SeqCst))
    }

    /// To be called under the state's lock, after an amendment.
    pub(super) fn note_cold_amended(&self, lsn: Lsn, far: bool) {
        if far {
            self.cold_amended.store(lsn.0, Ordering::SeqCst);
        }
        self.note_cold(lsn, far);
    }

    /// To be called under the state's lock.
    pub(super) fn note_cold(&self, lsn: Lsn, far: bool) {
        if far {
            self.cold_changed.store(lsn.0, Ordering::SeqCst);
        }
    }

    /// Brings tickets of an event back from the store, as it had them at record `as_of` or later; those that are in memory
    /// already stay as they are.
    ///
    /// # Errors
    /// `StoreBehind`: one of them may have changed since; read them again. `Unavailable`.
    pub fn warm(&self, as_of: Lsn, mut tickets: Vec<(TicketId, Ticket)>) -> Result<Lsn, EngineError> {
        assert!(tickets.len() <= TICKETS_PER_RECORD_MAX);
        let mut state = self.state.lock();
        if self.cold_changed() > as_of {
            return Err(EngineError::StoreBehind);
        }
        tickets.retain(|(id, _)| state.tickets.get(*id).is_none());
        if tickets.is_empty() {
            return Ok(Lsn(state.lsn));
        }
        Ok(self.commit(&mut state, &Record::Warmed { at: self.clock.now(), tickets })?)
    }

    /// An event's tickets are all back, as far as the store had them at record `as_of`: new ones go into memory again. Also
    /// for an event without tickets.
    ///
    /// # Errors
    /// `StoreBehind`: another may have come since, which would stay in the store alone; look again. `Unavailable`.
    pub fn set_warm(&self, as_of: Lsn, event: EventId) -> Result<Lsn, EngineError> {
        let mut state = self.state.lock();
        if self.cold_changed() > as_of {
            return Err(EngineError::StoreBehind);
        }
        let Some(known) = state.catalog.event(event).filter(|known| known.cold) else {
            return Ok(Lsn(state.lsn));
        };
        let entity = Box::new(Entity::Event(crate::catalog::Event { cold: false, ..known.clone() }));
        Ok(self.commit(&mut state, &Record::Put { at: self.clock.now(), operator: None, entity })?)
    }

    /// The filter in front of the store.
    pub fn cold_filter(&self) -> &ColdFilter {
        &self.cold
    }
}
