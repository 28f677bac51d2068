//! Tickets that a person amends: changed, taken back, reissued, wherever they are. Knows what must hold of them; what
//! is sensible is for whoever asks.

use super::changes::Code;
use super::{Engine, EngineError, TicketError};
use crate::catalog::OperatorId;
use crate::journal::Lsn;
use crate::limits::TICKETS_PER_RECORD_MAX;
use crate::record::Record;
use crate::registry::{check_name, check_text};
use crate::state::State;
use crate::ticket::{Ticket, TicketId};
use std::collections::{HashMap, HashSet};

/// Tickets to be changed and added, all or none.
#[derive(Clone, Debug, Default)]
pub struct Amendment {
    /// What is done, such as `reissue`: for the audit.
    pub action: String,
    /// The rest, as JSON without secrets.
    pub details: String,
    /// Tickets as they are, and as they shall be.
    pub changed: Vec<(TicketId, Ticket, Ticket)>,
    /// Tickets that shall be new.
    pub added: Vec<Ticket>,
    /// The store's cursor when tickets that are not in memory were read from it, and new codes looked for in it;
    /// `None`: it was not asked.
    pub as_of: Option<Lsn>,
}

impl Engine {
    /// Amends tickets: one record, in which they are whole. People inside follow at once, tallies stay: what happened,
    /// happened. Entries that are given back here are given by a person; annulling the scan that took them gives them
    /// again. Gives the numbers of the tickets that were added.
    ///
    /// # Errors
    /// `Changed` where a ticket is not as it was read, `Ticket` where one cannot be so, `AmendmentSize`,
    /// `TicketNotFound`. `MaybeCold` where the store has to be asked, `StoreBehind` where it did not know everything:
    /// ask it again. `Unavailable`.
    pub fn amend(
        &self,
        operator: Option<OperatorId>,
        amendment: Amendment,
    ) -> Result<(Lsn, Vec<TicketId>), EngineError> {
        check_name("an action", &amendment.action)?;
        check_text("the details of an amendment", &amendment.details)?;
        let size = amendment.changed.len() + amendment.added.len();
        if size == 0 || size > TICKETS_PER_RECORD_MAX {
            return Err(EngineError::AmendmentSize(size));
        }
        let mut state = self.state.lock();
        let far = self.check_amendment(&state, &amendment)?;
        let Amendment { action, details, changed, added, .. } = amendment;
        far.iter().for_each(|ticket| self.cold.insert(ticket));
        let first = state.tickets.next_id().0;
        let ids: Vec<TicketId> = (first..).map(TicketId).take(added.len()).collect();
        let changed = changed.into_iter().map(|(id, _, after)| (id, after));
        let tickets = changed.chain(ids.iter().copied().zip(added)).collect();
        let record = Record::Amended { at: self.clock.now(), operator, action, details, tickets };
        let lsn = self.commit(&mut state, &record)?;
        self.note_cold_amended(lsn, !far.is_empty());
        Ok((lsn, ids))
    }

    /// Gives the tickets, as they will be, that are in the store only.
    fn check_amendment(&self, state: &State, amendment: &Amendment) -> Result<Vec<Ticket>, EngineError> {
        let before: HashMap<TicketId, &Ticket> =
            amendment.changed.iter().map(|(id, before, _)| (*id, before)).collect();
        if before.len() < amendment.changed.len() {
            return Err(EngineError::Changed);
        }
        let mut far: Vec<Ticket> = Vec::new();
        for (id, before, after) in &amendment.changed {
            match state.tickets.get(*id) {
                Some(own) if own != before => return Err(EngineError::Changed),
                Some(_) => {}
                None if *id >= state.tickets.next_id() => return Err(EngineError::TicketNotFound),
                None => {
                    self.store_was_asked(amendment.as_of)?;
                    far.push(after.clone());
                }
            }
            let event = |own: &Ticket| state.catalog.ticket_type(own.type_id).map(|kind| kind.event);
            if event(after).is_some() && event(before) != event(after) {
                return Err(TicketError::OtherEvent.into());
            }
        }
        far.extend(amendment.added.iter().filter(|ticket| state.is_cold(ticket.type_id)).cloned());
        self.check_codes(state, amendment, &before)?;
        Ok(far)
    }

    /// Has every code one owner afterwards? A code may go from one ticket of the amendment to another.
    fn check_codes(
        &self,
        state: &State,
        amendment: &Amendment,
        before: &HashMap<TicketId, &Ticket>,
    ) -> Result<(), EngineError> {
        let had: HashSet<Code<'_>> = before.values().flat_map(|own| own.details.codes()).collect();
        let changed = amendment.changed.iter().map(|(_, before, after)| (Some(before), after));
        let mut codes = HashSet::new();
        for (before_it, ticket) in changed.chain(amendment.added.iter().map(|own| (None, own))) {
            // A code of a far event may be another ticket's too: who has it keeps it.
            let gives_way = |id: TicketId, code: Code<'_>| {
                before.contains_key(&id)
                    || before_it.is_some_and(|own: &Ticket| own.details.codes().any(|own| own == code))
            };
            self.addable(state, ticket, &mut codes, &gives_way)?;
            let mut new = ticket.details.codes().filter(|code| !had.contains(code));
            if new.any(|(kind, code)| self.cold.maybe(kind, code)) {
                self.store_was_asked(amendment.as_of)?;
            }
        }
        Ok(())
    }

    /// Was the store asked since it knows everything about the tickets that only it has?
    fn store_was_asked(&self, as_of: Option<Lsn>) -> Result<(), EngineError> {
        match as_of {
            None => Err(EngineError::MaybeCold),
            Some(as_of) if as_of < self.cold_changed() => Err(EngineError::StoreBehind),
            Some(_) => Ok(()),
        }
    }
}
