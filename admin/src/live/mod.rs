//! The live feed: what happens, told to whoever listens.
//!
//! ```text
//! journal's tail ──→ hub (a thread that gives way; reads once, renders once) ──→ a bounded queue for each listener
//! counts, clocks ──→ watch (twice a second) ──→ hub                                  └→ sse, websocket
//! ```
//!
//! A listener that is too slow is dropped, never waited for; nothing it was owed is lost, as it comes back with its cursor.
//! The hub shares no lock with a gate but the journal's list of segments. Knows no route.

mod alarm;
mod filter;
mod hub;
mod listener;
mod message;
mod sse;
mod tickets;
mod told;
mod watch;
mod websocket;

pub use filter::Filter;
pub use hub::{Hub, LiveFigures};
pub use listener::{Listener, Start};
pub use sse::answer as answer_sse;
pub use tickets::{TICKET_LIVES, Tickets};
pub use told::LiveMessage;
pub use watch::{LastSeen, LiveParts, PeripheralNow};
pub use websocket::converse;

use engine::Engine;
use std::io;
use std::sync::Arc;
use tokio::sync::watch as channel;

/// Everything of the live feed that the app has.
pub struct Live {
    /// Whom listeners are handed to.
    pub hub: Hub,
    /// One-time tickets, for browsers.
    pub tickets: Tickets,
}

impl Live {
    /// Starts the hub's thread and the watch; both end when `stopping` says so. To be called within a runtime.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(
        engine: &Arc<Engine>,
        parts: LiveParts,
        last_seen: LastSeen,
        stopping: channel::Receiver<bool>,
    ) -> io::Result<Live> {
        let hub = Hub::start(Arc::clone(engine), parts.give_way, Arc::clone(&parts.figures))?;
        tokio::spawn(watch::run(Arc::clone(engine), parts, last_seen, hub.clone(), stopping));
        Ok(Live { hub, tickets: Tickets::default() })
    }
}
