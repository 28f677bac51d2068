//! Search for tickets by what somebody remembers. Where few tickets can fit, all of them are found through the indexes and
//! sorted. A common name is few words: each has its tickets in their order already, and a page is merged from their
//! beginnings. A letter is many words: tickets are walked through by number, so many at the most. Knows how a page is found;
//! knows no SQL.

use crate::error::StoreResult;
use crate::rows::TicketPage;
use crate::search::{WordRange, hexadecimal, search_words, words_of};
use engine::catalog::EventId;
use engine::ticket::{CodeKind, Ticket, TicketId};

/// Words or codes with so many entries are common: finding them all, sorting them and looking up their events takes some
/// 25 ms.
pub(crate) const COMMON: usize = 16_384;
/// Different words whose tickets are merged; of more, tickets are walked through.
pub(crate) const MERGED_MAX: usize = 64;
/// Tickets a walk reads at once: some 3 ms.
const WALKED_AT_ONCE: usize = 1_024;
/// Tickets a question walks past at the most.
const WALKED_MAX: usize = 8 * WALKED_AT_ONCE;

/// The different words of a range, from one to the next: by the index, however many tickets have each. Values: begin, end,
/// how many.
pub(crate) const SPELLED: &str = "WITH RECURSIVE own(word) AS (\
     SELECT min(word) FROM ticket_words WHERE word >= $1 AND word < $2 UNION ALL \
     SELECT (SELECT min(word) FROM ticket_words WHERE word > own.word AND word < $2) FROM own WHERE own.word IS NOT NULL) \
     SELECT word FROM own WHERE word IS NOT NULL LIMIT $3";

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

    /// The different words that begin so, if they are at most [`MERGED_MAX`].
    fn spelled(&self, word: &WordRange) -> StoreResult<Option<Vec<String>>>;

    /// As `by_index`, where the first word is one of `spelled`, and is common.
    fn merged(
        &self,
        spelled: &[String],
        others: &[WordRange],
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
    let mut tickets = if codes >= COMMON {
        return walk(indexes, &words, text, place, limit);
    } else if rarest < COMMON {
        indexes.by_index(&words, text, &place, limit + 1)?
    } else {
        match indexes.spelled(&words[0])? {
            Some(spelled) => indexes.merged(&spelled, &words[1..], text, &place, limit + 1)?,
            None => return walk(indexes, &words, text, place, limit),
        }
    };
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
