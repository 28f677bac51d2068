//! What is done about a job after a try: pure. Only what left nothing on paper is ever tried again by itself. Knows no
//! queue and no clock.

use crate::job::JobState;
use crate::pace::{Pace, doubled};
use driver_abi::{Done, Fault};
use std::time::Duration;

/// What is done about a job after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is over.
    Over(JobState),
    /// This job is tried again after so long; others may go first.
    Again(Duration),
    /// The device cannot work now: everything waits, and the try does not count.
    Wait,
}

/// After a try that came so far: `attempts` with it.
pub fn next(done: Done, fault: Option<Fault>, attempts: u32, pace: &Pace) -> Next {
    match done {
        Done::Sent => Next::Over(JobState::Sent),
        Done::Confirmed => Next::Over(JobState::Confirmed),
        Done::Unknown => Next::Over(JobState::Unknown),
        Done::None => match fault {
            Some(Fault::Invalid | Fault::Unsupported | Fault::Config) => Next::Over(JobState::None),
            Some(fault) if keeps_from_working(fault) => Next::Wait,
            _ => Next::Again(doubled(pace.retry_first, pace.retry_most, attempts)),
        },
    }
}

/// Is it the device that cannot work now, whatever the document?
pub fn keeps_from_working(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::PaperOut
            | Fault::CoverOpen
            | Fault::Cutter
            | Fault::Jam
            | Fault::Overheat
            | Fault::Offline
            | Fault::Gone
            | Fault::Busy
    )
}

/// What staff has to do about it.
pub fn alarm(fault: Fault) -> &'static str {
    match fault {
        Fault::PaperOut => "out of paper: put in a new roll",
        Fault::CoverOpen => "the cover is open: close it",
        Fault::Cutter => "the cutter is stuck: switch off, free it, switch on",
        Fault::Jam => "paper jam: open, take the paper out, close",
        Fault::Overheat => "too hot: let it cool down",
        Fault::Offline => "off-line: press its feed or on-line button",
        Fault::Gone => "not there: look at its power and its cable",
        Fault::Busy => "another program has the device: end that one",
        Fault::Config => "its settings are wrong",
        other => other.words(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_left_nothing_on_paper_is_tried_again() {
        let again = |s| Next::Again(Duration::from_secs(s));
        let over = Next::Over;
        #[rustfmt::skip]
        let table = [
            // done, fault, attempts, next
            (Done::Sent, None, 1, over(JobState::Sent)),
            (Done::Confirmed, None, 1, over(JobState::Confirmed)),
            (Done::Confirmed, Some(Fault::PaperOut), 1, over(JobState::Confirmed)),
            (Done::Unknown, None, 1, over(JobState::Unknown)),
            (Done::Unknown, Some(Fault::PaperOut), 1, over(JobState::Unknown)),
            (Done::Unknown, Some(Fault::Io), 9, over(JobState::Unknown)),
            (Done::None, Some(Fault::Invalid), 1, over(JobState::None)),
            (Done::None, Some(Fault::Unsupported), 1, over(JobState::None)),
            (Done::None, Some(Fault::Config), 1, over(JobState::None)),
            (Done::None, Some(Fault::PaperOut), 1, Next::Wait),
            (Done::None, Some(Fault::CoverOpen), 99, Next::Wait),
            (Done::None, Some(Fault::Cutter), 1, Next::Wait),
            (Done::None, Some(Fault::Jam), 1, Next::Wait),
            (Done::None, Some(Fault::Overheat), 1, Next::Wait),
            (Done::None, Some(Fault::Offline), 1, Next::Wait),
            (Done::None, Some(Fault::Gone), 1, Next::Wait),
            (Done::None, Some(Fault::Busy), 1, Next::Wait),
            (Done::None, Some(Fault::Io), 1, again(1)),
            (Done::None, Some(Fault::Timeout), 2, again(2)),
            (Done::None, Some(Fault::Protocol), 3, again(4)),
            (Done::None, Some(Fault::Panic), 6, again(32)),
            (Done::None, Some(Fault::Internal), 7, again(60)),
            (Done::None, Some(Fault::NoMemory), 4_000_000_000, again(60)),
            (Done::None, Some(Fault::Cancelled), 1, again(1)),
            (Done::None, None, 1, again(1)),
        ];
        for (done, fault, attempts, wanted) in table {
            let found = next(done, fault, attempts, &Pace::default());
            assert_eq!(found, wanted, "{done:?} {fault:?} {attempts}");
        }
        for fault in Fault::ALL {
            let found = next(Done::Unknown, Some(*fault), 1, &Pace::default());
            assert_eq!(found, over(JobState::Unknown), "{fault:?}");
        }
    }
}
