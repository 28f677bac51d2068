//! Lines and devices that fail: slow, stuck, mute, broken, out of paper, out of their minds.

use super::{Outcome, Verdict, pass};
use crate::fake::{Says, Takes};
use crate::subject::{Bench, MARKS, PLENTY, Ran, Subject, fault_words};
use driver_abi::{Done, Fault, Proof, Status};
use std::time::Duration;

/// Places where a line is broken, at most: first and last bytes, and as many between.
const CUTS_MAX: usize = 24;
/// A driver is back so soon after its host gave up.
const BACK_MAX: Duration = Duration::from_secs(2);
/// Calls that are refused because the host gave up; a driver needs one to learn of it.
const CALLS_AFTER_CANCEL_MAX: usize = 16;

const ANSWERS: Says = Says::Answers { paper: true };

/// A bench and the document on it.
fn with_words(
    subject: &Subject,
    usb: bool,
    takes: Takes,
    says: Says,
    timeout: Duration,
) -> Result<(Bench, Ran), String> {
    let mut bench = subject.bench(usb, takes, says)?;
    let words = bench.words(MARKS.0);
    let ran = bench.run(&words, timeout)?;
    Ok((bench, ran))
}

/// The document on a device that is well: what it writes in all, and what became of it.
fn whole(subject: &Subject) -> Result<(usize, Ran), String> {
    let (bench, ran) = with_words(subject, false, Takes::All, ANSWERS, PLENTY)?;
    let written = bench.wire.lock().written.len();
    Ok((written, ran))
}

pub fn small_pieces(subject: &Subject) -> Verdict {
    let (written, well) = whole(subject)?;
    let (bench, ran) = with_words(subject, false, Takes::Pieces(1), ANSWERS, PLENTY)?;
    if (ran.done, ran.fault) != (well.done, well.fault) {
        return Err(format!(
            "in one piece {:?}, byte by byte {:?}, {}",
            well.done,
            ran.done,
            fault_words(ran.fault)
        ));
    }
    let pieces = bench.wire.lock().written.len();
    if pieces != written {
        return Err(format!("in one piece {written} bytes, byte by byte {pieces}"));
    }
    pass()
}

pub fn broken_line(subject: &Subject) -> Verdict {
    let (written, well) = whole(subject)?;
    let mut notes = Vec::new();
    let step = written.div_ceil(CUTS_MAX).max(1);
    for cut in (0..written).step_by(step).chain([written.saturating_sub(1)]) {
        for fault in [Fault::Io, Fault::Gone] {
            let (_, ran) = with_words(subject, false, Takes::Until(cut, fault), ANSWERS, PLENTY)?;
            let place = format!("the line broke after {cut} of {written} bytes ({fault})");
            if ran.fault.is_none() {
                return Err(format!("{place}, and `run` answered GHD_OK, {:?}", ran.done));
            }
            if ran.printed < well.printed && matches!(ran.done, Done::Sent | Done::Confirmed) {
                return Err(format!("{place}, and `run` answered {:?}", ran.done));
            }
            if ran.printed == 0 && ran.done == Done::Unknown && notes.is_empty() {
                notes.push(format!("{place}, nothing had printed, and yet a person is asked (UNKNOWN)"));
            }
        }
    }
    for usb in [false, true] {
        let (bench, ran) = with_words(subject, usb, Takes::All, Says::Fails(Fault::Gone), PLENTY)?;
        notes.extend(unheard(bench, &ran, "nothing could be read from the device")?);
    }
    notes.dedup();
    Ok(Outcome::Pass(notes))
}

pub fn stuck_device(subject: &Subject) -> Verdict {
    let mut notes = Vec::new();
    for ms in [0, 200, 1_000] {
        let (takes, timeout) = (Takes::Until(0, Fault::Timeout), Duration::from_millis(ms));
        for usb in [false, true] {
            let (_, ran) = with_words(subject, usb, takes, Says::Nothing, timeout)?;
            if ran.fault.is_none() {
                let done = ran.done;
                return Err(format!("in {ms} ms not a byte was taken, and `run` answered GHD_OK, {done:?}"));
            }
            notes.extend(late(&ran, timeout));
        }
    }
    // Half of it is taken: what is told then decides whether a ticket comes twice.
    let (written, well) = whole(subject)?;
    let takes = Takes::Until(written.div_ceil(2), Fault::Timeout);
    let (_, ran) = with_words(subject, false, takes, ANSWERS, Duration::from_secs(1))?;
    if ran.printed < well.printed && (ran.fault.is_none() || matches!(ran.done, Done::Sent | Done::Confirmed))
    {
        let words = fault_words(ran.fault);
        return Err(format!("half of it was taken, and `run` answered {:?}, {words}", ran.done));
    }
    notes.dedup();
    Ok(Outcome::Pass(notes))
}

pub fn mute_device(subject: &Subject) -> Verdict {
    const GIVEN: Duration = Duration::from_millis(1_500);
    let mut notes = Vec::new();
    for usb in [false, true] {
        let (bench, ran) = with_words(subject, usb, Takes::All, Says::Nothing, GIVEN)?;
        notes.extend(late(&ran, GIVEN));
        notes.extend(unheard(bench, &ran, "the device said nothing")?);
    }
    notes.dedup();
    Ok(Outcome::Pass(notes))
}

/// A deadline that was overrun by more than a busy machine explains. Told, not judged: that is the watch's, who waits
/// longer.
fn late(ran: &Ran, given: Duration) -> Option<String> {
    const BUSY_MACHINE: Duration = Duration::from_millis(500);
    (ran.took > given + BUSY_MACHINE)
        .then(|| format!("given {} ms, `run` came back after {} ms", given.as_millis(), ran.took.as_millis()))
}

/// A device that said nothing confirmed nothing. Where the way itself is the paper (a file), a driver promises no proof.
fn unheard(mut bench: Bench, ran: &Ran, place: &str) -> Result<Option<String>, String> {
    if ran.done != Done::Confirmed {
        return Ok(None);
    }
    match bench.capabilities()?.proof {
        Proof::None => {
            Ok(Some(format!("{place}, its capabilities know no proof, and `run` answered CONFIRMED")))
        }
        proof => {
            Err(format!("{place}, its capabilities promise proof ({proof:?}), and `run` answered CONFIRMED"))
        }
    }
}

pub fn slow_device(subject: &Subject) -> Verdict {
    let (written, _) = whole(subject)?;
    let takes = Takes::Stalls(written.div_ceil(2), Duration::from_millis(400));
    let (bench, ran) = with_words(subject, false, takes, ANSWERS, Duration::from_secs(2))?;
    let slowly = bench.wire.lock().written.len();
    if slowly > written {
        return Err(format!(
            "the document is {written} bytes, it wrote {slowly}: something came twice ({:?}, {})",
            ran.done,
            fault_words(ran.fault)
        ));
    }
    pass()
}

pub fn garbage(subject: &Subject) -> Verdict {
    const TIME: Duration = Duration::from_millis(300);
    for (offset, piece) in [1, 1, 7, 64, 512].into_iter().enumerate() {
        let seed = subject.seed.wrapping_add(offset as u64);
        let told = |error| format!("seed {seed}, pieces of {piece}: {error}");
        for usb in [false, true] {
            let mut bench = subject.bench(usb, Takes::All, Says::Garbage { seed, piece })?;
            let words = bench.words(MARKS.0);
            let _ = bench.status(TIME).map_err(told)?;
            let _ = bench.probe(TIME).map_err(told)?;
            bench.run(&words, TIME).map_err(told)?;
            let _ = bench.tick().map_err(told)?;
            let _ = bench.reset(TIME).map_err(told)?;
        }
    }
    Ok(Outcome::Pass(vec![format!("seed {}", subject.seed)]))
}

pub fn cancel(subject: &Subject) -> Verdict {
    const GIVEN: Duration = Duration::from_secs(20);
    const WAIT: Duration = Duration::from_millis(200);
    let (written, _) = whole(subject)?;
    let devices = [
        ("takes nothing", Takes::Until(0, Fault::Timeout), Says::Nothing),
        ("takes half", Takes::Until(written.div_ceil(2), Fault::Timeout), ANSWERS),
        ("never answers", Takes::All, Says::Nothing),
    ];
    for (name, takes, says) in devices {
        for usb in [false, true] {
            let mut bench = subject.bench(usb, takes, says)?;
            let words = bench.words(MARKS.0);
            let canceller = bench.cancel_after(WAIT);
            let ran = bench.run(&words, GIVEN)?;
            let _ = canceller.join();
            if ran.took > WAIT + BACK_MAX {
                return Err(format!(
                    "on a device that {name} it came back {} ms after its host gave up",
                    ran.took.saturating_sub(WAIT).as_millis()
                ));
            }
            let calls = bench.wire.lock().after_cancel;
            if calls > CALLS_AFTER_CANCEL_MAX {
                return Err(format!("on a device that {name} it went on calling its host {calls} times"));
            }
        }
    }
    pass()
}

pub fn paper_out(subject: &Subject) -> Verdict {
    let mut asked = false;
    for usb in [false, true] {
        let mut bench = subject.bench(usb, Takes::All, Says::Answers { paper: false })?;
        let status = bench.status(PLENTY)?;
        if std::mem::take(&mut bench.wire.lock().state_asked) {
            asked = true;
            let told =
                matches!(status, Ok(bits) if bits.has(Status::PAPER_OUT)) || status == Err(Fault::PaperOut);
            if !told {
                return Err(format!("`status` was told that there is no paper, and answered {status:?}"));
            }
        }
        let words = bench.words(MARKS.0);
        let ran = bench.run(&words, PLENTY)?;
        if bench.wire.lock().state_asked {
            asked = true;
            let told = ran.fault == Some(Fault::PaperOut) || ran.status.has(Status::PAPER_OUT);
            if !told || ran.done == Done::Confirmed {
                return Err(format!(
                    "`run` was told that there is no paper, and answered {:?}, {}, status {}",
                    ran.done,
                    fault_words(ran.fault),
                    ran.status
                ));
            }
        }
    }
    if !asked {
        return Ok(Outcome::Skip(
            "it asks in no way that the script knows (port status, DLE EOT, ~HS, FGL)".into(),
        ));
    }
    pass()
}
