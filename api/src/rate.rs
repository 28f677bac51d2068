//! Rate limits per device: a fixed window of a minute that begins with the first request in it, shared by all
//! workers. One atomic per device. Knows no HTTP.

use engine::catalog::DeviceId;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Length of the window, in seconds.
pub const WINDOW_S: u32 = 60;

/// Where a device stands in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// May this request run?
    pub allowed: bool,
    /// Requests a minute.
    pub limit: u32,
    /// Requests left in this window.
    pub remaining: u32,
    /// When the window ends, in seconds since 1970.
    pub reset_s: u32,
}

/// All devices' windows.
#[derive(Default)]
pub struct Limiter {
    // Grows when a device is new, else read only.
    windows: RwLock<Vec<AtomicU64>>,
}

impl Limiter {
    /// Counts one request of a device. About 10 ns.
    pub fn take(&self, device: DeviceId, limit: u32, now_s: u32) -> Standing {
        {
            let windows = self.windows.read();
            if let Some(window) = windows.get(device.index()) {
                return take(window, limit, now_s);
            }
        }
        let mut windows = self.windows.write();
        while windows.len() <= device.index() {
            windows.push(AtomicU64::new(0));
        }
        take(&windows[device.index()], limit, now_s)
    }
}

/// The window is packed as start second and count, so that one exchange moves both.
fn take(window: &AtomicU64, limit: u32, now_s: u32) -> Standing {
    let next = |packed: u64| {
        let (start, count) = ((packed >> 32) as u32, packed as u32);
        // A clock that went back begins a new window rather than locking a device out.
        let fresh = now_s < start || now_s - start >= WINDOW_S;
        if fresh { (now_s, 1) } else { (start, count.saturating_add(1)) }
    };
    let pack = |(start, count): (u32, u32)| (u64::from(start) << 32) | u64::from(count);
    let before = window
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |packed| Some(pack(next(packed))))
        .unwrap_or_else(|packed| packed);
    let (start, count) = next(before);
    Standing {
        allowed: count <= limit,
        limit,
        remaining: limit.saturating_sub(count),
        reset_s: start.saturating_add(WINDOW_S),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_within_a_minute_and_returns_after_it() {
        let limiter = Limiter::default();
        let device = DeviceId(3);
        for n in 0..100 {
            let standing = limiter.take(device, 100, 1_000 + n / 10);
            assert!(standing.allowed);
            assert_eq!(standing.remaining, 99 - n);
        }
        let refused = limiter.take(device, 100, 1_030);
        assert!(!refused.allowed);
        assert_eq!((refused.remaining, refused.reset_s), (0, 1_060));
        assert!(limiter.take(device, 100, 1_060).allowed);
        assert!(limiter.take(DeviceId(1), 100, 1_030).allowed);
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let limiter = Limiter::default();
        for _ in 0..200 {
            limiter.take(DeviceId(0), 100, 5_000);
        }
        assert!(limiter.take(DeviceId(0), 100, 4_000).allowed);
    }
}
