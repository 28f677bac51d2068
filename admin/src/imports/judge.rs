//! What comes of a row: a new ticket, a ticket that is otherwise, nothing, or a reason why not. A preview, a dry run and an
//! import ask the same. Changes nothing.

use super::{ImportAction, ImportSpec};
use crate::app::App;
use engine::catalog::{Catalog, EventId, GateId};
use engine::clock::Time;
use engine::journal::Lsn;
use engine::ticket::{CodeKind, Details, Ticket, TicketId, TicketStatus, TicketUse};
use lists::TicketRow;
use lists::cold::wait_for_cold;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What a row comes to.
#[derive(Debug)]
pub enum Step {
    /// A new ticket.
    Add(Ticket),
    /// A ticket that is otherwise.
    Change(Box<Change>),
    /// It is so already.
    Unchanged,
}

/// A ticket as it is, and as it shall be.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its number.
    pub id: TicketId,
    /// As it is.
    pub before: Ticket,
    /// As it shall be.
    pub after: Ticket,
    /// What the store knew when it said so; `None`: it is in memory.
    pub as_of: Option<Lsn>,
}

/// Judges rows of one list.
pub struct Judge<'a> {
    app: &'a Arc<App>,
    runtime: &'a Handle,
    catalog: Arc<Catalog>,
    event: EventId,
    action: ImportAction,
    update: bool,
    gate: GateId,
}

/// A ticket that was found by a code.
struct Found {
    id: TicketId,
    ticket: Ticket,
    as_of: Option<Lsn>,
}

impl<'a> Judge<'a> {
    /// For a list of this event.
    ///
    /// # Errors
    /// There is no such event or gate, in words.
    pub fn new(
        app: &'a Arc<App>,
        runtime: &'a Handle,
        event: &str,
        spec: &ImportSpec,
    ) -> Result<Judge<'a>, String> {
        let catalog = app.engine.catalog();
        let event = catalog.event_named(event).ok_or_else(|| format!("there is no event '{event}'"))?;
        let gate = match (&spec.gate, spec.action) {
            (Some(name), _) => {
                catalog.gate_named(name).ok_or_else(|| format!("there is no gate '{name}'"))?
            }
            (None, ImportAction::Checked) => return Err("gate: at which gate were they checked?".to_owned()),
            (None, _) => GateId::default(),
        };
        Ok(Judge { app, runtime, catalog, event, action: spec.action, update: spec.update, gate })
    }

    /// What a row comes to. Some microseconds; a question to the store where a code may be there only.
    ///
    /// # Errors
    /// Why it cannot be taken, in words.
    pub fn judge(&self, row: &TicketRow, now: Time) -> Result<Step, String> {
        match self.action {
            ImportAction::Add | ImportAction::Activate => self.judge_new(row, now),
            ImportAction::Block => self.judge_known(row, |ticket| blocked(ticket, now)),
            ImportAction::Checked => {
                let at = row.checked(&self.catalog, self.event, now)?;
                self.judge_known(row, |ticket| self.checked(ticket, at))
            }
        }
    }

    /// What a row comes to whose code stood in a row before.
    ///
    /// # Errors
    /// It is not to be there twice.
    pub fn known_already(&self, row: &TicketRow) -> Result<Step, String> {
        match (self.action, self.update) {
            (ImportAction::Activate, _) => Ok(Step::Unchanged),
            (_, true) => Ok(Step::Unchanged),
            _ => Err(format!("the code '{}' stands in the list already, with other words", row.code)),
        }
    }

    fn judge_new(&self, row: &TicketRow, now: Time) -> Result<Step, String> {
        let new = row.ticket(&self.catalog, self.event, now)?;
        let Some(found) = self.owner(new.details.codes())? else { return Ok(Step::Add(new)) };
        if same(&found.ticket, &new) {
            return Ok(Step::Unchanged);
        }
        let own = &found.ticket;
        let mut after = own.clone();
        if self.update {
            updated(&mut after, row, now)?;
        }
        if self.action == ImportAction::Activate {
            activated(&mut after, now)?;
        }
        if !self.update && self.action == ImportAction::Add {
            let code = row.codes().next().unwrap_or(&row.card);
            return Err(format!(
                "code '{code}' belongs to another ticket already; update=true changes that one"
            ));
        }
        Ok(changed(found, after))
    }

    fn judge_known(&self, row: &TicketRow, change: impl Fn(&Ticket) -> Ticket) -> Result<Step, String> {
        let keys = row.keys()?;
        let found = self.owner(keys.iter().map(|(kind, code)| (*kind, code.as_slice())))?;
        let found = found.ok_or_else(|| "no ticket has this code".to_owned())?;
        let after = change(&found.ticket);
        Ok(changed(found, after))
    }

    /// The one ticket that has these codes; `None`: none of them is anybody's.
    fn owner<'c>(&self, codes: impl Iterator<Item = (CodeKind, &'c [u8])>) -> Result<Option<Found>, String> {
        let mut owner: Option<Found> = None;
        for (kind, code) in codes {
            let Some(found) = self.find(kind, code)? else { continue };
            if owner.as_ref().is_some_and(|owner| owner.id != found.id) {
                return Err("its codes belong to two tickets".to_owned());
            }
            owner = Some(found);
        }
        let of_event = |found: &Found| {
            self.catalog.ticket_type(found.ticket.type_id).is_some_and(|kind| kind.event == self.event)
        };
        match owner {
            Some(found) if !of_event(&found) => {
                Err("its code belongs to a ticket of another event".to_owned())
            }
            owner => Ok(owner),
        }
    }

    fn find(&self, kind: CodeKind, code: &[u8]) -> Result<Option<Found>, String> {
        let found = one_code(self.app, self.runtime, kind, code)?;
        Ok(found.map(|(id, ticket, as_of)| Found { id, ticket, as_of }))
    }

    /// Everybody the ticket admits has come in by that gate, and nobody is inside now.
    fn checked(&self, ticket: &Ticket, at: Time) -> Ticket {
        if ticket.usage.used > 0 {
            return ticket.clone();
        }
        let people = self.catalog.ticket_type(ticket.type_id).map_or(1, |kind| kind.people.max(1));
        let usage = TicketUse {
            used: people,
            first_gate: self.gate,
            last_gate: self.gate,
            first_at: at,
            last_at: at,
            ..ticket.usage
        };
        Ticket { usage, ..ticket.clone() }
    }
}

/// The ticket of a code, in memory or in the store, and what the store knew then.
///
/// # Errors
/// The store cannot be asked, in words.
pub fn one_code(
    app: &Arc<App>,
    runtime: &Handle,
    kind: CodeKind,
    code: &[u8],
) -> Result<Option<(TicketId, Ticket, Option<Lsn>)>, String> {
    if let Some((id, ticket)) = app.engine.ticket(kind, code) {
        return Ok(Some((id, ticket, None)));
    }
    if !app.engine.cold_filter().maybe(kind, code) {
        return Ok(None);
    }
    wait_for_cold(&app.engine)?;
    let code = code.to_vec();
    let asked = app.ask(move |store| Ok((store.cursor()?, store.find_code(kind, &code)?)));
    let (as_of, found) = runtime.block_on(asked).map_err(|problem| problem.detail)?;
    Ok(found.map(|(id, ticket)| (id, ticket, Some(as_of))))
}

fn changed(found: Found, after: Ticket) -> Step {
    if after == found.ticket {
        return Step::Unchanged;
    }
    Step::Change(Box::new(Change { id: found.id, before: found.ticket, after, as_of: found.as_of }))
}

/// Does a row say of a ticket what it is, whatever it has done since?
fn same(own: &Ticket, new: &Ticket) -> bool {
    let words = |ticket: &Ticket| {
        (ticket.type_id, ticket.status, ticket.specimen, ticket.valid_from, ticket.valid_until)
    };
    words(own) == words(new) && own.details == new.details
}

/// Holder, order, seat and status as the row says; what it leaves empty stays.
fn updated(ticket: &mut Ticket, row: &TicketRow, now: Time) -> Result<(), String> {
    let said = |text: &str, before: &str| {
        if text.trim().is_empty() { before.to_owned() } else { text.trim().to_owned() }
    };
    let own = &ticket.details;
    let texts = [said(&row.holder, own.holder()), said(&row.order, own.order()), said(&row.seat, own.seat())];
    let codes: Vec<(CodeKind, &[u8])> = own.codes().collect();
    Details::check(&[own.reference(), &texts[0], &texts[1], &texts[2]], &codes)?;
    let details = Details::new(own.reference(), &texts[0], &texts[1], &texts[2], &codes);
    ticket.details = details;
    if row.status.trim().is_empty() {
        return Ok(());
    }
    let status = lists::status(row.status.trim())?;
    if status != ticket.status {
        stays_ended(ticket)?;
        (ticket.status, ticket.status_at) = (status, now);
    }
    Ok(())
}

fn activated(ticket: &mut Ticket, now: Time) -> Result<(), String> {
    if ticket.status != TicketStatus::Active {
        stays_ended(ticket)?;
        (ticket.status, ticket.status_at) = (TicketStatus::Active, now);
    }
    Ok(())
}

fn stays_ended(ticket: &Ticket) -> Result<(), String> {
    match ticket.status {
        TicketStatus::Cancelled => Err("the ticket is cancelled for good".to_owned()),
        TicketStatus::Superseded => Err("another ticket took its place for good".to_owned()),
        _ => Ok(()),
    }
}

/// Blocked, unless it never admits anyway.
fn blocked(ticket: &Ticket, now: Time) -> Ticket {
    match ticket.status {
        TicketStatus::Active | TicketStatus::NotActivated => {
            Ticket { status: TicketStatus::Blocked, status_at: now, ..ticket.clone() }
        }
        _ => ticket.clone(),
    }
}
