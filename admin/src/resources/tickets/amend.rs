//! Carries a wish out: reads the ticket, judges, and amends it in one record with before and after, again where somebody
//! was quicker. Knows no request.

use super::find::Which;
use super::shape::{Shown, difference};
use super::wish::{Becomes, Wish};
use crate::access::Principal;
use crate::app::App;
use crate::problem::{Kind, Problem};
use engine::journal::Lsn;
use engine::registry::Act;
use engine::ticket::{CodeKind, Ticket, TicketId};
use engine::{Amendment, EngineError, TicketError};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A ticket that others keep changing, or a store that is behind, is tried so long.
const TRY_MAX: Duration = Duration::from_secs(2);
/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(2);

/// What came of a wish.
pub(super) struct Done {
    /// Was anything changed? If not, it was so already.
    pub changed: bool,
    /// The ticket; of a reissue the new one.
    pub ticket: (TicketId, Ticket),
    /// Of a reissue the old one.
    pub replaced: Option<(TicketId, Ticket)>,
}

/// Does it, and waits until it is safe.
///
/// # Errors
/// There is no such ticket, it contradicts how the ticket is, a code is taken, others were quicker all the time.
pub(super) async fn carry_out(
    app: &Arc<App>,
    by: &Principal,
    which: &Which,
    wish: &Wish,
    reason: &str,
) -> Result<Done, Problem> {
    let began = Instant::now();
    let mut asked = None;
    loop {
        let found = which.find(app).await?;
        let becomes =
            wish.judge(&found.ticket, app.engine.now()).map_err(|why| Problem::new(Kind::Conflict, why))?;
        if becomes == Becomes::Same {
            // What it rests on may have been answered to somebody else a moment ago: it must be safe for this one too.
            app.safe(app.engine.with_state(|state| Lsn(state.lsn))).await?;
            return Ok(Done { changed: false, ticket: (found.id, found.ticket), replaced: None });
        }
        let (changed, added) = match becomes {
            Becomes::Replaced { old, new } => (old, Some(new)),
            Becomes::Changed(after) => (after, None),
            Becomes::Same => unreachable!("it was answered above"),
        };
        if found.as_of.is_some() && added.is_some() && asked.is_none() {
            // The engine takes a store that was asked for a ticket to have been asked for new codes too.
            asked = Some(are_free(app, added.iter()).await?);
        }
        let amendment = Amendment {
            action: wish.action().to_owned(),
            details: details(app, found.id, reason, &found.ticket, &changed, added.as_ref()),
            changed: vec![(found.id, found.ticket, changed.clone())],
            added: added.clone().into_iter().collect(),
            as_of: older(found.as_of, asked),
        };
        match app.engine.amend(by.operator, amendment) {
            Ok((lsn, ids)) => {
                let changed = (found.id, changed);
                let Some(new) = ids.first().copied().zip(added) else {
                    app.settle(lsn).await?;
                    return Ok(Done { changed: true, ticket: changed, replaced: None });
                };
                app.settle(note_places(app, by, (found.id, new.0), reason)?).await?;
                return Ok(Done { changed: true, ticket: new, replaced: Some(changed) });
            }
            Err(EngineError::MaybeCold) if asked.is_none() => {
                asked = Some(are_free(app, added.iter()).await?);
            }
            Err(EngineError::Changed | EngineError::StoreBehind) if began.elapsed() < TRY_MAX => {
                asked = None;
                tokio::time::sleep(TRY_AGAIN).await;
            }
            Err(error) => return Err(refused(error)),
        }
    }
}

/// The amendment is one line of the audit about two tickets, and of the new one's number it knows nothing. Each gets a line of
/// its own, by which its story finds the other.
fn note_places(
    app: &App,
    by: &Principal,
    (old, new): (TicketId, TicketId),
    reason: &str,
) -> Result<Lsn, Problem> {
    let note = |ticket: TicketId, action: &str, details: Value| {
        let subject = ticket.0.to_string();
        let act =
            Act { action: action.to_owned(), subject, details: details.to_string(), entries: Vec::new() };
        app.engine.act(by.operator, act)
    };
    note(old, "ticket_replaced", json!({"by": new.0, "reason": reason}))?;
    Ok(note(new, "ticket_replaces", json!({"ticket": old.0, "reason": reason}))?)
}

/// Makes a ticket.
///
/// # Errors
/// A code is taken, the store is away.
pub(super) async fn add(app: &Arc<App>, by: &Principal, ticket: Ticket) -> Result<TicketId, Problem> {
    let began = Instant::now();
    let mut as_of = None;
    let after = Shown::of(&app.engine.catalog(), TicketId(0), &ticket, true).for_audit();
    let after: Value = after.into_iter().filter(|(name, _)| name != "id").collect();
    loop {
        let amendment = Amendment {
            action: "create_ticket".to_owned(),
            details: json!({"before": null, "after": after}).to_string(),
            changed: Vec::new(),
            added: vec![ticket.clone()],
            as_of,
        };
        match app.engine.amend(by.operator, amendment) {
            Ok((lsn, ids)) => {
                app.settle(lsn).await?;
                return Ok(*ids.first().expect("a ticket was added"));
            }
            Err(EngineError::MaybeCold) if as_of.is_none() => {
                as_of = Some(are_free(app, std::iter::once(&ticket)).await?);
            }
            Err(EngineError::StoreBehind) if began.elapsed() < TRY_MAX => {
                as_of = None;
                tokio::time::sleep(TRY_AGAIN).await;
            }
            Err(error) => return Err(refused(error)),
        }
    }
}

/// The older of two cursors: what rests on both rests on it.
fn older(one: Option<Lsn>, other: Option<Lsn>) -> Option<Lsn> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Asks the store whether anybody has the codes of these tickets; gives its cursor.
async fn are_free(app: &Arc<App>, tickets: impl Iterator<Item = &Ticket>) -> Result<Lsn, Problem> {
    let codes = |ticket: &Ticket| -> Vec<(CodeKind, Vec<u8>)> {
        ticket.details.codes().map(|(kind, code)| (kind, code.to_vec())).collect()
    };
    let codes: Vec<(CodeKind, Vec<u8>)> = tickets.flat_map(codes).collect();
    let (as_of, taken) = app
        .ask(move |store| {
            let as_of = store.cursor()?;
            for (kind, code) in codes {
                if store.find_code(kind, &code)?.is_some() {
                    return Ok((as_of, Some(code)));
                }
            }
            Ok((as_of, None))
        })
        .await?;
    match taken {
        Some(code) => {
            Err(refused(TicketError::CodeTaken(String::from_utf8_lossy(&code).into_owned()).into()))
        }
        None => Ok(as_of),
    }
}

/// What the audit says: why, and what is otherwise. No codes: whoever reads them could copy the ticket.
fn details(
    app: &App,
    id: TicketId,
    reason: &str,
    before: &Ticket,
    after: &Ticket,
    new: Option<&Ticket>,
) -> String {
    let catalog = app.engine.catalog();
    let audited = |ticket: &Ticket| Shown::of(&catalog, id, ticket, true).for_audit();
    let (was, is) = difference(&audited(before), &audited(after));
    let mut said = json!({"reason": reason, "before": was, "after": is});
    if let Some(new) = new {
        said["new"] = audited(new).into_iter().filter(|(name, _)| name != "id").collect();
        said["replaces"] = id.0.into();
    }
    said.to_string()
}

fn refused(error: EngineError) -> Problem {
    match error {
        EngineError::Ticket(TicketError::CodeTaken(code)) => {
            let code = crate::problem::shown(&code);
            Problem::new(Kind::Conflict, format!("code '{code}' belongs to another ticket already"))
        }
        EngineError::Ticket(error) => Problem::new(Kind::Invalid, error.to_string()),
        EngineError::Changed => Problem::new(
            Kind::Conflict,
            "others change this ticket all the time; look at it again, then ask again",
        ),
        error => error.into(),
    }
}
