//! Webhooks: what happened in the venue, told to other people's servers by the Standard Webhooks convention: signed, in
//! order as far as retries allow, at least once.
//!
//! ```text
//! journal ──follow──> queue (SQLite, bounded) ──courier, one for each webhook──> receiver
//!            └ where a queue is full, its webhook waits in the journal
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `desk` | what people do with webhooks |
//! | `settings`, `entries` | what a webhook is set to; the registry's entry, secrets sealed |
//! | `kinds`, `facts` | the catalogue of types; records as messages |
//! | `follow` | the thread behind the journal |
//! | `queue` | messages, attempts and dead letters in one file |
//! | `courier`, `sending`, `signing` | one message to one receiver, and what becomes of it |
//! | `addresses` | where nothing is ever sent |
//! | `pace` | when it is tried again |
//!
//! Knows no HTTP server, no session and no right. No gate waits for any of it.

mod addresses;
mod bell;
mod courier;
mod desk;
mod entries;
mod error;
mod facts;
mod follow;
mod kinds;
mod line;
mod pace;
mod queue;
mod sending;
mod settings;
mod signing;

pub use addresses::Reach;
pub use desk::{Options, Replayed, Webhooks};
pub use error::{Error, WEBHOOKS_MAX};
pub use facts::moment;
pub use kinds::{Kind, PING};
pub use pace::Pace;
pub use queue::{Attempt, DeadLetter, Figures, Went};
pub use settings::{Settings, Stopped, Webhook};

use bell::Bell;
use engine::Engine;
use line::Line;
use parking_lot::Mutex;
use queue::Queue;
use secrets::Vault;
use sending::Sender;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What the threads share.
struct Shared {
    engine: Arc<Engine>,
    queue: Queue,
    vault: Vault,
    sender: Sender,
    pace: Pace,
    /// Rings when there is something to send, something changed, or the end.
    bell: Bell,
    stop: AtomicBool,
    lines: Mutex<BTreeMap<String, Arc<Line>>>,
    /// Held while a webhook is changed: registry, queue and line together.
    changing: Mutex<()>,
    /// Held while cursors move. Taken after `changing`.
    turn: Mutex<()>,
}

impl Shared {
    fn lines(&self) -> Vec<Arc<Line>> {
        self.lines.lock().values().cloned().collect()
    }
}
