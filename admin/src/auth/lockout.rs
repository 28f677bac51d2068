//! Back-off: who fails to sign in waits, longer each time. Counted for the address, for the account, and, where a browser
//! has signed in to this account before, for that browser alone: then neither somebody else's guesses at the account nor a
//! neighbour behind the same address keep its owner out. Bounded memory; knows no password and keeps no names.

use engine::Time;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;

/// So many failures are free of waiting, and the next is followed by a second.
const FREE: u32 = 5;
/// Longest wait, in ms.
const WAIT_MS_MAX: i64 = 15 * 60 * 1_000;
/// Failures are forgotten so long after the last, in ms.
const FORGOTTEN_AFTER_MS: i64 = 60 * 60 * 1_000;
/// Remembered at once of each kind. At the limit those go first that wait the least.
const REMEMBERED_MAX: usize = 10_000;

/// Who fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// An address; of IPv6 the network, for a customer has a whole one.
    Address(IpAddr),
    /// An account, by the name that was typed.
    Account(String),
    /// A browser that has signed in before.
    Browser(String),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Time,
    until: Time,
}

/// Everybody who failed lately.
#[derive(Debug, Default)]
pub struct Lockout {
    tables: Mutex<[HashMap<[u8; 16], Failures>; 3]>,
}

impl Counted {
    fn key(&self) -> (usize, [u8; 16]) {
        let (table, text) = match self {
            Counted::Address(IpAddr::V6(addr)) => (0, format!("{:?}", &addr.segments()[..4])),
            Counted::Address(IpAddr::V4(addr)) => (0, addr.to_string()),
            Counted::Account(name) => (1, name.to_lowercase()),
            Counted::Browser(id) => (2, id.clone()),
        };
        let hash = secrets::hash(text.as_bytes());
        (table, hash[..16].try_into().expect("a hash has 32 bytes"))
    }
}

impl Lockout {
    /// How many seconds one of these has still to wait.
    pub fn wait_s(&self, all: &[Counted], now: Time) -> Option<u32> {
        let tables = self.tables.lock();
        let until = all.iter().filter_map(|one| {
            let (table, key) = one.key();
            tables[table].get(&key).map(|failures| failures.until)
        });
        let left_ms = until.map(|until| until.since_ms(now)).max().filter(|left| *left > 0)?;
        // A clock that was set back makes nobody wait longer than anybody ever does.
        u32::try_from((left_ms.min(WAIT_MS_MAX) + 999) / 1_000).ok()
    }

    /// Another failure of each of these. Gives those that wait for the first time.
    pub fn failed<'c>(&self, all: &'c [Counted], now: Time) -> Vec<&'c Counted> {
        let mut tables = self.tables.lock();
        let newly = all.iter().filter(|one| {
            let (table, key) = one.key();
            count(&mut tables[table], key, now) == FREE
        });
        newly.collect()
    }

    /// One of these got in: what is below the limit is forgotten; a browser's own failures are in any case.
    pub fn succeeded(&self, all: &[Counted]) {
        let mut tables = self.tables.lock();
        for one in all {
            let (table, key) = one.key();
            let over = tables[table].get(&key).is_some_and(|failures| failures.count >= FREE);
            if !over || matches!(one, Counted::Browser(_)) {
                tables[table].remove(&key);
            }
        }
    }
}

/// Counts a failure; gives how many there are.
fn count(table: &mut HashMap<[u8; 16], Failures>, key: [u8; 16], now: Time) -> u32 {
    if table.len() >= REMEMBERED_MAX && !table.contains_key(&key) {
        make_room(table, now);
    }
    let failures = table.entry(key).or_insert(Failures { count: 0, last: now, until: now });
    if now.since_ms(failures.last) > FORGOTTEN_AFTER_MS {
        failures.count = 0;
    }
    failures.count = failures.count.saturating_add(1);
    failures.last = now;
    failures.until = now.plus_ms(wait_ms(failures.count));
    failures.count
}

/// Drops what is over, and if that is not enough the half that waits the least.
fn make_room(table: &mut HashMap<[u8; 16], Failures>, now: Time) {
    table.retain(|_, failures| now.since_ms(failures.last) <= FORGOTTEN_AFTER_MS);
    if table.len() < REMEMBERED_MAX {
        return;
    }
    let mut all: Vec<(Time, [u8; 16])> = table.iter().map(|(key, failures)| (failures.until, *key)).collect();
    let half = all.len() / 2;
    all.select_nth_unstable(half);
    for (_, key) in &all[..half] {
        table.remove(key);
    }
}

/// How long the wait is after so many failures.
fn wait_ms(count: u32) -> i64 {
    let Some(doublings) = count.checked_sub(FREE) else { return 0 };
    1_000_i64.checked_shl(doublings.min(20)).map_or(WAIT_MS_MAX, |wait| wait.min(WAIT_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_795_456_800_000);

    fn address(last: u8) -> Counted {
        Counted::Address(IpAddr::from([192, 0, 2, last]))
    }

    fn anna() -> Counted {
        Counted::Account("anna@venue.example".to_owned())
    }

    #[test]
    fn the_wait_begins_with_the_fifth_failure_doubles_and_has_an_end() {
        let (lockout, who) = (Lockout::default(), [address(1)]);
        let mut waits = Vec::new();
        for _ in 0..20 {
            lockout.failed(&who, NOW);
            waits.push(lockout.wait_s(&who, NOW).unwrap_or(0));
        }
        assert_eq!(waits[..9], [0, 0, 0, 0, 1, 2, 4, 8, 16]);
        assert_eq!(waits[19], 900);
        assert_eq!(lockout.wait_s(&who, NOW.plus_ms(900_000)), None);
        assert_eq!(lockout.wait_s(&[address(2)], NOW), None);
        lockout.failed(&who, NOW.plus_ms(FORGOTTEN_AFTER_MS + 1));
        assert_eq!(
            lockout.wait_s(&who, NOW.plus_ms(FORGOTTEN_AFTER_MS + 1)),
            None,
            "an hour later all is forgotten"
        );
    }

    #[test]
    fn guesses_from_everywhere_keep_strangers_out_and_not_the_owners_browser() {
        let lockout = Lockout::default();
        for n in 0..=255 {
            lockout.failed(&[address(n), anna()], NOW);
        }
        assert_eq!(
            lockout.wait_s(&[Counted::Address(IpAddr::from([198, 51, 100, 1])), anna()], NOW),
            Some(900)
        );
        let browser = [Counted::Browser("b1".to_owned())];
        assert_eq!(lockout.wait_s(&browser, NOW), None);
        for _ in 0..6 {
            lockout.failed(&browser, NOW);
        }
        assert_eq!(lockout.wait_s(&browser, NOW), Some(2), "a stolen browser guesses no faster");
        lockout.succeeded(&browser);
        assert_eq!(lockout.wait_s(&browser, NOW), None);
    }

    #[test]
    fn who_signs_in_in_between_does_not_make_an_attackers_failures_unsaid() {
        let (lockout, who) = (Lockout::default(), [address(1)]);
        (0..4).for_each(|_| drop(lockout.failed(&who, NOW)));
        lockout.succeeded(&who);
        (0..4).for_each(|_| drop(lockout.failed(&who, NOW)));
        assert_eq!(lockout.wait_s(&who, NOW), None, "below the limit everything is forgotten");
        lockout.failed(&who, NOW);
        lockout.succeeded(&who);
        assert_eq!(lockout.wait_s(&who, NOW), Some(1), "beyond it nothing is");
    }

    #[test]
    fn ten_thousand_are_remembered_and_those_who_wait_longest_are_kept() {
        let lockout = Lockout::default();
        let worst = [address(1)];
        (0..12).for_each(|_| drop(lockout.failed(&worst, NOW)));
        for n in 0..3 * REMEMBERED_MAX as u32 {
            lockout.failed(&[Counted::Address(IpAddr::from(n.to_be_bytes()))], NOW.plus_ms(1));
            assert!(lockout.tables.lock()[0].len() <= REMEMBERED_MAX);
        }
        assert_eq!(lockout.wait_s(&worst, NOW), Some(128));
    }

    #[test]
    fn a_customers_whole_ipv6_network_is_one() {
        let lockout = Lockout::default();
        for n in 0..6 {
            let one: IpAddr = format!("2001:db8:1:2::{n}").parse().unwrap();
            lockout.failed(&[Counted::Address(one)], NOW);
        }
        let of = |text: &str| lockout.wait_s(&[Counted::Address(text.parse().unwrap())], NOW);
        assert_eq!((of("2001:db8:1:2::99"), of("2001:db8:1:3::99")), (Some(2), None));
    }
}
