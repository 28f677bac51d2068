//! What a driver leaves behind: memory, files, threads, words.

use super::{Verdict, pass};
use crate::subject::{Heard, PLENTY, Subject, make, unmake};
use parking_lot::Mutex;
use std::sync::Arc;

/// How often a driver is made and unmade; the first tenth is not counted.
const LIVES: usize = 1_000;
/// Documents that are printed; the first tenth is not counted.
const DOCUMENTS: usize = 200;
/// Memory may grow so far, in KiB: an allocator's own ways, no leak.
const GROWTH_KIB_MAX: u64 = 16 * 1_024;
/// Lines of the log that five documents and their questions may cost.
const LINES_MAX: usize = 200;
/// Changes of status they may cost.
const CHANGES_MAX: usize = 50;

/// Resident memory of this process, in KiB.
fn resident() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse().ok());
    number.ok_or_else(|| "/proc/self/status tells no VmRSS".to_owned())
}

/// Entries of a folder of /proc/self.
fn count(folder: &str) -> Result<usize, String> {
    let entries = std::fs::read_dir(format!("/proc/self/{folder}")).map_err(|error| error.to_string())?;
    Ok(entries.count())
}

/// Does it so often, and tells by how many KiB memory grew after the first tenth.
fn growth(times: usize, mut act: impl FnMut() -> Result<(), String>) -> Result<u64, String> {
    for _ in 0..times / 10 {
        act()?;
    }
    let before = resident()?;
    for _ in times / 10..times {
        act()?;
    }
    Ok(resident()?.saturating_sub(before))
}

pub fn lives(subject: &Subject) -> Verdict {
    let plugin = subject.load()?;
    let (files, threads) = (count("fd")?, count("task")?);
    let grown = growth(LIVES, || {
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let device = make(&plugin, &heard, &Arc::default(), &subject.config);
        unmake(device.map_err(|fault| format!("`create`: {fault}, where it had been well before"))?);
        Ok(())
    })?;
    if grown > GROWTH_KIB_MAX {
        return Err(format!("{LIVES} lives left {grown} KiB behind"));
    }
    same("files", files, count("fd")?)?;
    same("threads", threads, count("task")?)?;
    pass()
}

fn same(what: &str, before: usize, after: usize) -> Result<(), String> {
    if after != before {
        return Err(format!("{before} {what} were there before, {after} afterwards"));
    }
    Ok(())
}

pub fn memory(subject: &Subject) -> Verdict {
    let mut bench = subject.well()?;
    let words = bench.words("Gate 7");
    let grown = growth(DOCUMENTS, || {
        bench.run(&words, PLENTY)?;
        bench.wire.lock().written.clear();
        Ok(())
    })?;
    if grown > GROWTH_KIB_MAX {
        return Err(format!("{DOCUMENTS} documents left {grown} KiB behind"));
    }
    pass()
}

/// Standard output is looked at by who started this process: C's own buffer is written at its end only.
pub fn keeps_to_itself(subject: &Subject) -> Verdict {
    let (files, threads) = (count("fd")?, count("task")?);
    let mut bench = subject.well()?;
    let words = bench.words("Gate 7");
    bench.run(&words, PLENTY)?;
    let _ = bench.status(PLENTY)?;
    let _ = bench.tick()?;
    same("files", files, count("fd")?)?;
    let foreign = bench.heard.lock().foreign;
    if foreign > 0 {
        return Err(format!("its host was called {foreign} times from another thread than the device's"));
    }
    unmake(bench.device);
    same("threads", threads, count("task")?)?;
    pass()
}

pub fn log(subject: &Subject) -> Verdict {
    let mut bench = subject.well()?;
    let words = bench.words("Gate 7");
    for _ in 0..5 {
        bench.run(&words, PLENTY)?;
        let _ = bench.status(PLENTY)?;
        let _ = bench.tick()?;
    }
    let heard = bench.heard.lock();
    if heard.lines > LINES_MAX {
        let line = heard.log.last().map(|(_, text)| text.clone()).unwrap_or_default();
        return Err(format!("five documents and questions cost {} lines of the log: {line:?}", heard.lines));
    }
    if heard.changes > CHANGES_MAX {
        return Err(format!("five documents and questions told {} changes of status", heard.changes));
    }
    pass()
}
