//! What people may do with a ticket, and what becomes of it: pure, a function of the ticket as it is. Knows no engine and no
//! request.

use engine::Time;
use engine::catalog::ZoneId;
use engine::ticket::{CodeKind, Details, Ticket, TicketStatus, TicketUse};

/// What somebody wants done.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// Stop it for now.
    Block,
    /// Let it go on.
    Unblock,
    /// It is paid, or may be used from now on.
    Activate,
    /// It was given back, and is never good again.
    Cancel,
    /// Another ticket with these codes takes its place.
    Reissue(Vec<(CodeKind, Vec<u8>)>),
    /// Somebody else has it; order and seat stay where they are not given.
    ChangeHolder {
        /// The new holder.
        holder: String,
        /// The new order.
        order: Option<String>,
        /// The new seat.
        seat: Option<String>,
    },
    /// Uses are given back.
    GiveBack {
        /// How many.
        uses: u16,
        /// Are so many people taken to be outside again? With no uses: all of them.
        leaves: bool,
    },
}

/// What becomes of the ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    /// It is so already.
    Same,
    /// It is otherwise.
    Changed(Ticket),
    /// Another takes its place.
    Replaced {
        /// As it is left.
        old: Ticket,
        /// The other one.
        new: Ticket,
    },
}

impl Wish {
    /// As the audit writes it.
    pub fn action(&self) -> &'static str {
        match self {
            Wish::Block => "block_ticket",
            Wish::Unblock => "unblock_ticket",
            Wish::Activate => "activate_ticket",
            Wish::Cancel => "cancel_ticket",
            Wish::Reissue(_) => "reissue_ticket",
            Wish::ChangeHolder { .. } => "change_holder",
            Wish::GiveBack { .. } => "give_back_uses",
        }
    }

    /// What becomes of a ticket that is so now.
    ///
    /// # Errors
    /// Why it contradicts how the ticket is, in words.
    pub fn judge(&self, ticket: &Ticket, now: Time) -> Result<Becomes, String> {
        use TicketStatus::{Active, Blocked, Cancelled, NotActivated, Superseded};
        let to = |status| Ok(Becomes::Changed(with_status(ticket, status, now)));
        match (self, ticket.status) {
            (Wish::Block, Blocked) | (Wish::Unblock | Wish::Activate, Active) | (Wish::Cancel, Cancelled) => {
                Ok(Becomes::Same)
            }
            (_, Cancelled) => Err("the ticket is cancelled, and that is final".to_owned()),
            (_, Superseded) => Err("another ticket took its place, and that is final".to_owned()),
            (Wish::Block, Active) => to(Blocked),
            (Wish::Block, NotActivated) => Err(
                "the ticket is not activated and admits nobody; unblocking it later would make it good: cancel it instead"
                    .to_owned(),
            ),
            (Wish::Unblock, Blocked) | (Wish::Activate, NotActivated) => to(Active),
            (Wish::Unblock, NotActivated) => Err("the ticket is not blocked; activate it".to_owned()),
            (Wish::Activate, Blocked) => Err("the ticket is blocked; unblock it".to_owned()),
            (Wish::Cancel, _) => to(Cancelled),
            (Wish::Reissue(codes), _) => Ok(reissued(ticket, codes, now)),
            (Wish::ChangeHolder { holder, order, seat }, _) => {
                Ok(held_by(ticket, holder, order.as_deref(), seat.as_deref()))
            }
            (Wish::GiveBack { uses, leaves }, _) => given_back(ticket, *uses, *leaves),
        }
    }
}

fn with_status(ticket: &Ticket, status: TicketStatus, now: Time) -> Ticket {
    Ticket { status, status_at: now, ..ticket.clone() }
}

/// The new ticket takes over what was used and who is inside, so that both together admit no more than one did. The old one
/// keeps what it did; nobody is inside with it any more.
fn reissued(ticket: &Ticket, codes: &[(CodeKind, Vec<u8>)], now: Time) -> Becomes {
    let status = match ticket.status {
        // What was lost or stolen was blocked for it; the new one is good.
        TicketStatus::Blocked => TicketStatus::Active,
        other => other,
    };
    let own = &ticket.details;
    let codes: Vec<(CodeKind, &[u8])> = codes.iter().map(|(kind, code)| (*kind, code.as_slice())).collect();
    let details = Details::new(own.reference(), own.holder(), own.order(), own.seat(), &codes);
    let new = Ticket { status, status_at: now, details, ..ticket.clone() };
    let usage = TicketUse { inside: 0, presence: ZoneId::OUTSIDE, ..ticket.usage };
    let old = Ticket { usage, ..with_status(ticket, TicketStatus::Superseded, now) };
    Becomes::Replaced { old, new }
}

fn held_by(ticket: &Ticket, holder: &str, order: Option<&str>, seat: Option<&str>) -> Becomes {
    let own = &ticket.details;
    let codes: Vec<(CodeKind, &[u8])> = own.codes().collect();
    let (order, seat) = (order.unwrap_or(own.order()), seat.unwrap_or(own.seat()));
    let details = Details::new(own.reference(), holder, order, seat, &codes);
    let changed = Ticket { details, ..ticket.clone() };
    if changed == *ticket { Becomes::Same } else { Becomes::Changed(changed) }
}

fn given_back(ticket: &Ticket, uses: u16, leaves: bool) -> Result<Becomes, String> {
    let mut usage = ticket.usage;
    if uses > usage.used {
        return Err(format!("{} uses can be given back, no more were used", usage.used));
    }
    usage.used -= uses;
    usage.day_used = usage.day_used.saturating_sub(uses);
    if leaves {
        let leaving = if uses == 0 { usage.inside } else { uses };
        usage.inside = usage.inside.saturating_sub(leaving);
        usage.presence = if usage.inside == 0 { ZoneId::OUTSIDE } else { usage.presence };
    }
    let changed = Ticket { usage, ..ticket.clone() };
    Ok(if changed == *ticket { Becomes::Same } else { Becomes::Changed(changed) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::catalog::{GateId, TypeId};

    const NOW: Time = Time(1_000);

    fn ticket(status: TicketStatus, used: u16, inside: u16) -> Ticket {
        let presence = if inside > 0 { ZoneId(1) } else { ZoneId::OUTSIDE };
        let usage = TicketUse { used, inside, presence, first_gate: GateId(3), ..TicketUse::default() };
        Ticket {
            type_id: TypeId(0),
            status,
            specimen: false,
            usage,
            valid_from: Time::MIN,
            valid_until: Time::MAX,
            status_at: Time(1),
            details: Details::new("T1", "Ann", "O1", "12", &[(CodeKind::Optical, b"A")]),
        }
    }

    #[test]
    fn every_status_takes_what_fits_it_and_says_why_it_takes_no_more() {
        use TicketStatus::{Active, Blocked, Cancelled, NotActivated, Superseded};
        // By status: what block, unblock, activate and cancel make of it; `None` is a refusal, the same a repeat.
        let table = [
            (Active, [Some(Blocked), Some(Active), Some(Active), Some(Cancelled)]),
            (NotActivated, [None, None, Some(Active), Some(Cancelled)]),
            (Blocked, [Some(Blocked), Some(Active), None, Some(Cancelled)]),
            (Cancelled, [None, None, None, Some(Cancelled)]),
            (Superseded, [None; 4]),
        ];
        for (status, row) in table {
            let wishes = [Wish::Block, Wish::Unblock, Wish::Activate, Wish::Cancel];
            for (wish, expected) in wishes.into_iter().zip(row) {
                let before = ticket(status, 0, 0);
                let expected = expected.map(|to| match to == status {
                    true => Becomes::Same,
                    false => Becomes::Changed(with_status(&before, to, NOW)),
                });
                assert_eq!(wish.judge(&before, NOW).ok(), expected, "{wish:?} of {status:?}");
            }
        }
    }

    #[test]
    fn a_reissued_ticket_takes_over_what_was_used_and_who_is_inside() {
        let codes = vec![(CodeKind::Optical, b"B".to_vec())];
        let before = ticket(TicketStatus::Blocked, 2, 1);
        let Ok(Becomes::Replaced { old, new }) = Wish::Reissue(codes).judge(&before, NOW) else {
            panic!("it is reissued");
        };
        assert_eq!((old.status, new.status), (TicketStatus::Superseded, TicketStatus::Active));
        assert_eq!(new.usage, before.usage);
        assert_eq!((old.usage.used, old.usage.inside, old.usage.presence), (2, 0, ZoneId::OUTSIDE));
        assert_eq!((new.details.holder(), new.details.seat(), new.details.reference()), ("Ann", "12", "T1"));
        assert_eq!(new.details.codes().collect::<Vec<_>>(), [(CodeKind::Optical, b"B".as_slice())]);
        assert_eq!(old.details, before.details);
    }

    #[test]
    fn exactly_what_was_asked_for_is_given_back_and_never_more_than_was_used() {
        let give = |uses, leaves, used, inside| {
            let wish = Wish::GiveBack { uses, leaves };
            match wish.judge(&ticket(TicketStatus::Active, used, inside), NOW) {
                Ok(Becomes::Changed(after)) => Some((after.usage.used, after.usage.inside)),
                Ok(Becomes::Same) => Some((used, inside)),
                _ => None,
            }
        };
        assert_eq!(give(1, false, 2, 1), Some((1, 1)));
        assert_eq!(give(2, true, 2, 1), Some((0, 0)));
        assert_eq!(give(1, true, 5, 5), Some((4, 4)));
        assert_eq!(give(0, true, 5, 5), Some((5, 0)));
        assert_eq!(give(3, false, 2, 1), None);
        assert_eq!(give(0, true, 0, 0), Some((0, 0)));
    }

    #[test]
    fn a_holder_changes_and_what_is_not_named_stays() {
        let before = ticket(TicketStatus::Active, 0, 0);
        let to = |holder: &str, seat: Option<&str>| Wish::ChangeHolder {
            holder: holder.to_owned(),
            order: None,
            seat: seat.map(str::to_owned),
        };
        assert_eq!(to("Ann", None).judge(&before, NOW), Ok(Becomes::Same));
        let Ok(Becomes::Changed(after)) = to("Bob", Some("")).judge(&before, NOW) else { panic!() };
        let own = &after.details;
        assert_eq!((own.holder(), own.order(), own.seat()), ("Bob", "O1", ""));
        assert!(own.codes().eq(before.details.codes()));
    }
}
