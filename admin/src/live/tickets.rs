//! One-time tickets for the feed: a browser's `EventSource` and `WebSocket` send no headers, so that they show in the
//! address what stands for a token, for half a minute and once. Kept in memory, by hash; knows no permission.

use crate::problem::{Kind, Problem};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A ticket is good for so long.
pub const TICKET_LIVES: Duration = Duration::from_secs(30);
/// Tickets at once.
const TICKETS_MAX: usize = 2_000;

/// Tickets that were given and not used yet.
#[derive(Default)]
pub struct Tickets(Mutex<HashMap<[u8; 32], Given>>);

struct Given {
    token: Arc<str>,
    until: Instant,
}

// === impl Tickets ===

impl Tickets {
    /// A ticket that stands for a token.
    ///
    /// # Errors
    /// No randomness, or too many tickets wait to be used.
    pub fn give(&self, token: Arc<str>, now: Instant) -> Result<String, Problem> {
        let ticket = secrets::new_key().map_err(|error| {
            tracing::error!(%error, "no ticket can be drawn");
            Problem::new(Kind::Internal, "no ticket could be drawn")
        })?;
        let mut given = self.0.lock();
        given.retain(|_, own| own.until > now);
        if given.len() >= TICKETS_MAX {
            return Err(Problem::new(Kind::Unavailable, "too many tickets wait to be used"));
        }
        given.insert(secrets::hash(ticket.as_bytes()), Given { token, until: now + TICKET_LIVES });
        Ok(ticket)
    }

    /// The token a ticket stands for. It is good no more afterwards.
    pub fn redeem(&self, ticket: &str, now: Instant) -> Option<Arc<str>> {
        let given = self.0.lock().remove(&secrets::hash(ticket.as_bytes()))?;
        (given.until > now).then_some(given.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_for_half_a_minute() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let ticket = tickets.give("token".into(), now).unwrap();
        assert_eq!(tickets.redeem("another", now), None);
        assert_eq!(tickets.redeem(&ticket, now).as_deref(), Some("token"));
        assert_eq!(tickets.redeem(&ticket, now), None, "once");
        let late = tickets.give("token".into(), now).unwrap();
        assert_eq!(tickets.redeem(&late, now + TICKET_LIVES), None);
    }

    #[test]
    fn tickets_that_nobody_uses_make_room_when_they_expire() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        for _ in 0..TICKETS_MAX {
            tickets.give("token".into(), now).unwrap();
        }
        assert_eq!(tickets.give("token".into(), now).unwrap_err().kind, Kind::Unavailable);
        assert!(tickets.give("token".into(), now + TICKET_LIVES).is_ok());
    }
}
