//! What people ask of a full store: tickets by name, order and code, a ticket's history, the log by reader, gate, reason and
//! time. Knows the questions and checks that they find something; knows no SQL.

use super::Amounts;
use super::crowd::{self, GATES, LOG_BEGINS};
use super::pace::Spread;
use crate::venue;
use anyhow::{Context, Result, ensure};
use engine::Lsn;
use engine::catalog::{DeviceId, GateId};
use engine::decision::Reason;
use engine::sim_disk::SplitMix64;
use engine::ticket::TicketId;
use serde::Serialize;
use std::time::Instant;
use store::{Queries, ScanFilter, Store};

/// Tickets on a page.
const TICKETS_PER_PAGE: usize = 20;
/// Lines of the log on a page.
const SCANS_PER_PAGE: usize = 100;
/// Questions before those that are timed: a node that runs has its connections and plans.
const WARM_UP: usize = 10;
/// Letters of a last name that was only begun.
const LETTERS: usize = 5;
/// Letters of a code that was only begun.
const CODE_LETTERS: usize = 8;
const MINUTE_MS: i64 = 60_000;
/// The time the log is spread over.
const LOG_MS: u64 = 3 * 3_600_000;

/// Questions of one kind.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// What was asked.
    pub kind: &'static str,
    /// How often, each time for something else.
    pub questions: usize,
    /// Of these, how many found something.
    pub found: usize,
    /// How long an answer took, in milliseconds.
    pub ms: Spread,
}

/// What is in the store.
struct House {
    tickets: u32,
    log_scans: u64,
    last: Lsn,
}

type Question = fn(&dyn Queries, &mut SplitMix64, &House) -> Result<usize>;

/// Why codes that nobody has are refused.
const STRANGER: Option<Reason> = Some(Reason::UnknownTicket);

const KINDS: [(&str, Question); 13] = [
    ("search: holder", |store, random, house| tickets(store, &crowd::holder(ticket(random, house)))),
    ("search: last name", |store, random, house| {
        tickets(store, last_name(&crowd::holder(ticket(random, house))))
    }),
    ("search: last name begun", |store, random, house| {
        tickets(store, &last_name(&crowd::holder(ticket(random, house)))[..LETTERS])
    }),
    ("search: order", |store, random, house| tickets(store, &crowd::order(ticket(random, house)))),
    ("search: code begun", |store, random, house| {
        let code = venue::code(ticket(random, house));
        tickets(store, std::str::from_utf8(&code[..CODE_LETTERS])?)
    }),
    ("history of a ticket", |store, random, house| {
        let ticket = Some(TicketId(ticket(random, house)));
        scans(store, &ScanFilter { ticket, ..ScanFilter::default() })
    }),
    ("log of a code", |store, random, house| {
        let code = Some(venue::code(ticket(random, house)).to_vec());
        scans(store, &ScanFilter { code, ..ScanFilter::default() })
    }),
    ("log of a reader", |store, random, house| {
        let device = Some(DeviceId(random.below(u64::from(GATES)) as u32));
        page(store, &ScanFilter { device, ..ScanFilter::default() }, random, house)
    }),
    ("log of a gate", |store, random, house| {
        page(store, &ScanFilter { gate: Some(gate(random)), ..ScanFilter::default() }, random, house)
    }),
    ("log of a reason", |store, random, house| {
        page(store, &ScanFilter { reason: STRANGER, ..ScanFilter::default() }, random, house)
    }),
    ("log of a reason at a gate", |store, random, house| {
        let filter = ScanFilter { reason: STRANGER, gate: Some(gate(random)), ..ScanFilter::default() };
        page(store, &filter, random, house)
    }),
    ("log of a minute", |store, random, _| scans(store, &minute(random))),
    ("log of a minute at a gate", |store, random, _| {
        scans(store, &ScanFilter { gate: Some(gate(random)), ..minute(random) })
    }),
];

/// Asks all of it.
///
/// # Errors
/// The store fails, or a question that must find something finds nothing.
pub fn ask(store: &dyn Store, amounts: &Amounts) -> Result<Vec<Asked>> {
    let store = store.queries()?;
    let house = House { tickets: amounts.tickets, log_scans: amounts.log_scans, last: store.cursor()? };
    let ask = |(kind, question): &(&'static str, Question)| {
        ask_kind(kind, amounts.questions, |random| question(store.as_ref(), random, &house))
    };
    KINDS.iter().map(ask).collect()
}

fn ask_kind(
    kind: &'static str,
    count: usize,
    question: impl Fn(&mut SplitMix64) -> Result<usize>,
) -> Result<Asked> {
    let mut random = SplitMix64(0x61_736b);
    for _ in 0..WARM_UP {
        question(&mut random)?;
    }
    let (mut found, mut ms) = (0, Vec::new());
    for _ in 0..count {
        let began = Instant::now();
        let rows = question(&mut random).with_context(|| kind)?;
        ms.push(began.elapsed().as_secs_f64() * 1e3);
        found += usize::from(rows > 0);
    }
    // Some tickets were never scanned, but every ticket is there.
    let all = kind.starts_with("search");
    ensure!(found == ms.len() || (!all && found > 0), "{kind}: {found} of {} found something", ms.len());
    Ok(Asked { kind, questions: ms.len(), found, ms: Spread::of(ms) })
}

fn tickets(store: &dyn Queries, text: &str) -> Result<usize> {
    Ok(store.search_tickets(text, None, None, TICKETS_PER_PAGE)?.tickets.len())
}

fn scans(store: &dyn Queries, filter: &ScanFilter) -> Result<usize> {
    Ok(store.scans(filter, None, SCANS_PER_PAGE)?.len())
}

fn ticket(random: &mut SplitMix64, house: &House) -> u32 {
    random.below(u64::from(house.tickets)) as u32
}

fn gate(random: &mut SplitMix64) -> GateId {
    GateId(random.below(u64::from(GATES)) as u16)
}

fn last_name(holder: &str) -> &str {
    holder.split_once(' ').map_or(holder, |(_, last)| last)
}

/// A page from somewhere in the log on, as whoever turns pages asks for it.
fn page(store: &dyn Queries, filter: &ScanFilter, random: &mut SplitMix64, house: &House) -> Result<usize> {
    let after = Lsn(house.last.0 - random.below(house.log_scans / 2));
    Ok(store.scans(filter, Some(after), SCANS_PER_PAGE)?.len())
}

/// Some minute of the evening.
fn minute(random: &mut SplitMix64) -> ScanFilter {
    let since = LOG_BEGINS.plus_ms(random.below(LOG_MS) as i64 - MINUTE_MS / 2);
    ScanFilter { since: Some(since), until: Some(since.plus_ms(MINUTE_MS)), ..ScanFilter::default() }
}
