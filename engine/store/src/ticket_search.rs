//! Search for tickets by what somebody remembers: through the indexes of words and codes where few tickets can fit, else
//! ticket by ticket in the order of their numbers, which soon fills a page where many fit. Either way a question's cost is
//! bounded, however common the words are. Knows how a page is found; knows no SQL.

use crate::error::StoreResult;
use crate::rows::TicketPage;
use crate::search::{WordRange, hexadecimal, search_words, words_of};
use engine::catalog::EventId;
use engine::ticket::{CodeKind, Ticket, TicketId};

/// Words or codes with so many entries are common: finding them all, sorting them and looking up their events takes some
/// 25 ms, and a walk by number that fills a page less.
pub(crate) const COMMON: usize = 16_384;
/// Tickets a walk reads at once: some 3 ms.
const WALKED_AT_ONCE: usize = 1_024;
/// Tickets a question walks past at the most.
const WALKED_MAX: usize = 8 * WALKED_AT_ONCE;

/// A database's indexes, as a search asks them.
pub(crate) trait Indexes {
    /// How many entries there are for each word, and last for codes that begin with the text; [`COMMON`] at most.
    fn entries(&self, words: &[WordRange], text: &str) -> StoreResult<Vec<usize>>;

    /// Tickets that have all the words, the first of which finds the fewest, or a code that begins with the text.
    fn by_index(
        &self,
        words: &[WordRange],
        text: &str,
        place: &Place,
        limit: usize,
    ) -> StoreResult<Vec<(TicketId, Ticket)>>;

    /// Tickets in the order of their numbers.
    fn in_order(&self, place: &Place, limit: usize) -> StoreResult<Vec<(TicketId, Ticket)>>;
}

/// Where a search looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Among an event's tickets.
    pub event: Option<EventId>,
    /// Behind this number.
    pub after: Option<TicketId>,
}

/// A page of the tickets that are found by a text.
pub(crate) fn page(
    indexes: &impl Indexes,
    text: &str,
    place: Place,
    limit: usize,
) -> StoreResult<TicketPage> {
    let (words, text) = (search_words(text), text.trim());
    if words.is_empty() || limit == 0 {
        return Ok(TicketPage::default());
    }
    let mut entries = indexes.entries(&words, text)?;
    let codes = entries.pop().unwrap_or(0);
    let mut by_count: Vec<(usize, WordRange)> = entries.into_iter().zip(words).collect();
    by_count.sort_by_key(|(count, _)| *count);
    let rarest = by_count.first().map_or(0, |(count, _)| *count);
    let words: Vec<WordRange> = by_count.into_iter().map(|(_, word)| word).collect();
    if rarest >= COMMON || codes >= COMMON {
        return walk(indexes, &words, text, place, limit);
    }
    let mut tickets = indexes.by_index(&words, text, &place, limit + 1)?;
    let more = tickets.len() > limit;
    tickets.truncate(limit);
    let next = tickets.last().map(|(id, _)| *id).filter(|_| more);
    Ok(TicketPage { tickets, next })
}

fn walk(
    indexes: &impl Indexes,
    words: &[WordRange],
    text: &str,
    mut place: Place,
    limit: usize,
) -> StoreResult<TicketPage> {
    let card = hexadecimal(text);
    let fits = |ticket: &Ticket| {
        let details = &ticket.details;
        let has = |wanted: &WordRange| words_of(details).any(|word| word.starts_with(&wanted.begin));
        let begins = |(kind, code): (CodeKind, &[u8])| match kind {
            CodeKind::Optical => code.starts_with(text.as_bytes()),
            CodeKind::Card => card.as_ref().is_some_and(|card| code.starts_with(card)),
        };
        details.codes().any(begins) || words.iter().all(has)
    };
    let (mut found, mut walked) = (Vec::new(), 0);
    while walked < WALKED_MAX {
        let tickets = indexes.in_order(&place, WALKED_AT_ONCE)?;
        let is_last = tickets.len() < WALKED_AT_ONCE;
        walked += tickets.len();
        for (id, ticket) in tickets {
            place.after = Some(id);
            if fits(&ticket) {
                found.push((id, ticket));
            }
            if found.len() == limit {
                return Ok(TicketPage { tickets: found, next: place.after });
            }
        }
        if is_last {
            return Ok(TicketPage { tickets: found, next: None });
        }
    }
    Ok(TicketPage { tickets: found, next: place.after })
}
