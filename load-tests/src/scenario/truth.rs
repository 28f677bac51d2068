//! What each answer has to be, and what has become of each ticket. Knows tickets and verdicts; knows no time.
//!
//! The rule it keeps: a ticket is admitted once, whoever presents it how often and wherever at the same moment.

use std::collections::HashMap;

use super::plan::{OfflineRow, Plan, Random, Wish};
use crate::codes::{ALREADY_USED, Answered, Expected, Fault, judge};
use crate::reply::Verdict;

/// A scan whose code is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose code; `None`: nobody's.
    pub ticket: Option<u32>,
    /// What the answer has to be.
    pub due: Due,
}

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// This, whatever else happens.
    Certain(Expected),
    /// Admitted here or at the other reader that presents it now, and denied as used at the one of the two that is later.
    OneOfTwo,
}

/// What is known of every ticket.
#[derive(Debug)]
pub struct Truth {
    /// By ticket: the reader that admitted it first.
    admitted_by: Vec<Option<u32>>,
    /// Of tickets at two readers at once: what the first of the two was told.
    copies: HashMap<u32, Answered>,
    /// By stream and event: tickets whose admission was answered.
    used: Vec<Vec<u32>>,
    events: usize,
    random: Random,
}

// === impl Truth ===

impl Truth {
    /// Nobody has been admitted yet.
    pub fn new(plan: &Plan, events: usize) -> Truth {
        Truth {
            admitted_by: vec![None; plan.tickets.len()],
            copies: HashMap::new(),
            used: vec![Vec::new(); plan.streams.len() * events],
            events,
            random: Random(u64::from(plan.seed) + 1),
        }
    }

    /// Decides which code a wish presents at this reader, now that it is sent.
    pub fn claim(&mut self, plan: &Plan, stream: usize, reader: usize, wish: Wish) -> Claim {
        let (ticket, due) = match wish {
            Wish::Fresh(ticket) => (Some(ticket), Due::Certain(Expected::Admit)),
            Wish::Copied(ticket) => (Some(ticket), Due::OneOfTwo),
            Wish::Refused(ticket, reason) => (Some(ticket), Due::Certain(Expected::Deny(reason))),
            Wish::Unknown(_) => (None, Due::Certain(Expected::Deny("unknown_ticket"))),
            Wish::Used(fallback) => match self.used_elsewhere(plan, stream, reader) {
                Some(ticket) => (Some(ticket), Due::Certain(Expected::Deny(ALREADY_USED))),
                None => (Some(fallback), Due::Certain(Expected::Admit)),
            },
        };
        Claim { ticket, due }
    }

    /// A ticket that another reader admitted: at the same one, a reader without scan ids would be taken to stutter.
    fn used_elsewhere(&mut self, plan: &Plan, stream: usize, reader: usize) -> Option<u32> {
        const TRIES: usize = 4;
        let used = &self.used[stream * self.events + plan.readers[reader].event];
        (0..TRIES).find_map(|_| {
            let ticket = *used.get(self.random.below(used.len()))?;
            (self.admitted_by[ticket as usize] != Some(reader as u32)).then_some(ticket)
        })
    }

    /// Judges the answer to a claim and remembers an admission.
    pub fn settle(
        &mut self,
        plan: &Plan,
        (stream, reader): (usize, usize),
        claim: Claim,
        (status, verdict): (u16, Verdict<'_>),
    ) -> Result<Answered, Fault> {
        let answered = match (claim.due, claim.ticket) {
            (Due::Certain(expected), _) => judge(expected, status, verdict)?,
            (Due::OneOfTwo, ticket) => self.settle_copy(ticket.unwrap_or_default(), status, verdict)?,
        };
        if let (Answered::Admitted, Some(ticket)) = (answered, claim.ticket)
            && self.admitted_by[ticket as usize].is_none()
        {
            self.admitted_by[ticket as usize] = Some(reader as u32);
            self.used[stream * self.events + plan.readers[reader].event].push(ticket);
        }
        Ok(answered)
    }

    /// An upload was taken in: every guest of it is in, and from now on its tickets are presented as used ones too.
    pub fn uploaded(&mut self, plan: &Plan, reader: usize, rows: &[OfflineRow]) {
        let event = plan.readers[reader].event;
        for row in rows {
            self.admitted_by[row.ticket as usize] = Some(reader as u32);
            let of_event = self.used.iter_mut().skip(event).step_by(self.events);
            of_event.for_each(|used| used.push(row.ticket));
        }
    }

    fn settle_copy(&mut self, ticket: u32, status: u16, verdict: Verdict<'_>) -> Result<Answered, Fault> {
        let expected = match self.copies.get(&ticket) {
            None if verdict == Verdict::Granted => Expected::Admit,
            None | Some(Answered::Admitted) => Expected::Deny(ALREADY_USED),
            Some(Answered::Denied) => Expected::Admit,
        };
        let answered = judge(expected, status, verdict)?;
        self.copies.insert(ticket, answered);
        Ok(answered)
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::Scenario;
    use super::super::plan::Setting;
    use super::*;

    const USED: Verdict<'_> = Verdict::Denied(b"already_used");

    fn start() -> (Plan, Truth) {
        let scenario = Scenario::find("late-surge").unwrap();
        let plan = Plan::new(&scenario, Setting { scale: 0.05, compress: 1.0, seed: 1 });
        let truth = Truth::new(&plan, 1);
        (plan, truth)
    }

    #[test]
    fn of_two_copies_exactly_one_is_admitted() {
        let check = |first: Verdict<'_>, second: Verdict<'_>, expected: Option<Fault>| {
            let (plan, mut truth) = start();
            let claim = truth.claim(&plan, 0, 0, Wish::Copied(0));
            truth.settle(&plan, (0, 0), claim, (200, first)).unwrap();
            let found = truth.settle(&plan, (0, 1), claim, (200, second)).err();
            assert_eq!(found, expected, "{first:?} {second:?}");
        };
        check(Verdict::Granted, USED, None);
        check(USED, Verdict::Granted, None);
        check(Verdict::Granted, Verdict::DeniedUntold, None);
        check(Verdict::Granted, Verdict::Granted, Some(Fault::SecondAdmission));
        check(USED, USED, Some(Fault::Refused { reason: "already_used".to_owned() }));
    }

    #[test]
    fn a_used_ticket_is_presented_elsewhere_and_only_after_its_admission_was_answered() {
        let (plan, mut truth) = start();
        let fresh = truth.claim(&plan, 0, 0, Wish::Used(3));
        assert_eq!(fresh, Claim { ticket: Some(3), due: Due::Certain(Expected::Admit) });
        truth.settle(&plan, (0, 0), fresh, (200, Verdict::Granted)).unwrap();
        assert_eq!(truth.claim(&plan, 0, 0, Wish::Used(4)).ticket, Some(4), "the same reader would stutter");
        let used = truth.claim(&plan, 0, 1, Wish::Used(5));
        assert_eq!(used, Claim { ticket: Some(3), due: Due::Certain(Expected::Deny(ALREADY_USED)) });
        let again = truth.settle(&plan, (0, 1), used, (200, Verdict::Granted));
        assert_eq!(again, Err(Fault::SecondAdmission));
    }

    #[test]
    fn a_ticket_of_an_upload_is_used_from_then_on() {
        let scenario = Scenario::find("backlog").unwrap();
        let plan = Plan::new(&scenario, Setting { scale: 0.05, compress: 1.0, seed: 1 });
        let mut truth = Truth::new(&plan, 1);
        let (upload, reader) = (&plan.uploads[0], plan.uploads[0].readers.start);
        truth.uploaded(&plan, reader, &upload.rows[0]);
        let claim = truth.claim(&plan, 0, 0, Wish::Used(0));
        assert_eq!(claim.due, Due::Certain(Expected::Deny(ALREADY_USED)));
        assert!(upload.rows[0].iter().any(|row| Some(row.ticket) == claim.ticket));
    }

    #[test]
    fn what_nobody_sold_may_never_be_admitted() {
        let (plan, mut truth) = start();
        let claim = truth.claim(&plan, 0, 0, Wish::Unknown(1));
        let wrong = truth.settle(&plan, (0, 0), claim, (200, Verdict::Granted));
        assert_eq!(wrong, Err(Fault::WronglyAdmitted { expected: "unknown_ticket" }));
    }
}
