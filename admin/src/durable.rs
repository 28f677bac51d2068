//! Waiting for the journal without holding a thread. Knows LSNs; knows no change.

use engine::journal::{Journal, Lsn};
use std::sync::Arc;
use tokio::sync::Notify;

/// Wakes those who wait when the journal has advanced. Costs the journal's thread one load while nobody waits.
#[derive(Clone)]
pub struct Durable {
    journal: Journal,
    advanced: Arc<Notify>,
}

impl Durable {
    /// Listens to a journal, for as long as it lives.
    pub fn new(journal: &Journal) -> Durable {
        let advanced = Arc::new(Notify::new());
        let ring = Arc::clone(&advanced);
        journal.on_durable(Box::new(move || ring.notify_waiters()));
        Durable { journal: journal.clone(), advanced }
    }

    /// Waits until a record is durable; `false`: the journal failed, and it never will be.
    pub async fn wait(&self, lsn: Lsn) -> bool {
        loop {
            // Before the look: an advance between the look and the wait is not missed.
            let advanced = self.advanced.notified();
            let poisoned = self.journal.poisoned();
            if self.journal.positions().durable >= lsn {
                return true;
            }
            if poisoned {
                return false;
            }
            advanced.await;
        }
    }
}
