//! Names, orders and seats of an event that are searched for once they should be gone: kept in memory, and nowhere else.

use crate::operations::{Ended, Job};
use engine::catalog::EventId;
use engine::ticket::{Ticket, TicketId};
use std::collections::BTreeSet;

/// Texts that are searched for.
const TEXTS_MAX: usize = 1_000;
/// Shorter ones stand by chance in any file.
const BYTES_MIN: usize = 6;
/// Tickets read from the store at a time.
const PAGE: usize = 1_000;

/// Takes the sample: the first texts of the event that no ticket of another event has.
pub(super) fn take(job: &Job<'_>, event: EventId) -> Result<Vec<String>, Ended> {
    let mut texts = BTreeSet::new();
    each_ticket(job, event, &mut |ticket| {
        let details = &ticket.details;
        for text in [details.holder(), details.order(), details.seat()] {
            if texts.len() < TEXTS_MAX && text.len() >= BYTES_MIN && stands_alone(text, details.reference()) {
                texts.insert(text.to_owned());
            }
        }
        texts.len() < TEXTS_MAX
    })?;
    let others: Vec<EventId> =
        job.app.engine.catalog().events().map(|(id, _)| id).filter(|id| *id != event).collect();
    for other in others {
        if texts.is_empty() {
            break;
        }
        each_ticket(job, other, &mut |ticket| {
            let details = &ticket.details;
            for text in [details.holder(), details.order(), details.seat()] {
                texts.remove(text);
            }
            true
        })?;
    }
    Ok(texts.into_iter().collect())
}

/// A text that is part of the reference stays with it.
fn stands_alone(text: &str, reference: &str) -> bool {
    !reference.contains(text)
}

fn each_ticket(job: &Job<'_>, event: EventId, each: &mut dyn FnMut(&Ticket) -> bool) -> Result<(), Ended> {
    let mut after: Option<TicketId> = None;
    loop {
        job.check()?;
        let asked = job.app.ask(move |store| store.tickets_of(event, after, PAGE));
        let page = job.runtime.block_on(asked).map_err(|problem| Ended::Failed(problem.detail))?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(*last);
        for (_, ticket) in &page {
            if !each(ticket) {
                return Ok(());
            }
        }
    }
}
