//! Webhooks in the engine's registry: found at the start, written by acts that the audit tells. Knows no receiver.

use crate::Shared;
use crate::error::Error;
use crate::line::{Known, Line};
use crate::queue::Queue;
use crate::settings::{Stopped, Webhook};
use engine::catalog::OperatorId;
use engine::clock::{Clock, SystemClock};
use engine::registry::{Act, Expected, RegistryChange};
use engine::{Engine, Lsn};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tracing::{error, warn};

/// The kind of our entries in the registry.
pub const KIND: &str = "webhook";

/// The webhooks of the registry, each where the queue says that it stands. Places of webhooks that are gone are forgotten.
///
/// # Errors
/// The file.
pub fn found(engine: &Engine, queue: &Queue) -> Result<BTreeMap<String, Arc<Line>>, Error> {
    let (mut lines, durable) = (BTreeMap::new(), engine.journal().positions().durable.0);
    let mut rows: BTreeMap<String, _> =
        queue.lines()?.into_iter().map(|row| (row.webhook, (row.cursor, row.pending))).collect();
    for (id, entry) in engine.registry(KIND) {
        let webhook: Webhook = match serde_json::from_str(&entry) {
            Ok(webhook) => webhook,
            Err(error) => {
                error!(webhook = id, %error, "a webhook of the registry cannot be read; nothing is sent for it");
                continue;
            }
        };
        let (mut cursor, pending) = match rows.remove(&id) {
            Some(row) => row,
            None => {
                warn!(
                    webhook = id,
                    "the queue does not know a webhook: its file was lost? it goes on from now"
                );
                queue.begin(&id, durable)?;
                (durable, 0)
            }
        };
        if cursor > durable {
            warn!(
                webhook = id,
                cursor,
                journal = durable,
                "a webhook is ahead of the journal: another data directory?"
            );
            queue.jump(
                &id,
                durable,
                "the journal is another one: it goes on from now",
                SystemClock.now().0,
            )?;
            cursor = durable;
        }
        let known = Known { entry, webhook: Arc::new(webhook) };
        lines.insert(id.clone(), Arc::new(Line::new(&id, known, cursor, pending)));
    }
    rows.keys().try_for_each(|gone| queue.forget(gone))?;
    Ok(lines)
}

// === changes ===

impl Shared {
    /// A webhook at work.
    pub(crate) fn line(&self, id: &str) -> Result<Arc<Line>, Error> {
        self.lines.lock().get(id).cloned().ok_or(Error::NotFound)
    }

    /// Writes a webhook into the registry, if it is there as it was before; gives what is known of it now.
    pub(crate) fn store(
        &self,
        by: Option<OperatorId>,
        action: &str,
        id: &str,
        before: Option<&Known>,
        webhook: Webhook,
    ) -> Result<(Lsn, Known), Error> {
        let entry: Arc<str> = serde_json::to_string(&webhook).expect("a webhook is JSON").into();
        let change =
            RegistryChange { kind: KIND.to_owned(), name: id.to_owned(), value: Some(entry.to_string()) };
        let settings = |webhook: &Webhook| json!({"settings": webhook.settings, "stopped": webhook.stopped});
        let details =
            json!({"before": before.map(|known| settings(&known.webhook)), "after": settings(&webhook)});
        let lsn = match before {
            Some(before) => self.act(by, action, before, details, change)?,
            None => {
                let expected = Expected { kind: KIND, name: id, value: None };
                self.engine.act_if(by, &[expected], act(action, details, change))?
            }
        };
        Ok((lsn, Known { entry, webhook: Arc::new(webhook) }))
    }

    /// Does an act that changes a webhook, if it is as it was before.
    pub(crate) fn act(
        &self,
        by: Option<OperatorId>,
        action: &str,
        before: &Known,
        details: Value,
        change: RegistryChange,
    ) -> Result<Lsn, Error> {
        let name = change.name.clone();
        let expected = Expected { kind: KIND, name: &name, value: Some(&before.entry) };
        Ok(self.engine.act_if(by, &[expected], act(action, details, change))?)
    }

    /// The server itself stops sending: nobody would take it. What waits stays, until somebody enables it again.
    pub(crate) fn stop_sending(&self, line: &Line, why: &str) -> Result<(), Error> {
        let _changing = self.changing.lock();
        let before = line.known();
        if !before.webhook.settings.enabled || line.removed.load(Ordering::Acquire) {
            return Ok(());
        }
        let webhook = before.webhook.stopped(Stopped { at_ms: SystemClock.now().0, why: why.to_owned() });
        let (_, known) = self.store(None, "webhook_stopped", &line.id, Some(&before), webhook)?;
        line.set_known(known);
        error!(webhook = line.id, why, "a webhook was disabled; enable it again when its receiver is well");
        Ok(())
    }
}

fn act(action: &str, details: Value, change: RegistryChange) -> Act {
    let subject = change.name.clone();
    Act { action: action.to_owned(), subject, details: details.to_string(), entries: vec![change] }
}
