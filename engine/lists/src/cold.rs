//! Codes of tickets that are in the store only: asked before a list is taken in, for the memory does not know them. Knows
//! no list.

use crate::row::code_text;
use engine::Engine;
use engine::ticket::{CodeKind, Ticket, TicketId};
use std::time::{Duration, Instant};

/// How long a list waits until the store knows what was imported before it.
const STORE_CATCHES_UP_MAX: Duration = Duration::from_secs(30);

/// A connection to the store, for one question at a time.
pub struct ColdCodes(parking_lot::Mutex<Box<dyn store::Queries>>);

impl ColdCodes {
    /// Asks through this connection.
    pub fn new(questions: Box<dyn store::Queries>) -> ColdCodes {
        ColdCodes(parking_lot::Mutex::new(questions))
    }

    /// Gives the ticket back if none of its codes belongs to one in the store. Costs the filter's 60 ns a code,
    /// and a look-up only where the filter says "maybe".
    ///
    /// # Errors
    /// Which code is taken, or that the store cannot say, in words.
    pub fn free(&self, engine: &Engine, ticket: Ticket) -> Result<Ticket, String> {
        for (kind, code) in
            ticket.details.codes().filter(|(kind, code)| engine.cold_filter().maybe(*kind, code))
        {
            wait_for_cold(engine)?;
            if self.find(kind, code)?.is_some() {
                return Err(format!("code '{}' belongs to another ticket already", code_text(kind, code)));
            }
        }
        Ok(ticket)
    }

    /// The ticket that has this code, as the store has it.
    ///
    /// # Errors
    /// The store is away, in words.
    pub fn find(&self, kind: CodeKind, code: &[u8]) -> Result<Option<(TicketId, Ticket)>, String> {
        self.0.lock().find_code(kind, code).map_err(|error| format!("the store cannot be asked: {error}"))
    }
}

/// Waits until the store knows every ticket that is there only, as it is now.
///
/// # Errors
/// It takes too long, in words.
pub fn wait_for_cold(engine: &Engine) -> Result<(), String> {
    let (target, began) = (engine.cold_changed(), Instant::now());
    while engine.projected() < target {
        if began.elapsed() > STORE_CATCHES_UP_MAX {
            return Err(
                "the store is too far behind to tell whether the code is new; try again later".to_owned()
            );
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    Ok(())
}
