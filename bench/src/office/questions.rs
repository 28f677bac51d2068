//! What people ask of the API of a full house, one after the other: head counts, lists, searches, a ticket and its story. A
//! time is that of the whole round trip over a kept connection, JSON read. Knows the questions and tells how many found
//! something.

use super::reach::Reached;
use super::{Desk, EVENT};
use crate::store::crowd;
use crate::store::pace::Spread;
use crate::store::questions::Asked;
use crate::venue;
use anyhow::{Context, Result, ensure};
use engine::sim_disk::SplitMix64;
use load_tests::procfs::Machine;
use serde::Serialize;
use std::fmt::Write;
use std::time::Instant;

/// Questions before those that are timed.
const WARM_UP: usize = 10;

/// The cursors of a walk through all tickets have so many items between them: the most a page may have.
const ITEMS_BETWEEN: u32 = 500;

/// Where questions may be about: any ticket, any page.
struct Place<'h> {
    number: u32,
    after: &'h str,
}

type Question = fn(&Place<'_>) -> String;

/// What people asked, as written to a file.
#[derive(Debug, Serialize)]
pub struct Report {
    /// UTC.
    pub date: String,
    /// As told by the caller.
    pub commit: String,
    /// Where it ran.
    pub machine: Machine,
    /// Tickets of the house.
    pub tickets: u32,
    /// Scans before the first question.
    pub scans: u64,
    /// Kind by kind.
    pub questions: Vec<Asked>,
    /// Scans a second while changes were made.
    pub rate: u32,
    /// How soon devices heard of changes.
    pub reached: Vec<Reached>,
}

// === impl Report ===

impl Report {
    /// The report for people.
    pub fn markdown(&self) -> String {
        let Report { machine, tickets, scans, rate, .. } = self;
        let mut text = format!(
            "# What people ask of the API in a house of {tickets} tickets\n\n\
             - date: {}, commit: {}\n\
             - machine: {}, {} cores, Linux {}; {scans} scans before\n\
             - the whole round trip over a kept connection, the answer read as JSON; pages of 50\n\
             - a page may be empty and be followed by others: where only a letter is told, and the first thousands of tickets name nobody\n\n\
             | question | times | found something | p50 ms | p99 ms | most ms |\n|---|---|---|---|---|---|\n",
            self.date, self.commit, machine.cpu_model, machine.core_count, machine.kernel
        );
        for Asked { kind, questions, found, ms } in &self.questions {
            let Spread { median, p99, most } = ms;
            let _ = writeln!(text, "| {kind} | {questions} | {found} | {median:.2} | {p99:.2} | {most:.2} |");
        }
        let _ = write!(
            text,
            "\n## How soon a device hears of a change, beside {rate} scans/s\n\n\
             From before the request is sent until the gate's device has read it on its stream, between all that others scan.\n\n\
             | change of its gate | times | p50 ms | p99 ms | most ms |\n|---|---|---|---|---|\n"
        );
        for Reached { change, times, ms } in &self.reached {
            let Spread { median, p99, most } = ms;
            let _ = writeln!(text, "| {change} | {times} | {median:.2} | {p99:.2} | {most:.2} |");
        }
        text
    }
}

const KINDS: [(&str, Question); 18] = [
    ("counts of an event", |_| format!("counts?event={EVENT}")),
    ("counts of everything", |_| "counts".to_owned()),
    ("list: first page", |_| "tickets".to_owned()),
    ("list: any page", |at| format!("tickets?after={}", at.after)),
    ("list: of a type", |at| format!("tickets?event={EVENT}&type=STANDARD&after={}", at.after)),
    ("list: of a status", |at| format!("tickets?status=active&after={}", at.after)),
    ("list: not used yet", |at| format!("tickets?event={EVENT}&used=false&after={}", at.after)),
    ("list: an order", |at| format!("tickets?order={}", crowd::order(at.number))),
    ("search: holder", |at| search(&crowd::holder(at.number))),
    ("search: holder, of an event", |at| search(&crowd::holder(at.number)) + "&event=" + EVENT),
    ("search: last name begun", |at| {
        let holder = crowd::holder(at.number);
        search(&holder.rsplit(' ').next().unwrap_or_default()[..5])
    }),
    ("search: first letter, of an event", |at| search(&crowd::holder(at.number)[..1]) + "&event=" + EVENT),
    ("search: what all have, of an event", |_| search("ORDER") + "&event=" + EVENT),
    ("search: code begun", |at| search(&code(at.number)[..8])),
    ("a ticket by its code", |at| format!("tickets?code={}", code(at.number))),
    ("a ticket", |at| format!("tickets/{}", at.number)),
    ("access log: newest", |_| "scans?order=newest_first".to_owned()),
    ("access log: of a gate", |_| "scans?gate=ENTRANCE_01".to_owned()),
];

/// Asks all kinds of questions, `count` times each, of tickets 0 to `tickets`.
///
/// # Errors
/// A question fails.
pub fn ask(desk: &Desk, tickets: u32, count: usize) -> Result<Vec<Asked>> {
    let cursors = cursors(desk, tickets)?;
    let ask = |(kind, question): &(&'static str, Question)| {
        let mut random = SplitMix64(0x6f_6666);
        let mut next = || {
            let after = &cursors[random.below(cursors.len() as u64) as usize];
            question(&Place { number: random.below(u64::from(tickets)) as u32, after })
        };
        ask_kind(desk, kind, &mut next, count).with_context(|| *kind)
    };
    KINDS.iter().map(ask).collect()
}

/// Those of a walk through all tickets, without the last page's.
fn cursors(desk: &Desk, tickets: u32) -> Result<Vec<String>> {
    let mut cursors: Vec<String> = Vec::new();
    loop {
        let after = cursors.last().map_or_else(String::new, |after| format!("&after={after}"));
        let page = desk.read(&format!("/api/v1/tickets?fields=id&limit={ITEMS_BETWEEN}{after}"))?;
        let Some(next) = page["next"].as_str() else { break };
        cursors.push(next.to_owned());
    }
    ensure!(cursors.len() as u32 >= tickets / ITEMS_BETWEEN, "only {} pages of tickets", cursors.len());
    Ok(cursors)
}

fn ask_kind(
    desk: &Desk,
    kind: &'static str,
    next: &mut dyn FnMut() -> String,
    count: usize,
) -> Result<Asked> {
    let (mut found, mut ms) = (0, Vec::new());
    for nth in 0..WARM_UP + count {
        let path = format!("/api/v1/{}", next());
        let began = Instant::now();
        let answer = desk.read(&path)?;
        if nth < WARM_UP {
            continue;
        }
        ms.push(began.elapsed().as_secs_f64() * 1e3);
        found += usize::from(!answer["items"].as_array().is_some_and(Vec::is_empty));
    }
    Ok(Asked { kind, questions: count, found, ms: Spread::of(ms) })
}

fn code(number: u32) -> String {
    String::from_utf8_lossy(&venue::code(number)).into_owned()
}

/// A text of letters, digits, dashes and blanks, in a query.
fn search(text: &str) -> String {
    let mut query = "tickets?q=".to_owned();
    text.bytes().for_each(|byte| {
        let _ = write!(query, "%{byte:02X}");
    });
    query
}
