//! Forgetting who held an event's tickets: run by run, so that no gate waits for many. Knows no file: what the journal and the
//! store still hold of it goes when they are cleared.

use super::{Engine, EngineError};
use crate::catalog::{EventId, OperatorId};
use crate::journal::Lsn;
use crate::record::Record;
use crate::state::State;
use crate::ticket::{TicketId, TicketTable};

/// Kept answers looked at under one lock: some 100 µs.
const ANSWERS_PER_RUN: u64 = 1_024;

/// What was forgotten in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Tickets in memory that named somebody.
    pub tickets: u64,
    /// Kept answers that named a holder.
    pub answers: u64,
    /// The last record that is about it.
    pub last: Lsn,
}

impl Engine {
    /// Forgets who held an event's tickets: holder, order and seat of each, and the holder in answers that are kept. Codes
    /// and references stay, and so does all that was decided. Tickets in the store only are forgotten there.
    ///
    /// # Errors
    /// `EventGoesOn` before its end; `Unavailable`: some of it may have been done, and can be done again.
    pub fn shred(&self, operator: Option<OperatorId>, event: EventId) -> Result<Forgotten, EngineError> {
        let mut done = Forgotten::default();
        let (end, answers_end) = self.shred_bounds(event)?;
        for first in (0..end.max(1)).step_by(TicketTable::RUN as usize) {
            self.shred_tickets(operator, event, TicketId(first), &mut done)?;
        }
        let mut from = 0;
        while let Some(until) = self.shred_answers(operator, event, from, &mut done)? {
            from = until;
            if from > answers_end {
                break;
            }
        }
        Ok(done)
    }

    fn shred_bounds(&self, event: EventId) -> Result<(u32, u64), EngineError> {
        let state = self.state.lock();
        let known = state.catalog.event(event).ok_or(EngineError::EventNotFound)?;
        if known.ends_at >= self.clock.now() {
            return Err(EngineError::EventGoesOn);
        }
        Ok((state.tickets.next_id().0, state.lsn))
    }

    fn shred_tickets(
        &self,
        operator: Option<OperatorId>,
        event: EventId,
        first: TicketId,
        done: &mut Forgotten,
    ) -> Result<(), EngineError> {
        let mut state = self.state.lock();
        let run = (first.0..first.0.saturating_add(TicketTable::RUN)).map(TicketId);
        let own = run.filter_map(|id| state.tickets.get(id)).filter(|own| is_of(&state, own.type_id, event));
        let (tickets, names) = own
            .fold((0, 0), |(tickets, names), own| (tickets + 1, names + u64::from(own.details.has_person())));
        let cold = state.catalog.event(event).is_some_and(|event| event.cold);
        // Also where nobody is named now: the store's audit may say who was. The first run is always told, so that the store
        // has been asked for those which only it has.
        if tickets == 0 && !cold && first.0 > 0 {
            return Ok(());
        }
        let count = TicketTable::RUN;
        let at = self.clock.now();
        let record =
            Record::Shredded { at, operator, event, first, count, answers_from: 0, answers_until: 0 };
        done.last = self.commit(&mut state, &record)?;
        self.note_cold(done.last, cold);
        done.tickets += names;
        Ok(())
    }

    /// One run of kept answers; gives where the next begins, `None` at the end.
    fn shred_answers(
        &self,
        operator: Option<OperatorId>,
        event: EventId,
        from: u64,
        done: &mut Forgotten,
    ) -> Result<Option<u64>, EngineError> {
        let mut state = self.state.lock();
        let Some(until) = state.scans.run_from(from, ANSWERS_PER_RUN) else { return Ok(None) };
        let concerns = |kind| is_of(&state, kind, event);
        let names =
            state.scans.between(from, until).filter(|kept| kept.names_holder_of(concerns)).count() as u64;
        if names > 0 {
            let (at, first, count) = (self.clock.now(), TicketId(0), 0);
            let (answers_from, answers_until) = (from, until);
            let record = Record::Shredded { at, operator, event, first, count, answers_from, answers_until };
            done.last = self.commit(&mut state, &record)?;
            done.answers += names;
        }
        Ok(Some(until))
    }
}

fn is_of(state: &State, kind: crate::catalog::TypeId, event: EventId) -> bool {
    state.catalog.ticket_type(kind).is_some_and(|kind| kind.event == event)
}
