//! Questions: probe, status, reset, tick.

use super::{Outcome, Verdict, pass};
use crate::fake::{Says, Takes};
use crate::subject::{PLENTY, Subject};
use driver_abi::Fault;
use std::time::Duration;

/// What a question is given on a device that does not answer.
const SHORT: Duration = Duration::from_millis(400);

/// Devices to be asked: over USB or not, how they take, what they say.
const DEVICES: [(bool, Takes, Says); 6] = [
    (false, Takes::All, Says::Answers { paper: true }),
    (true, Takes::All, Says::Answers { paper: true }),
    (false, Takes::All, Says::Nothing),
    (true, Takes::All, Says::Nothing),
    (true, Takes::Until(0, Fault::Timeout), Says::Nothing),
    (true, Takes::Until(0, Fault::Gone), Says::Fails(Fault::Gone)),
];

pub fn probe(subject: &Subject) -> Verdict {
    let mut notes = Vec::new();
    for (usb, takes, says) in DEVICES {
        let found = subject.bench(usb, takes, says)?.probe(SHORT)?;
        if let (Ok(found), Says::Answers { .. }) = (found, says) {
            notes.push(format!("found {found}"));
        }
    }
    Ok(Outcome::Pass(notes))
}

pub fn status(subject: &Subject) -> Verdict {
    for (usb, takes, says) in DEVICES {
        let mut bench = subject.bench(usb, takes, says)?;
        // Twice: what it believes of the device may change what it asks.
        let _ = bench.status(SHORT)?;
        let _ = bench.status(SHORT)?;
    }
    pass()
}

pub fn reset(subject: &Subject) -> Verdict {
    let mut bench = subject.well()?;
    let mut written = Vec::new();
    for time in 1..=3 {
        bench.wire.lock().written.clear();
        if let Err(fault) = bench.reset(PLENTY)? {
            return Err(format!("the {time}. repetition failed: {fault}"));
        }
        written.push(bench.wire.lock().written.clone());
    }
    if let Some(other) = written.iter().find(|bytes| **bytes != written[0]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        return Err(format!("repeated, it wrote {} and then {}", hex(&written[0]), hex(other)));
    }
    for (usb, takes, says) in DEVICES {
        let _ = subject.bench(usb, takes, says)?.reset(SHORT)?;
    }
    pass()
}

pub fn tick(subject: &Subject) -> Verdict {
    const TICKS: usize = 10;
    const WAIT_MAX: Duration = Duration::from_millis(100);
    for (usb, takes, says) in DEVICES {
        let mut bench = subject.bench(usb, Takes::All, Says::Answers { paper: true })?;
        let words = bench.words("Gate 7");
        bench.run(&words, PLENTY)?;
        bench.wire.lock().set(takes, says);
        for _ in 0..TICKS {
            match bench.tick()? {
                Ok(Some(wait)) => std::thread::sleep(wait.min(WAIT_MAX)),
                Ok(None) | Err(_) => break,
            }
        }
    }
    pass()
}
