//! Look-ups of tickets that are in the store only: one thread, a bounded queue, one look-up per code however
//! many ask, and a time budget. Behind the filter, off the hot path.

use engine::ticket::{CodeKind, Ticket, TicketId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// Look-ups that may wait.
const QUEUE_MAX: usize = 1_024;
/// A ticket that was looked for.
pub type Found = Option<(TicketId, Ticket)>;
type Key = (CodeKind, Vec<u8>);
type Waiting = Mutex<HashMap<Key, Vec<oneshot::Sender<Result<Found, Unfound>>>>>;

/// The store did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfound;

/// The store's side of a look-up.
pub type Lookup = Box<dyn FnMut(CodeKind, &[u8]) -> Result<Found, Unfound> + Send>;

/// The queue's near end.
#[derive(Clone)]
pub struct ColdLookups {
    waiting: Arc<Waiting>,
    queue: SyncSender<Key>,
    asked: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl ColdLookups {
    /// Starts the thread; it ends when the last handle is dropped.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(lookup: Lookup) -> std::io::Result<ColdLookups> {
        let waiting = Arc::new(Waiting::default());
        let (queue, keys) = sync_channel(QUEUE_MAX);
        let for_thread = Arc::clone(&waiting);
        std::thread::Builder::new()
            .name("cold-lookups".to_owned())
            .spawn(move || work(&for_thread, &keys, lookup))?;
        Ok(ColdLookups { waiting, queue, asked: Arc::default(), refused: Arc::default() })
    }

    /// The ticket that has this code, from the store, within `budget`: as long as the device still hears an answer.
    ///
    /// # Errors
    /// When the store does not answer within the budget, or too many wait.
    pub async fn find(&self, kind: CodeKind, code: &[u8], budget: Duration) -> Result<Found, Unfound> {
        let (sender, receiver) = oneshot::channel();
        self.ask((kind, code.to_vec()), sender)?;
        match tokio::time::timeout(budget, receiver).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Err(Unfound),
        }
    }

    fn ask(&self, key: Key, sender: oneshot::Sender<Result<Found, Unfound>>) -> Result<(), Unfound> {
        let mut waiting = self.waiting.lock();
        if let Some(others) = waiting.get_mut(&key) {
            others.push(sender);
            return Ok(());
        }
        match self.queue.try_send(key.clone()) {
            Ok(()) => {
                self.asked.fetch_add(1, Ordering::Relaxed);
                waiting.insert(key, vec![sender]);
                Ok(())
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(Unfound)
            }
        }
    }

    /// Look-ups made, look-ups refused because too many waited, codes waiting now.
    pub fn stats(&self) -> (u64, u64, usize) {
        (self.asked.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed), self.waiting.lock().len())
    }
}

fn work(waiting: &Waiting, keys: &Receiver<Key>, mut lookup: Lookup) {
    while let Ok(key) = keys.recv() {
        let found = lookup(key.0, &key.1);
        let senders = waiting.lock().remove(&key).unwrap_or_default();
        for sender in senders {
            // Whoever gave up does not hear it.
            let _ = sender.send(found.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_askers_of_one_code_cost_one_look_up() {
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        let lookups = ColdLookups::start(Box::new(move |_, _| {
            counter.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            Ok(None)
        }))
        .unwrap();
        let all = (0..20).map(|_| lookups.find(CodeKind::Optical, b"X", Duration::from_secs(5)));
        let mut waiting = Vec::new();
        for one in all {
            waiting.push(Box::pin(one));
        }
        // Polled once each, they have all asked before the first answer comes.
        let results = futures_join(waiting).await;
        assert!(results.iter().all(|found| *found == Ok(None)));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_costs_the_budget_and_no_more() {
        let lookups = ColdLookups::start(Box::new(|_, _| {
            std::thread::sleep(Duration::from_secs(3));
            Ok(None)
        }))
        .unwrap();
        assert_eq!(lookups.find(CodeKind::Card, b"Y", Duration::from_millis(50)).await, Err(Unfound));
    }

    async fn futures_join<T>(mut futures: Vec<std::pin::Pin<Box<impl Future<Output = T>>>>) -> Vec<T> {
        let mut results = Vec::new();
        std::future::poll_fn(|context| {
            futures.retain_mut(|future| match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => {
                    results.push(value);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        results
    }
}
