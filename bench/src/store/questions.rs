//! What people ask of a full store: tickets by name, order and code, a ticket's history, the log by reader, gate, reason and
//! time. Knows the questions and checks that they find something; knows no SQL.

use super::Amounts;
use super::crowd::{self, GATES, LOG_BEGINS};
use super::pace::Spread;
use crate::venue;
use anyhow::{Context, Result, ensure};
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
/// The length of a span of time that is asked for.
const SPAN_MS: i64 = 60_000;
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

type Question = fn(&dyn Queries, &mut SplitMix64, &Amounts) -> Result<usize>;

const KINDS: [(&str, Question); 12] = [
    ("search: holder", |store, random, amounts| tickets(store, &crowd::holder(ticket(random, amounts)))),
    ("search: last name", |store, random, amounts| {
        tickets(store, last_name(&crowd::holder(ticket(random, amounts))))
    }),
    ("search: last name begun", |store, random, amounts| {
        tickets(store, &last_name(&crowd::holder(ticket(random, amounts)))[..LETTERS])
    }),
    ("search: order", |store, random, amounts| tickets(store, &crowd::order(ticket(random, amounts)))),
    ("search: code begun", |store, random, amounts| {
        let code = venue::code(ticket(random, amounts));
        tickets(store, std::str::from_utf8(&code[..CODE_LETTERS])?)
    }),
    ("history of a ticket", |store, random, amounts| {
        let ticket = Some(TicketId(ticket(random, amounts)));
        scans(store, &ScanFilter { ticket, ..ScanFilter::default() })
    }),
    ("log of a code", |store, random, amounts| {
        let code = Some(venue::code(ticket(random, amounts)).to_vec());
        scans(store, &ScanFilter { code, ..ScanFilter::default() })
    }),
    ("log of a reader", |store, random, _| {
        let device = Some(DeviceId(random.below(u64::from(GATES)) as u32));
        scans(store, &ScanFilter { device, ..before(random) })
    }),
    ("log of a gate", |store, random, _| {
        scans(store, &ScanFilter { gate: Some(gate(random)), ..before(random) })
    }),
    ("log of a reason", |store, random, _| {
        scans(store, &ScanFilter { reason: Some(Reason::UnknownTicket), ..before(random) })
    }),
    ("log of a reason at a gate", |store, random, _| {
        let reason = Some(Reason::UnknownTicket);
        scans(store, &ScanFilter { reason, gate: Some(gate(random)), ..before(random) })
    }),
    ("log of a minute", |store, random, _| {
        let until = before(random).until;
        scans(
            store,
            &ScanFilter { since: until.map(|time| time.plus_ms(-SPAN_MS)), until, ..ScanFilter::default() },
        )
    }),
];

/// Asks all of it.
///
/// # Errors
/// The store fails, or a question that must find something finds nothing.
pub fn ask(store: &dyn Store, amounts: &Amounts) -> Result<Vec<Asked>> {
    let store = store.queries()?;
    KINDS.iter().map(|(kind, question)| ask_kind(store.as_ref(), kind, *question, amounts)).collect()
}

fn ask_kind(store: &dyn Queries, kind: &'static str, question: Question, amounts: &Amounts) -> Result<Asked> {
    let mut random = SplitMix64(0x61_736b);
    for _ in 0..WARM_UP {
        question(store, &mut random, amounts)?;
    }
    let (mut found, mut ms) = (0, Vec::new());
    for _ in 0..amounts.questions {
        let began = Instant::now();
        let rows = question(store, &mut random, amounts).with_context(|| kind)?;
        ms.push(began.elapsed().as_secs_f64() * 1e3);
        found += usize::from(rows > 0);
    }
    // Some tickets were never scanned, but every ticket is there.
    let all = kind.starts_with("search");
    ensure!(found == ms.len() || (!all && found > 0), "{kind}: {found} of {} found something", ms.len());
    Ok(Asked { kind, questions: ms.len(), found, ms: Spread::of(ms) })
}

fn tickets(store: &dyn Queries, text: &str) -> Result<usize> {
    Ok(store.search_tickets(text, TICKETS_PER_PAGE)?.len())
}

fn scans(store: &dyn Queries, filter: &ScanFilter) -> Result<usize> {
    Ok(store.scans(filter, None, SCANS_PER_PAGE)?.len())
}

fn ticket(random: &mut SplitMix64, amounts: &Amounts) -> u32 {
    random.below(u64::from(amounts.tickets)) as u32
}

fn gate(random: &mut SplitMix64) -> GateId {
    GateId(random.below(u64::from(GATES)) as u16)
}

fn last_name(holder: &str) -> &str {
    holder.split_once(' ').map_or(holder, |(_, last)| last)
}

/// What was before some moment of the evening.
fn before(random: &mut SplitMix64) -> ScanFilter {
    let ms = LOG_MS / 10 + random.below(LOG_MS - LOG_MS / 10);
    ScanFilter { until: Some(LOG_BEGINS.plus_ms(ms as i64)), ..ScanFilter::default() }
}
