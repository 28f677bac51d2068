//! Requests a minute: one person, one program or one unknown address may ask so often. A bucket that fills evenly, kept as
//! the time when it will be full again. Bounded; knows no path.

use crate::access::{Principal, Proof};
use crate::problem::{Kind, Problem};
use axum::http::{HeaderMap, HeaderValue};
use engine::catalog::OperatorId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an empty bucket takes to fill.
const WINDOW: Duration = Duration::from_secs(60);
/// Buckets that are kept; beyond them, whoever is new shares one.
const BUCKETS_MAX: usize = 20_000;
/// Between two looks for buckets that are full again.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Whose bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Operator(OperatorId),
    Program(Arc<str>),
    Address(IpAddr),
    /// Everybody for whom there is no room.
    Crowd,
}

/// All buckets.
pub struct Rates {
    per_minute: u32,
    buckets: Mutex<Buckets>,
}

struct Buckets {
    full_at: HashMap<Whose, Instant>,
    swept: Instant,
}

/// Where somebody stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    limit: u32,
    remaining: u32,
    /// Seconds until the bucket is full.
    reset_s: u64,
    /// Seconds until the next request; `None`: this one may run.
    retry_after_s: Option<u32>,
}

// === impl Rates ===

impl Rates {
    /// So many requests a minute each; 0 is no limit.
    pub fn new(per_minute: u32) -> Rates {
        let buckets = Buckets { full_at: HashMap::new(), swept: Instant::now() };
        Rates { per_minute, buckets: Mutex::new(buckets) }
    }

    /// Counts a request. `None`: nobody counts, or it is this machine's own command. Some 100 ns.
    pub fn count(&self, principal: Option<&Principal>, address: Option<IpAddr>) -> Option<Standing> {
        if self.per_minute == 0 {
            return None;
        }
        let whose = match principal {
            None => address.map_or(Whose::Crowd, |address| Whose::Address(network(address))),
            Some(Principal { proof: Proof::Local, .. }) => return None,
            Some(Principal { proof: Proof::ApiToken { id, .. }, .. }) => Whose::Program(Arc::clone(id)),
            Some(principal) => Whose::Operator(principal.operator?),
        };
        Some(self.buckets.lock().take(whose, self.per_minute, Instant::now()))
    }
}

/// A household or a provider gives an IPv6 guest 64 bits to choose from: its network is who it is.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

impl Buckets {
    fn take(&mut self, whose: Whose, per_minute: u32, now: Instant) -> Standing {
        if self.full_at.len() >= BUCKETS_MAX && now.duration_since(self.swept) >= SWEEP_EVERY {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept = now;
        }
        let room = self.full_at.len() < BUCKETS_MAX || self.full_at.contains_key(&whose);
        let full_at = self.full_at.entry(if room { whose } else { Whose::Crowd }).or_insert(now);
        let (standing, later) = take(*full_at, per_minute, now);
        *full_at = later;
        standing
    }
}

/// One request out of a bucket: where that leaves it, and when it is full again.
fn take(full_at: Instant, per_minute: u32, now: Instant) -> (Standing, Instant) {
    let step = WINDOW / per_minute;
    let missing = full_at.saturating_duration_since(now);
    let wait = (missing + step).saturating_sub(WINDOW);
    let missing = if wait.is_zero() { missing + step } else { missing };
    let remaining = (WINDOW.saturating_sub(missing).as_nanos() / step.as_nanos().max(1)) as u32;
    let seconds = |time: Duration| time.as_millis().div_ceil(1_000) as u64;
    let standing = Standing {
        limit: per_minute,
        remaining: remaining.min(per_minute),
        reset_s: seconds(missing),
        retry_after_s: (!wait.is_zero()).then(|| seconds(wait).max(1) as u32),
    };
    (standing, now + missing)
}

// === impl Standing ===

impl Standing {
    /// The refusal, if this request may not run.
    pub fn refusal(&self) -> Option<Problem> {
        let seconds = self.retry_after_s?;
        let detail = format!("{} requests a minute may be sent; go on in {seconds} s", self.limit);
        Some(Problem::new(Kind::RateLimited, detail).after(seconds))
    }

    /// Tells it in an answer.
    pub fn tell(&self, headers: &mut HeaderMap) {
        headers.insert("ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(self.reset_s));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_minutes_requests_at_once_and_then_evenly() {
        let now = Instant::now();
        let mut full_at = now;
        for n in 1..=60 {
            let (standing, later) = take(full_at, 60, now);
            assert_eq!((standing.remaining, standing.retry_after_s), (60 - n, None));
            full_at = later;
        }
        let (refused, same) = take(full_at, 60, now);
        assert_eq!((refused.remaining, refused.retry_after_s, refused.reset_s), (0, Some(1), 60));
        assert_eq!(same, full_at, "a refusal costs nothing");
        let (again, _) = take(full_at, 60, now + Duration::from_secs(1));
        assert_eq!((again.remaining, again.retry_after_s), (0, None));
        let (rested, _) = take(full_at, 60, now + Duration::from_secs(600));
        assert_eq!((rested.remaining, rested.reset_s), (59, 1));
    }

    #[test]
    fn however_many_come_the_buckets_are_bounded_and_the_known_keep_theirs() {
        let now = Instant::now();
        let mut buckets = Buckets { full_at: HashMap::new(), swept: now };
        let address = |n: u32| Whose::Address(IpAddr::V4(n.into()));
        for n in 0..BUCKETS_MAX as u32 * 2 {
            buckets.take(address(n), 600, now);
        }
        assert_eq!(buckets.full_at.len(), BUCKETS_MAX + 1);
        assert!(buckets.take(address(BUCKETS_MAX as u32 + 5), 600, now).refusal().is_some());
        assert!(buckets.take(address(1), 600, now).refusal().is_none());
        let later = now + SWEEP_EVERY;
        assert!(buckets.take(address(BUCKETS_MAX as u32 + 5), 600, later).refusal().is_none());
        assert!(buckets.full_at.len() < 5, "those that are full again went");
    }

    #[test]
    fn an_ipv6_network_is_one_and_a_mapped_address_is_the_ipv4_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
