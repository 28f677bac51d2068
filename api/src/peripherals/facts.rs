//! A record of the journal as rules about printers and displays see it: plain texts. Knows no rule.

use crate::profile;
use ::peripherals::{Interest, Occasion, ScanFacts, Values};
use engine::Lsn;
use engine::catalog::Catalog;
use engine::decision::{Reason, ScanKind, Verdict};
use engine::record::{Record, ScanRecord};
use engine::ticket::CodeKind;
use lists::code_text;

/// What rules may want to know of a record; `None` for one that is no scan, or concerns no rule.
pub fn facts(catalog: &Catalog, interest: &Interest, lsn: Lsn, record: &Record<'_>) -> Option<ScanFacts> {
    let Record::Scan(scan) = record else { return None };
    let answer = &scan.answer;
    let (occasion, reason, attention) = match answer.verdict {
        Verdict::Admit { attention } => (Occasion::Admit, None, attention),
        Verdict::Deny(reason) => (Occasion::Deny, Some(reason), None),
    };
    let gate = catalog.gate(answer.gate).map(|gate| gate.name.as_str()).unwrap_or_default();
    if !interest.covers(occasion, attention.is_some(), gate) {
        return None;
    }
    let code = |reason: Option<Reason>| reason.map(Reason::code).unwrap_or_default().to_owned();
    let ticket = answer.ticket.as_ref();
    let kind = ticket.and_then(|ticket| catalog.ticket_type(ticket.type_id));
    // A device that is not to show names has a display beside it that is not to show them either.
    let holder = ticket.filter(|_| answer.shows_name).map(|ticket| ticket.label.holder());
    Some(ScanFacts {
        lsn: lsn.0,
        at_ms: answer.at.0,
        occasion,
        event: kind
            .and_then(|kind| catalog.event(kind.event))
            .map(|event| event.name.clone())
            .unwrap_or_default(),
        gate: gate.to_owned(),
        device: catalog.device(scan.device).map(|device| device.name.clone()).unwrap_or_default(),
        reason: code(reason),
        attention: code(attention),
        direction: direction(answer.direction).to_owned(),
        ticket_type: kind.map(|kind| kind.name.clone()).unwrap_or_default(),
        holder: holder.unwrap_or_default().to_owned(),
        ticket: ticket.map(|ticket| ticket.label.reference().to_owned()).unwrap_or_default(),
        remaining: ticket
            .and_then(|ticket| ticket.remaining)
            .map(|left| left.to_string())
            .unwrap_or_default(),
        message: profile::words(answer, catalog),
        // An installer's scan prints too, and says what it is.
        specimen: answer.kind == ScanKind::Test || ticket.is_some_and(|ticket| ticket.specimen),
        more: more(catalog, scan),
    })
}

fn direction(direction: engine::catalog::Direction) -> &'static str {
    match direction {
        engine::catalog::Direction::Entry => "entry",
        engine::catalog::Direction::Exit => "exit",
    }
}

/// What templates may print besides: the venue's clock, people, and the code, for a slip that opens again.
fn more(catalog: &Catalog, scan: &ScanRecord<'_>) -> Values {
    let answer = &scan.answer;
    let calendar = answer
        .ticket
        .as_ref()
        .and_then(|ticket| catalog.ticket_type(ticket.type_id))
        .and_then(|kind| catalog.calendar(kind.event));
    let offset_s = calendar.map_or(0, |calendar| calendar.offset_s(answer.at));
    let mut more = Values::from([
        ("time".to_owned(), engine::calendar::local(answer.at, offset_s)),
        ("people".to_owned(), answer.people.to_string()),
    ]);
    if let Verdict::Deny(reason) = answer.verdict {
        more.insert("what_to_do".to_owned(), what_to_do(reason).to_owned());
    }
    if scan.code_kind == CodeKind::Optical {
        more.insert("code".to_owned(), code_text(scan.code_kind, scan.code));
    }
    more
}

/// What a guest who was refused does now, for a slip or a display.
fn what_to_do(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownTicket => "Please show the confirmation of your order at the help desk.",
        Reason::Cancelled => "Please ask where you bought it.",
        Reason::Blocked | Reason::NotInside => "Please see the supervisor at the help desk.",
        Reason::Superseded => "Please use the newer ticket.",
        Reason::NotActivated => "Please pay or activate it at the box office.",
        Reason::WrongEvent => "Please come to the event it is for.",
        Reason::TooEarly => "Please come back when it opens.",
        Reason::TooLate => "Please ask at the help desk.",
        Reason::WrongGate | Reason::GateClosed => "Please use another gate; our staff will show you.",
        Reason::AlreadyInside | Reason::AlreadyUsed | Reason::NoEntriesLeft | Reason::NoEntriesLeftToday => {
            "Please come to the help desk with an identity card."
        }
        Reason::ZoneFull => "Please wait until somebody leaves.",
    }
}
