//! The work of one scan on a bare state: seen before?, ticket, decision, application. The same steps in the same
//! order as `Engine::scan`, without its lock and its journal. Knows no time but the scans' own.

use crate::stream::Stream;
use crate::venue::{self, BEGIN, Rule};
use crate::{BATCH, timed};
use engine::Time;
use engine::decide::decide;
use engine::decision::{Decision, Scan, Verdict};
use engine::limits::SCAN_RETENTION_MS;
use engine::record::{Record, ScanRecord};
use engine::state::State;
use engine::ticket::{TicketId, TicketUse};
use std::time::Duration;

/// A state and the scans for it.
pub struct Direct {
    /// The state.
    pub state: State,
    stream: Stream,
    now: Time,
    step_ms: i64,
    scanned: u64,
    admitted: u64,
}

/// What comes of the scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Every ticket may enter as often as it likes: all are admitted.
    Reentry,
    /// Every ticket enters for the first time: all are admitted.
    Fresh,
    /// Every ticket has entered before: all are refused.
    Used,
}

// === impl Direct ===

impl Direct {
    /// `tickets` tickets and `kept` kept scans. Time goes on so fast that, from here on, every scan also forgets an
    /// expired one: a node at the end of a long day.
    pub fn new(tickets: u32, kept: u64, course: Course) -> Direct {
        assert!(kept > 0);
        let rule = if course == Course::Reentry { Rule::Staff } else { Rule::Standard };
        let mut direct = Direct {
            state: venue::state(tickets, rule),
            stream: Stream::new(tickets, 1),
            now: BEGIN,
            step_ms: (SCAN_RETENTION_MS / kept as i64).max(1),
            scanned: 0,
            admitted: 0,
        };
        direct.fill(kept.max(u64::from(tickets)));
        if course == Course::Fresh {
            direct.forget_entries();
        }
        direct
    }

    fn fill(&mut self, count: u64) {
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH).min(self.stream.until_round());
            self.stream.prepare(batch);
            self.run();
            left -= batch;
        }
    }

    /// Does `count` scans and gives the time they took; checks that each came out as `course` says.
    pub fn measure(&mut self, count: u64, course: Course) -> Duration {
        let (scanned, admitted) = (self.scanned, self.admitted);
        let spent = timed(self, count, |own, batch| own.prepare(batch, course), |own, _| own.run());
        let expected = if course == Course::Used { 0 } else { count };
        assert_eq!(self.scanned - scanned, count);
        assert_eq!(self.admitted - admitted, expected);
        spent
    }

    fn prepare(&mut self, count: u64, course: Course) {
        if course == Course::Fresh {
            self.forget_entries_if_used_up(count);
        }
        self.stream.prepare(count);
    }

    /// Scans what is prepared.
    fn run(&mut self) {
        let Direct { state, stream, now, step_ms, .. } = self;
        let (mut scanned, mut admitted) = (0, 0);
        for scan in stream.scans() {
            now.0 += *step_ms;
            admitted += u64::from(scan_once(state, &scan, *now).admits());
            scanned += 1;
        }
        self.scanned += scanned;
        self.admitted += admitted;
    }

    fn forget_entries_if_used_up(&mut self, count: u64) {
        let left = self.stream.until_round();
        let tickets = self.state.tickets.len() as u64;
        if left < count || left == tickets {
            // What is left of this round is skipped: a batch must not cross two rounds.
            self.stream.prepare(left % tickets);
            self.forget_entries();
        }
    }

    fn forget_entries(&mut self) {
        for number in 0..self.state.tickets.len() as u32 {
            self.state.tickets.set_usage(TicketId(number), TicketUse::default());
        }
    }
}

/// One scan, as `Engine::scan` does it.
pub fn scan_once(state: &mut State, scan: &Scan<'_>, now: Time) -> Verdict {
    let scan_id = scan.scan_id.unwrap_or("");
    let seen = state.scans.find(state.key_of_id(scan.device, scan_id)).is_some();
    assert!(!seen, "every scan of a workload is new");
    let found = state.tickets.find(scan.code_kind, scan.code);
    let decision = decide(&state.view(scan, found, now), scan);
    // The engine makes the key a second time, so this does.
    let key = state.key_of_id(scan.device, scan_id);
    let record = record(scan, decision, key, now);
    state.apply(state.lsn + 1, &record);
    let Record::Scan(ScanRecord { answer, .. }) = record else { unreachable!("it was made a scan above") };
    answer.verdict
}

/// The record of a decision.
pub fn record<'s>(
    scan: &Scan<'s>,
    decision: Decision,
    key: engine::record::ScanKey,
    now: Time,
) -> Record<'s> {
    Record::Scan(ScanRecord {
        device: scan.device,
        scan_id: scan.scan_id.unwrap_or(""),
        key,
        code_kind: scan.code_kind,
        code: scan.code,
        scanned_at: scan.scanned_at,
        answer: decision.answer,
        after: decision.after,
        overriding: scan.overriding,
        conflict: decision.conflict,
        recorded_at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(course: Course) {
        let mut direct = Direct::new(500, 200, course);
        direct.measure(1_300, course);
        // One that expires at this very moment is still kept.
        assert_eq!(direct.state.scans.len(), 201);
        assert_eq!(direct.state.tickets.len(), 500);
    }

    #[test]
    fn reentries_are_all_admitted() {
        check(Course::Reentry);
    }

    #[test]
    fn used_tickets_are_all_refused() {
        check(Course::Used);
    }

    #[test]
    fn fresh_tickets_are_all_admitted_again_and_again() {
        let mut direct = Direct::new(3 * BATCH as u32, 200, Course::Fresh);
        direct.measure(10 * BATCH, Course::Fresh);
    }
}
