//! A house full of people: gates, readers, tickets with names and orders, and their scans. Everything is made from numbers.
//! Knows no store.

use crate::venue::{self, Rule};
use anyhow::Result;
use engine::catalog::{DeviceId, GateId};
use engine::decision::{Scan, ScanKind};
use engine::sim_disk::SplitMix64;
use engine::ticket::{CodeKind, Details, Ticket};
use engine::{Engine, Time};

/// Gates, each with a reader.
pub const GATES: u16 = 91;
/// Last names there are; common ones are as common as in a telephone book.
const LAST_NAMES: u64 = 20_000;
/// First names there are.
const FIRST_NAMES: u64 = 1_000;
/// Tickets of an order.
const TICKETS_PER_ORDER: u32 = 2;
/// One scan in so many is of a code nobody has.
const STRANGER_EVERY: u64 = 50;
/// Tickets given to the engine at once.
const TICKETS_AT_ONCE: u32 = 10_000;
/// What a name's syllables are made of.
const CONSONANTS: &[u8] = b"bdfghklmnprstvwz";
const VOWELS: &[u8] = b"aeiou";

/// Scans, one after the other, in random order over the tickets.
pub struct Scans {
    random: SplitMix64,
    made: u64,
    tickets: u32,
}

/// Puts up the house.
///
/// # Errors
/// The engine refuses it.
pub fn put_up(engine: &Engine) -> Result<()> {
    for entity in venue::entities(&engine.with_state(|state| state.catalog.clone()), Rule::Staff, GATES) {
        engine.put(None, entity)?;
    }
    Ok(())
}

/// Adds tickets of these numbers, each portion durable before the next.
///
/// # Errors
/// A ticket is refused, a failing disk.
pub fn add_tickets(engine: &Engine, numbers: std::ops::Range<u32>) -> Result<()> {
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let tickets = numbers.by_ref().take(TICKETS_AT_ONCE as usize).map(ticket).collect();
        let (_, outcomes) = engine.add_tickets(tickets, false)?;
        anyhow::ensure!(outcomes.iter().all(Result::is_ok), "a ticket was refused");
        engine.journal().sync()?;
    }
    Ok(())
}

fn ticket(number: u32) -> Ticket {
    let reference = format!("T{number:011}");
    let code = venue::code(number);
    let codes = [(CodeKind::Optical, code.as_slice())];
    let details =
        Details::new(&reference, &holder(number), &order(number), "Block C, row 12, seat 7", &codes);
    Ticket { details, ..venue::ticket(number) }
}

/// Who has the ticket: "First Last".
pub fn holder(number: u32) -> String {
    let mut random = SplitMix64(u64::from(number) ^ 0x6e61_6d65);
    let first = name(common(&mut random, FIRST_NAMES), 2);
    format!("{first} {}", name(common(&mut random, LAST_NAMES), 3))
}

/// The ticket's order.
pub fn order(number: u32) -> String {
    format!("ORDER-{:07}", number / TICKETS_PER_ORDER)
}

/// A number below `count`, small ones far more often: the commonest of 20,000 is 0.7 % of all.
fn common(random: &mut SplitMix64, count: u64) -> u64 {
    let part = random.below(1 << 32) as f64 / (1_u64 << 32) as f64;
    ((part * part * count as f64) as u64).min(count - 1)
}

/// A name of a number, of so many syllables.
fn name(number: u64, syllables: u32) -> String {
    let kinds = (CONSONANTS.len() * VOWELS.len()) as u64;
    // Neighbours shall not look alike: a step that is prime to the number of names goes through all of them.
    let mut rest = (number * 7_919 + 1_234) % kinds.pow(syllables);
    let mut name = String::new();
    for _ in 0..syllables {
        let own = (rest % kinds) as usize;
        rest /= kinds;
        name.push(char::from(CONSONANTS[own / VOWELS.len()]));
        name.push(char::from(VOWELS[own % VOWELS.len()]));
    }
    name[..1].to_uppercase() + &name[1..]
}

// === impl Scans ===

impl Scans {
    /// Scans of tickets `0..tickets`.
    pub fn new(tickets: u32) -> Scans {
        Scans { random: SplitMix64(7), made: 0, tickets }
    }

    /// Makes the next one. Whether it admits is the engine's business.
    ///
    /// # Errors
    /// The engine cannot decide.
    pub fn next(&mut self, engine: &Engine) -> Result<()> {
        let n = self.made;
        self.made += 1;
        let number = self.random.below(u64::from(self.tickets)) as u32;
        let code =
            if n.is_multiple_of(STRANGER_EVERY) { venue::stranger(number) } else { venue::code(number) };
        let reader = self.random.below(u64::from(GATES)) as u32;
        let id = format!("{:08x}-{:04x}-4000-8000-{n:012x}", self.random.next() as u32, n as u16);
        engine.scan(&Scan {
            device: DeviceId(reader),
            gate: GateId(reader as u16),
            code_kind: CodeKind::Optical,
            code: &code,
            scan_id: Some(&id),
            scanned_at: None,
            direction: None,
            people: None,
            kind: ScanKind::Validate,
            overriding: None,
            shown: None,
        })?;
        Ok(())
    }
}

/// When the log of the full store begins.
pub const LOG_BEGINS: Time = venue::BEGIN;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn names_are_as_common_as_in_a_telephone_book() {
        let mut last: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..50_000 {
            *last.entry(holder(number).split_once(' ').unwrap().1.to_owned()).or_default() += 1;
        }
        let commonest = last.values().max().copied().unwrap();
        assert!(last.len() > 10_000 && (200..800).contains(&commonest), "{} {commonest}", last.len());
        assert_eq!(name(3, 3), name(3, 3));
        assert_eq!(
            (0..LAST_NAMES).map(|n| name(n, 3)).collect::<std::collections::BTreeSet<_>>().len(),
            20_000
        );
    }
}
