//! One watch over the calls into a driver: a call that does not come back ends the process with a verdict that names it,
//! and a process that dies leaves behind in which call it did. Knows neither drivers nor rules.

use crate::cases::Outcome;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A call may take so much longer than the time it was given: wide, for machines that are busy with other things.
pub const GRACE: Duration = Duration::from_secs(5);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(50);

/// The call under way, and when it has to be over.
static CALL: Mutex<Option<(&'static str, Instant, Duration)>> = Mutex::new(None);
/// Where the verdict goes.
static VERDICT: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Begins to watch. The verdict goes into this file.
///
/// # Errors
/// The system's, of a thread.
pub fn begin(verdict: &Path) -> std::io::Result<()> {
    *VERDICT.lock() = Some(verdict.to_owned());
    std::thread::Builder::new().name("watch".to_owned()).spawn(|| {
        loop {
            std::thread::sleep(LOOK);
            let call = *CALL.lock();
            if let Some((name, until, given)) = call
                && Instant::now() > until
            {
                finish(&Outcome::Fail(format!(
                    "`{name}` did not come back: it had {} ms, and {} s more were waited",
                    given.as_millis(),
                    GRACE.as_secs()
                )));
            }
        }
    })?;
    Ok(())
}

/// A call into the driver.
pub fn call<T>(name: &'static str, timeout: Duration, call: impl FnOnce() -> T) -> T {
    let known = CALL.lock().replace((name, Instant::now() + timeout + GRACE, timeout));
    if known.is_none_or(|(last, ..)| last != name)
        && let Some(verdict) = VERDICT.lock().as_ref()
    {
        // Only to name the call should the process die in it.
        let _ = std::fs::write(called(verdict), name);
    }
    let result = call();
    if let Some(now) = CALL.lock().as_mut() {
        // The name stays, so that a thousand calls in a row are written down once.
        now.1 = Instant::now() + Duration::from_secs(3_600);
    }
    result
}

/// The file that tells the last call, beside the verdict's.
pub fn called(verdict: &Path) -> PathBuf {
    verdict.with_extension("call")
}

/// The verdict, and the end of this process.
pub fn finish(outcome: &Outcome) -> ! {
    let written = VERDICT.lock().as_ref().map(|path| {
        let text = serde_json::to_vec(outcome).unwrap_or_default();
        std::fs::write(path, text)
    });
    std::process::exit(if matches!(written, Some(Ok(()))) { 0 } else { 1 })
}
