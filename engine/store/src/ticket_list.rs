//! Lists of tickets: which of a filter's conditions an index serves, and where the next page begins. Knows columns and
//! their indexes; knows neither database.

use crate::rows::{TicketFilter, TicketPage};
use engine::ticket::{Ticket, TicketId};

/// Tickets one question looks at, at the most: no filter, however little fits it, makes it look through a million.
pub(crate) const TICKETS_LOOKED_AT_MAX: usize = 2_048;

/// Conditions with their values, those that are set.
pub(crate) type Conditions<V> = Vec<(&'static str, Option<V>)>;

/// Makes a filter's values as a database takes them.
pub(crate) struct Values<V> {
    pub event: fn(u32) -> V,
    pub type_id: fn(u16) -> V,
    pub text: fn(&str) -> V,
    pub flag: fn(bool) -> V,
    /// That a ticket is a specimen, as its index says it.
    pub is_specimen: &'static str,
}

/// The conditions of a list.
pub(crate) struct List<V> {
    /// An index serves these in the order of numbers: they choose which tickets are looked at.
    pub chosen: Conditions<V>,
    /// Those that were chosen are looked at for these.
    pub rest: Conditions<V>,
    /// How many are looked at.
    pub looked_at: usize,
}

// === impl List ===

impl<V> List<V> {
    /// The best index for a filter: an order is a few tickets, specimens are few, then type or event with the status.
    pub(crate) fn of(filter: &TicketFilter, limit: usize, after: V, make: &Values<V>) -> List<V> {
        let event = ("event = ?", filter.event.map(|event| (make.event)(event.0)));
        let type_id = ("type_id = ?", filter.type_id.map(|own| (make.type_id)(own.0)));
        let status =
            ("status = ?", filter.status.map(|status| (make.text)(crate::words::Word::word(status))));
        let used = ("(SELECT used > 0 FROM ticket_uses WHERE ticket = id) = ?", filter.used.map(make.flag));
        let order = |sql| (sql, filter.order.as_deref().map(make.text));
        let specimen = |wanted: Option<bool>| ("specimen = ?", wanted.map(make.flag));
        let behind = ("id > ?", Some(after));
        let (chosen, rest): (Conditions<V>, Conditions<V>) =
            if filter.order.as_ref().is_some_and(|own| !own.is_empty()) {
                let order = order("order_ref = ? AND order_ref <> ''");
                (vec![order, behind], vec![event, type_id, status, used, specimen(filter.specimen)])
            } else if filter.specimen == Some(true) {
                let chosen = vec![(make.is_specimen, behind.1)];
                (chosen, vec![event, type_id, status, used, order("order_ref = ?")])
            } else {
                let rest = vec![used, specimen(filter.specimen), order("order_ref = ?")];
                match filter.type_id {
                    Some(_) => (vec![type_id, status, behind], rest.into_iter().chain([event]).collect()),
                    None => (vec![event, status, behind], rest),
                }
            };
        let all_fit = rest.iter().all(|(_, value)| value.is_none());
        let looked_at = if all_fit { limit } else { TICKETS_LOOKED_AT_MAX.max(limit) };
        List { chosen, rest, looked_at }
    }

    /// The page: `found` of those that were looked at, and of these the count and the last.
    pub(crate) fn page(
        &self,
        found: Vec<(TicketId, Ticket)>,
        limit: usize,
        seen: (usize, Option<TicketId>),
    ) -> TicketPage {
        let next = match found.last() {
            Some((last, _)) if found.len() == limit => Some(*last),
            _ if seen.0 == self.looked_at => seen.1,
            _ => None,
        };
        TicketPage { tickets: found, next }
    }
}

/// The question: `chosen` are conditions, `fits` is what those that were chosen are looked at for, `looked_at` the mark
/// of its value, `is_of_page` that a number is among the first of those that fit. There is one row at least: after a
/// ticket's columns, how many were looked at, and the last of them.
///
/// What is only looked at stands beside the numbers and not among the conditions: there a planner took it for the
/// better index, and read every ticket of an event (170 ms at a million).
pub(crate) fn question(columns: &str, chosen: &str, fits: &str, looked_at: &str, is_of_page: &str) -> String {
    format!(
        "WITH chosen AS MATERIALIZED \
         (SELECT id, {fits} AS fits FROM tickets {chosen} ORDER BY id LIMIT {looked_at}) \
         SELECT {columns}, seen, last FROM (SELECT count(*) AS seen, max(id) AS last FROM chosen) AS looked_at \
         LEFT JOIN (SELECT {columns} FROM tickets JOIN ticket_uses ON ticket = id WHERE {is_of_page}) AS own \
         ON true ORDER BY id"
    )
}
