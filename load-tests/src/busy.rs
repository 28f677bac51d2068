//! Whether others use the machine before something is measured on it. Knows /proc and the share that is too much; knows
//! nothing of what is measured.

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::{limits, procfs};

/// How busy the machine was.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Busy {
    /// Over one minute; also sees what has just ended.
    pub load_average: f64,
    /// The share of all cores that was in use.
    pub share: f64,
    /// More than [`limits::BUSY_SHARE_MAX`]: measured all the same, because `--busy-ok` was given.
    pub too_busy: bool,
}

/// Looks at the machine for [`limits::BUSY_LOOK`].
///
/// # Errors
/// Others use too much of it, and `busy_ok` is not given.
pub fn look_around(busy_ok: bool) -> Result<Busy> {
    let (load_average, share) = (procfs::load_average()?, procfs::busy_share(limits::BUSY_LOOK)?);
    let too_busy = share > limits::BUSY_SHARE_MAX;
    ensure!(
        busy_ok || !too_busy,
        "others use {:.0} % of this machine (load average {load_average}); figures would be theirs as much as ours. \
         Wait, or measure all the same with --busy-ok",
        share * 100.0
    );
    Ok(Busy { load_average, share, too_busy })
}
