//! The decision: a pure function of ticket, scan, gate, policy and time. No lock, no I/O, no clock, no change.
//!
//! The rules are looked at in one order and the first that fails gives the reason (`Reason` lists them in it).
//! Two rules do not hold for an exit, so that a turnstile never keeps a guest in: the times and the gates of
//! a ticket type say where and when it *enters*.

use crate::catalog::{
    AntiPassback, CapacityRule, Catalog, Direction, Event, Gate, GateMode, Reentry, TicketType, ZoneId,
};
use crate::clock::Time;
use crate::decision::{Answer, Decision, Fact, Reason, Scan, ScanKind, Shown, TicketFacts, Verdict};
use crate::ticket::{Details, Ticket, TicketId, TicketStatus, TicketUse};

/// What a decision sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Events, gates, types.
    pub catalog: &'a Catalog,
    /// The ticket that has the code.
    pub ticket: Option<(TicketId, &'a Ticket)>,
    /// People inside each zone, by zone number.
    pub zone_inside: &'a [i64],
    /// Did an operator lock the device?
    pub locked: bool,
    /// The present moment.
    pub now: Time,
}

/// A refusal on its way: reason and the fact its message names.
type Refusal = (Reason, Fact);

/// The ticket with its policy, once it is known.
struct Holder<'a> {
    id: TicketId,
    ticket: &'a Ticket,
    kind: &'a TicketType,
    event: &'a Event,
}

/// The passage a scan asks for.
#[derive(Clone, Copy)]
struct Passage {
    direction: Direction,
    from: ZoneId,
    to: ZoneId,
}

/// What a good scan does to the ticket.
struct Effect {
    after: TicketUse,
    people: u16,
    attention: Option<Reason>,
}

/// Answers a scan. Costs about 50 ns beside the ticket's cache misses; allocates only for `wrong_gate` and `wrong_event`.
pub fn decide(view: &View<'_>, scan: &Scan<'_>) -> Decision {
    let Some(gate) = view.catalog.gate(scan.gate) else {
        return deny(view, scan, Direction::Entry, None, (Reason::GateClosed, Fact::None));
    };
    let passage = passage(gate, scan.direction);
    let holder = view.ticket.and_then(|(id, ticket)| {
        let kind = view.catalog.ticket_type(ticket.type_id)?;
        Some(Holder { id, ticket, kind, event: view.catalog.event(kind.event)? })
    });
    let Some(holder) = holder else {
        return deny(view, scan, passage.direction, None, (Reason::UnknownTicket, Fact::None));
    };
    if let Some(Shown::Denied(reason)) = scan.shown {
        return deny(view, scan, passage.direction, Some(&holder), (reason, Fact::None));
    }
    let result = validity(view, scan, gate, passage.direction, &holder)
        .and_then(|()| movement(view, scan, passage, &holder));
    match result {
        Ok(effect) => admit(view, scan, passage, &holder, effect, None),
        Err(refusal) if scan.overriding.is_some() || scan.shown == Some(Shown::Admitted) => {
            let effect = forced_effect(view, scan, passage, &holder);
            admit(view, scan, passage, &holder, effect, Some(refusal.0))
        }
        Err(refusal) => deny(view, scan, passage.direction, Some(&holder), refusal),
    }
}

/// The way people go: the request's or device's word, else the gate's own way.
fn passage(gate: &Gate, wanted: Option<Direction>) -> Passage {
    let own = if gate.to == ZoneId::OUTSIDE { Direction::Exit } else { Direction::Entry };
    let direction = wanted.unwrap_or(own);
    if direction == own {
        Passage { direction, from: gate.from, to: gate.to }
    } else {
        Passage { direction, from: gate.to, to: gate.from }
    }
}

/// Rules 3 to 10: is the ticket good, here and now?
fn validity(
    view: &View<'_>,
    scan: &Scan<'_>,
    gate: &Gate,
    direction: Direction,
    holder: &Holder<'_>,
) -> Result<(), Refusal> {
    match holder.ticket.status {
        TicketStatus::Active => {}
        TicketStatus::Cancelled => return Err((Reason::Cancelled, Fact::None)),
        TicketStatus::Blocked => return Err((Reason::Blocked, Fact::None)),
        TicketStatus::Superseded => return Err((Reason::Superseded, Fact::At(holder.ticket.status_at))),
        TicketStatus::NotActivated => return Err((Reason::NotActivated, Fact::None)),
    }
    if gate.event.is_some_and(|event| event != holder.kind.event) {
        return Err((Reason::WrongEvent, Fact::Words(holder.event.title.clone())));
    }
    if direction == Direction::Entry {
        let opens = opens_at(holder);
        if view.now < opens {
            return Err((Reason::TooEarly, Fact::At(opens)));
        }
        let ends = valid_until(holder);
        if view.now > ends {
            return Err((Reason::TooLate, Fact::At(ends)));
        }
        if !holder.kind.gates.is_empty() && !holder.kind.gates.contains(&scan.gate) {
            return Err((Reason::WrongGate, Fact::Words(gate_names(view.catalog, holder.kind))));
        }
    }
    if gate.mode == GateMode::Closed || gate.event.is_none() || view.locked {
        return Err((Reason::GateClosed, Fact::None));
    }
    Ok(())
}

fn opens_at(holder: &Holder<'_>) -> Time {
    holder.event.doors_open_at.max(holder.kind.valid_from).max(holder.ticket.valid_from)
}

fn valid_until(holder: &Holder<'_>) -> Time {
    holder.event.ends_at.min(holder.kind.valid_until).min(holder.ticket.valid_until)
}

/// The right gates in words, at most a handful: a display has two lines.
fn gate_names(catalog: &Catalog, kind: &TicketType) -> String {
    const NAMED: usize = 4;
    let names: Vec<&str> = kind
        .gates
        .iter()
        .take(NAMED)
        .filter_map(|id| catalog.gate(*id))
        .map(|gate| gate.name.as_str())
        .collect();
    let more = kind.gates.len().saturating_sub(NAMED);
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

/// Rules 11 and 12: may this guest move this way now?
fn movement(
    view: &View<'_>,
    scan: &Scan<'_>,
    passage: Passage,
    holder: &Holder<'_>,
) -> Result<Effect, Refusal> {
    match passage.direction {
        Direction::Exit => exit(view, scan, passage, holder),
        Direction::Entry => entry(view, scan, passage, holder),
    }
}

fn exit(view: &View<'_>, scan: &Scan<'_>, passage: Passage, holder: &Holder<'_>) -> Result<Effect, Refusal> {
    let usage = holder.ticket.usage;
    let people = scan.people.unwrap_or(usage.inside).max(1);
    let inside = usage.presence != ZoneId::OUTSIDE && usage.inside >= people;
    let attention = match (inside || holder.ticket.specimen, holder.kind.anti_passback) {
        (true, _) => None,
        (false, AntiPassback::Soft) => Some(Reason::NotInside),
        (false, _) => return Err((Reason::NotInside, Fact::None)),
    };
    Ok(Effect { after: moved(view, scan, passage, usage, people), people, attention })
}

fn entry(view: &View<'_>, scan: &Scan<'_>, passage: Passage, holder: &Holder<'_>) -> Result<Effect, Refusal> {
    let people = entry_people(scan, passage, holder);
    let paying = paying(passage, &holder.ticket.usage, people);
    let mut attention = passback(view, passage, holder, people)?;
    if paying > 0 {
        entries_left(view, scan, holder, people, paying)?;
    }
    let after = entered(view, scan, passage, holder, paying);
    let coming = coming(passage, &holder.ticket.usage, &after);
    if let Some(zone) = view.catalog.zone(passage.to)
        && let Some(capacity) = zone.capacity
        && coming > 0
        && view.zone_inside.get(passage.to.index()).copied().unwrap_or(0) + coming > i64::from(capacity)
    {
        match zone.rule {
            CapacityRule::Hard => return Err((Reason::ZoneFull, Fact::None)),
            CapacityRule::Soft => attention = attention.or(Some(Reason::ZoneFull)),
        }
    }
    Ok(Effect { after, people, attention })
}

/// Is this an inner gate for a guest that was seen coming in?
fn is_known_inside(passage: Passage, usage: &TicketUse) -> bool {
    passage.from != ZoneId::OUTSIDE && usage.presence != ZoneId::OUTSIDE
}

/// People this entry costs an entry: all that come from outside; between two inner zones only those that nobody
/// saw come in.
fn paying(passage: Passage, usage: &TicketUse, people: u16) -> u16 {
    if is_known_inside(passage, usage) { people.saturating_sub(usage.inside) } else { people }
}

/// People the zone gets: exactly what its head count grows by.
fn coming(passage: Passage, before: &TicketUse, after: &TicketUse) -> i64 {
    let in_zone = |usage: &TicketUse| if usage.presence == passage.to { i64::from(usage.inside) } else { 0 };
    in_zone(after) - in_zone(before)
}

/// People a group ticket lets pass when the device does not say: all that are still outside and paid for; at an
/// inner gate all that are inside, for a ticket is in one zone.
fn entry_people(scan: &Scan<'_>, passage: Passage, holder: &Holder<'_>) -> u16 {
    let usage = &holder.ticket.usage;
    if is_known_inside(passage, usage) {
        return scan.people.unwrap_or(usage.inside).max(1);
    }
    let outside = holder.kind.people.saturating_sub(usage.inside);
    let left = remaining(holder.kind, usage).unwrap_or(u16::MAX);
    scan.people.unwrap_or(outside.min(left)).max(1)
}

/// Anti-passback: is the holder beyond this gate already? `Ok(Some)` admits with attention.
fn passback(
    view: &View<'_>,
    passage: Passage,
    holder: &Holder<'_>,
    people: u16,
) -> Result<Option<Reason>, Refusal> {
    let usage = &holder.ticket.usage;
    let kind = holder.kind;
    let entered = Fact::Entered { gate: usage.first_gate, at: usage.first_at };
    let group_room = usage.inside.saturating_add(people) <= kind.people;
    let in_parts = kind.people > 1 && group_room;
    let beyond = match passage.from {
        ZoneId::OUTSIDE => usage.presence != ZoneId::OUTSIDE,
        _ => usage.presence == passage.to,
    };
    if kind.reentry == Reentry::None
        && !in_parts
        && usage.used > 0
        && (beyond || passage.from == ZoneId::OUTSIDE)
    {
        return Err((Reason::AlreadyUsed, entered));
    }
    if !beyond || in_parts || kind.reentry == Reentry::Free {
        return Ok(None);
    }
    let last = Fact::Entered { gate: usage.last_gate, at: usage.last_at };
    match kind.anti_passback {
        AntiPassback::Hard => Err((Reason::AlreadyInside, last)),
        AntiPassback::Soft => Ok(Some(Reason::AlreadyInside)),
        AntiPassback::Timed(minutes) => {
            let since_ms = view.now.since_ms(usage.last_at);
            if since_ms >= i64::from(minutes) * 60_000 {
                Ok(None)
            } else {
                Err((Reason::AlreadyInside, last))
            }
        }
    }
}

/// Entries left, over all times and on this day.
fn entries_left(
    view: &View<'_>,
    scan: &Scan<'_>,
    holder: &Holder<'_>,
    people: u16,
    paying: u16,
) -> Result<(), Refusal> {
    let usage = &holder.ticket.usage;
    let entered = Fact::Entered { gate: usage.first_gate, at: usage.first_at };
    // Two entries of a ticket for one are for one person twice, not for two at once.
    let too_many = people > holder.kind.people;
    if too_many || remaining(holder.kind, usage).is_some_and(|left| left < paying) {
        let reason = if holder.kind.entries == Some(1) && usage.used > 0 {
            Reason::AlreadyUsed
        } else {
            Reason::NoEntriesLeft
        };
        return Err((reason, entered));
    }
    if let Some(per_day) = holder.kind.entries_per_day {
        let (_, used_today) = day_so_far(view, scan, holder).unwrap_or_default();
        if u32::from(used_today) + u32::from(paying) > u32::from(per_day) * u32::from(holder.kind.people) {
            return Err((Reason::NoEntriesLeftToday, entered));
        }
    }
    Ok(())
}

/// People-entries a ticket has left; `None` is unlimited.
pub fn remaining(kind: &TicketType, usage: &TicketUse) -> Option<u16> {
    kind.entries.map(|entries| entries.saturating_mul(kind.people).saturating_sub(usage.used))
}

/// The day an entry counts for and what was used of it before. A day does not begin again because the clock
/// went back. `None`: the scan was uploaded late and is of an earlier day than the one that is known.
fn day_so_far(view: &View<'_>, scan: &Scan<'_>, holder: &Holder<'_>) -> Option<(u16, u16)> {
    let usage = &holder.ticket.usage;
    let today = view.catalog.calendar(holder.kind.event).map_or(0, |calendar| calendar.day(view.now));
    if today > usage.day {
        return Some((today, 0));
    }
    (today == usage.day || scan.kind != ScanKind::Offline).then_some((usage.day, usage.day_used))
}

/// The ticket after an entry.
fn entered(
    view: &View<'_>,
    scan: &Scan<'_>,
    passage: Passage,
    holder: &Holder<'_>,
    paying: u16,
) -> TicketUse {
    let before = holder.ticket.usage;
    let mut after = before;
    let late = late(view, scan, &before);
    if paying > 0 {
        after.used = before.used.saturating_add(paying);
        if before.used == 0 || (late && view.now < before.first_at) {
            after.first_at = view.now;
            after.first_gate = scan.gate;
        }
        if holder.kind.entries_per_day.is_some()
            && let Some((day, used)) = day_so_far(view, scan, holder)
        {
            (after.day, after.day_used) = (day, used.saturating_add(paying));
        }
    }
    after.inside = before.inside.saturating_add(paying).min(holder.kind.people);
    if !late {
        after.presence = passage.to;
        after.last_at = view.now;
        after.last_gate = scan.gate;
    } else if after.presence == ZoneId::OUTSIDE {
        // From before an exit that is known: the guest is out again.
        after.inside = before.inside;
    }
    after
}

/// A scan uploaded late, from before something newer that is known of the ticket: history, but not where the guest is.
fn late(view: &View<'_>, scan: &Scan<'_>, before: &TicketUse) -> bool {
    scan.kind == ScanKind::Offline && before.used > 0 && view.now < before.last_at
}

/// The ticket after an exit, or after a way back to another inner zone.
fn moved(view: &View<'_>, scan: &Scan<'_>, passage: Passage, before: TicketUse, people: u16) -> TicketUse {
    let mut after = before;
    if late(view, scan, &before) {
        return after;
    }
    if passage.to == ZoneId::OUTSIDE {
        after.inside = before.inside.saturating_sub(people);
    } else {
        after.inside = before.inside.max(1);
    }
    let somebody_stays = passage.to == ZoneId::OUTSIDE && after.inside > 0;
    if !somebody_stays {
        after.presence = passage.to;
    }
    after.last_at = view.now;
    after.last_gate = scan.gate;
    after
}

/// What an override, or a green light that was already shown, does to the ticket. Never more entries than it has (A1).
fn forced_effect(view: &View<'_>, scan: &Scan<'_>, passage: Passage, holder: &Holder<'_>) -> Effect {
    let before = holder.ticket.usage;
    let moving = if is_known_inside(passage, &before) { before.inside } else { 1 };
    let people = scan.people.unwrap_or(moving).clamp(1, holder.kind.people);
    if passage.direction == Direction::Exit {
        return Effect { after: moved(view, scan, passage, before, people), people, attention: None };
    }
    let mut after = entered(view, scan, passage, holder, paying(passage, &before, people));
    if let Some(entries) = holder.kind.entries {
        after.used = after.used.min(entries.saturating_mul(holder.kind.people)).max(before.used);
    }
    Effect { after, people, attention: None }
}

fn admit(
    view: &View<'_>,
    scan: &Scan<'_>,
    passage: Passage,
    holder: &Holder<'_>,
    effect: Effect,
    bent: Option<Reason>,
) -> Decision {
    let counts = scan.kind != ScanKind::Test && !holder.ticket.specimen;
    let usage = if counts { effect.after } else { holder.ticket.usage };
    let overridden = bent.filter(|_| scan.overriding.is_some());
    let attention = effect.attention.or(bent);
    let answer = Answer {
        at: view.now,
        kind: scan.kind,
        verdict: Verdict::Admit { attention },
        overridden,
        direction: passage.direction,
        gate: scan.gate,
        people: effect.people,
        ticket: Some(facts(
            holder,
            remaining(holder.kind, if scan.kind == ScanKind::Test { &effect.after } else { &usage }),
        )),
        fact: Fact::None,
        fact_offset_s: 0,
        shows_name: shows_name(view, scan),
    };
    let conflict = bent.filter(|_| scan.shown == Some(Shown::Admitted) && overridden.is_none());
    Decision { answer, after: counts.then_some(effect.after), conflict }
}

fn deny(
    view: &View<'_>,
    scan: &Scan<'_>,
    direction: Direction,
    holder: Option<&Holder<'_>>,
    refusal: Refusal,
) -> Decision {
    let forced = holder.is_none() && (scan.overriding.is_some() || scan.shown == Some(Shown::Admitted));
    let verdict =
        if forced { Verdict::Admit { attention: Some(refusal.0) } } else { Verdict::Deny(refusal.0) };
    let answer = Answer {
        at: view.now,
        kind: scan.kind,
        verdict,
        overridden: Some(refusal.0).filter(|_| forced && scan.overriding.is_some()),
        direction,
        gate: scan.gate,
        people: if forced { scan.people.unwrap_or(1).max(1) } else { 0 },
        ticket: holder.map(|holder| facts(holder, remaining(holder.kind, &holder.ticket.usage))),
        fact_offset_s: fact_offset_s(view, holder, &refusal.1),
        fact: refusal.1,
        shows_name: shows_name(view, scan),
    };
    let conflict = Some(refusal.0).filter(|_| forced && scan.overriding.is_none());
    Decision { answer, after: None, conflict }
}

/// Kept with the answer, so that a venue that changes its time zone changes no answer it gave.
fn fact_offset_s(view: &View<'_>, holder: Option<&Holder<'_>>, fact: &Fact) -> i32 {
    let (Fact::At(at) | Fact::Entered { at, .. }) = fact else { return 0 };
    let calendar = holder.and_then(|holder| view.catalog.calendar(holder.kind.event));
    calendar.map_or(0, |calendar| calendar.offset_s(*at))
}

fn shows_name(view: &View<'_>, scan: &Scan<'_>) -> bool {
    view.catalog.device(scan.device).is_some_and(|device| device.shows_name)
}

fn facts(holder: &Holder<'_>, remaining: Option<u16>) -> TicketFacts {
    TicketFacts {
        ticket: holder.id,
        type_id: holder.ticket.type_id,
        valid_until: valid_until(holder),
        remaining,
        specimen: holder.ticket.specimen,
        label: Details::clone(&holder.ticket.details),
    }
}
