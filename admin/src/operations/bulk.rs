//! Bulk changes: many tickets blocked, unblocked, activated or cancelled. Those that are so already are passed over, so that
//! it may be done again from any ticket. Knows no HTTP.

use super::{Ended, Job};
use crate::imports::{Change, Refused, amend, one_code};
use engine::catalog::{Catalog, EventId, TypeId};
use engine::journal::Lsn;
use engine::limits::TICKETS_PER_RECORD_MAX;
use engine::ticket::{CodeKind, Ticket, TicketId, TicketStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;

/// Codes that may be named at once.
pub const CODES_MAX: usize = 10_000;
/// Tickets read from the store at a time.
const PAGE: usize = 1_000;
/// A ticket that was changed meanwhile is looked at again so often.
const LOOKED_MAX: u32 = 5;
/// Between two looks at the store.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What is done to tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Stops active and not activated ones.
    Block,
    /// Makes blocked ones active.
    Unblock,
    /// Makes those active that are not activated.
    Activate,
    /// Ends them for good.
    Cancel,
}

/// Which tickets of the event; everything that is said must fit.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BulkFilter {
    /// Of this ticket type.
    #[serde(rename = "type")]
    #[schema(example = "VIP", min_length = 1, max_length = 128)]
    pub kind: Option<String>,
    /// Of this order, exactly.
    #[schema(example = "O-1001", min_length = 1, max_length = 255)]
    pub order: Option<String>,
    /// With one of these codes, or card numbers in hexadecimal.
    #[schema(max_items = 10_000)]
    pub codes: Option<Vec<String>>,
}

/// A bulk change that is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BulkSpec {
    /// What.
    pub action: BulkAction,
    /// Which tickets.
    pub filter: BulkFilter,
    /// Why.
    pub reason: String,
    /// Nothing is changed.
    pub dry_run: bool,
}

/// A ticket with its place among those asked for.
struct Candidate {
    place: u64,
    id: TicketId,
    ticket: Ticket,
    as_of: Option<Lsn>,
}

struct Bulk<'s> {
    spec: &'s BulkSpec,
    catalog: std::sync::Arc<Catalog>,
    event: EventId,
    kind: Option<TypeId>,
    operator: Option<engine::catalog::OperatorId>,
    details: String,
}

/// Does a bulk change.
///
/// # Errors
/// Why it ends before all tickets were looked at.
pub fn run(job: &mut Job<'_>, spec: &BulkSpec) -> Result<(), Ended> {
    job.restart()?;
    let saved = job.entry.saved();
    let catalog = job.app.engine.catalog();
    let event = catalog
        .event_named(&saved.operation.event)
        .ok_or_else(|| Ended::Failed(format!("there is no event '{}'", saved.operation.event)))?;
    let kind = match &spec.filter.kind {
        Some(name) => Some(
            catalog
                .type_named(event, name)
                .ok_or_else(|| Ended::Failed(format!("there is no ticket type '{name}'")))?,
        ),
        None => None,
    };
    let details = json!({"operation": saved.operation.id, "reason": spec.reason}).to_string();
    let bulk = Bulk { spec, catalog, event, kind, operator: saved.operator, details };
    match &spec.filter.codes {
        Some(codes) => bulk.by_codes(job, codes),
        None => bulk.by_event(job),
    }
}

impl Bulk<'_> {
    fn by_codes(&self, job: &mut Job<'_>, codes: &[String]) -> Result<(), Ended> {
        job.entry.change(|saved| saved.operation.progress.rows_total = Some(codes.len() as u64));
        for (n, part) in codes.chunks(TICKETS_PER_RECORD_MAX).enumerate() {
            let mut found: Vec<Candidate> = Vec::new();
            for (place, code) in (n * TICKETS_PER_RECORD_MAX + 1..).zip(part) {
                match self.named(job, place as u64, code) {
                    // Named twice, perhaps by two of its codes.
                    Ok(one) if found.iter().any(|other| other.id == one.id) => job.counts.unchanged += 1,
                    Ok(one) => found.push(one),
                    Err(problem) => job.bad(place as u64, Some(code), problem)?,
                }
            }
            self.change(job, found)?;
            job.rows_done += part.len() as u64;
            job.pause()?;
        }
        Ok(())
    }

    fn named(&self, job: &Job<'_>, place: u64, code: &str) -> Result<Candidate, String> {
        let mut found = one_code(job.app, job.runtime, CodeKind::Optical, code.as_bytes())?;
        if let (None, Ok(card)) = (&found, lists::card_bytes(code)) {
            found = one_code(job.app, job.runtime, CodeKind::Card, &card)?;
        }
        let (id, ticket, as_of) = found.ok_or_else(|| "no ticket has this code".to_owned())?;
        let kind = self.catalog.ticket_type(ticket.type_id);
        if kind.is_none_or(|kind| kind.event != self.event) {
            return Err("its code belongs to a ticket of another event".to_owned());
        }
        if !self.fits(&ticket) {
            return Err("the ticket is of another type or order than the filter asks for".to_owned());
        }
        Ok(Candidate { place, id, ticket, as_of })
    }

    fn by_event(&self, job: &mut Job<'_>) -> Result<(), Ended> {
        let target = job.app.engine.journal().positions().next;
        while job.app.engine.projected() < target {
            job.check()?;
            std::thread::park_timeout(LOOK_EVERY);
        }
        let (mut after, mut place) = (None, 0);
        loop {
            let event = self.event;
            let asked =
                job.app.ask(move |store| Ok((store.cursor()?, store.tickets_of(event, after, PAGE)?)));
            let (as_of, page) =
                job.runtime.block_on(asked).map_err(|problem| Ended::Failed(problem.detail))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            (after, job.rows_done) = (Some(*last), job.rows_done + page.len() as u64);
            for part in page.chunks(job.at_once(TICKETS_PER_RECORD_MAX)) {
                let candidates = part.iter().map(|(id, stored)| {
                    place += 1;
                    newest(job, *id, stored, as_of, place)
                });
                let found = candidates.filter(|own| self.fits(&own.ticket)).collect();
                self.change(job, found)?;
            }
            job.pause()?;
        }
    }

    fn fits(&self, ticket: &Ticket) -> bool {
        self.kind.is_none_or(|kind| kind == ticket.type_id)
            && self.spec.filter.order.as_ref().is_none_or(|order| order == ticket.details.order())
    }

    fn change(&self, job: &mut Job<'_>, found: Vec<Candidate>) -> Result<(), Ended> {
        let now = job.app.engine.now();
        let (mut places, mut changes) = (Vec::new(), Vec::new());
        for own in found {
            match self.after(&own.ticket) {
                Ok(None) => job.counts.unchanged += 1,
                Ok(Some(status)) => {
                    let after = Ticket { status, status_at: now, ..own.ticket.clone() };
                    places.push(own.place);
                    changes.push(Change { id: own.id, before: own.ticket, after, as_of: own.as_of });
                }
                Err(problem) => job.bad(own.place, code_of(&own.ticket).as_deref(), problem)?,
            }
        }
        if changes.is_empty() || self.spec.dry_run {
            job.counts.changed += changes.len() as u64;
            return Ok(());
        }
        job.give_way();
        let all: Vec<&Change> = changes.iter().collect();
        match amend(job, self.operator, self.word(), &self.details, &all) {
            Ok(()) => job.counts.changed += changes.len() as u64,
            Err(Refused::Ended(ended)) => return Err(ended),
            Err(Refused::Again(_)) => {
                for (place, change) in places.into_iter().zip(changes) {
                    self.one(job, place, change)?;
                }
            }
        }
        Ok(())
    }

    /// A ticket by itself, looked at anew until it stays as it was seen.
    fn one(&self, job: &mut Job<'_>, place: u64, mut change: Change) -> Result<(), Ended> {
        let mut last = String::new();
        for _ in 0..LOOKED_MAX {
            match amend(job, self.operator, self.word(), &self.details, &[&change]) {
                Ok(()) => {
                    job.counts.changed += 1;
                    return Ok(());
                }
                Err(Refused::Ended(ended)) => return Err(ended),
                Err(Refused::Again(problem)) => last = problem,
            }
            let code = change.before.details.codes().next().map(|(kind, code)| (kind, code.to_vec()));
            let Some((kind, code)) = code else { break };
            match one_code(job.app, job.runtime, kind, &code) {
                Ok(Some((id, ticket, as_of))) if id == change.id => match self.after(&ticket) {
                    Ok(Some(status)) => {
                        let after = Ticket { status, ..ticket.clone() };
                        change = Change { id, before: ticket, after, as_of };
                    }
                    Ok(None) => {
                        job.counts.unchanged += 1;
                        return Ok(());
                    }
                    Err(problem) => return job.bad(place, code_of(&ticket).as_deref(), problem),
                },
                Ok(_) => break,
                Err(problem) => last = problem,
            }
        }
        job.bad(place, code_of(&change.before).as_deref(), last)
    }

    /// The status a ticket gets; `None`: it has it.
    fn after(&self, ticket: &Ticket) -> Result<Option<TicketStatus>, String> {
        use TicketStatus::{Active, Blocked, Cancelled, NotActivated, Superseded};
        match (self.spec.action, ticket.status) {
            (BulkAction::Block, Active | NotActivated) => Ok(Some(Blocked)),
            (BulkAction::Unblock, Blocked) | (BulkAction::Activate, NotActivated) => Ok(Some(Active)),
            (BulkAction::Cancel, Active | NotActivated | Blocked) => Ok(Some(Cancelled)),
            (BulkAction::Block, Blocked) | (BulkAction::Cancel, Cancelled) => Ok(None),
            (BulkAction::Unblock, Active | NotActivated) | (BulkAction::Activate, Active) => Ok(None),
            (BulkAction::Activate, Blocked) => Err("the ticket is blocked; unblock it".to_owned()),
            (_, Cancelled) => Err("the ticket is cancelled for good".to_owned()),
            (_, Superseded) => Err("another ticket took its place for good".to_owned()),
        }
    }

    fn word(&self) -> &'static str {
        match self.spec.action {
            BulkAction::Block => "block",
            BulkAction::Unblock => "unblock",
            BulkAction::Activate => "activate",
            BulkAction::Cancel => "cancel",
        }
    }
}

fn code_of(ticket: &Ticket) -> Option<String> {
    ticket.details.codes().next().map(|(kind, code)| lists::code_text(kind, code))
}

/// The ticket as it is in memory, or else as the store has it.
fn newest(job: &Job<'_>, id: TicketId, stored: &Ticket, as_of: Lsn, place: u64) -> Candidate {
    match job.app.engine.with_state(|state| state.tickets.get(id).cloned()) {
        Some(ticket) => Candidate { place, id, ticket, as_of: None },
        None => Candidate { place, id, ticket: stored.clone(), as_of: Some(as_of) },
    }
}
