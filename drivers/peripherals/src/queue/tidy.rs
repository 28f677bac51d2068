//! What ends by itself: jobs whose time is over, rows that are old. A bounded part at a time.

use super::decisions::{Decision, note};
use super::{Lasts, Queue, Within, rows};
use crate::error::Error;
use crate::job::Outcome;
use driver_abi::Done;
use rusqlite::{Transaction, params};

/// Jobs whose life is over are remembered so long, in ms: the same id again prints nothing.
pub const KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// But no more than so many of them.
const KEPT_MAX: i64 = 100_000;
/// A job that nobody looked after is forgotten after so long, in ms, with a line in the audit.
pub const UNKNOWN_KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;
/// Decisions that are remembered.
const AUDIT_MAX: i64 = 100_000;
/// Rows that one clean-up takes away at most.
const PRUNED_MAX: i64 = 1_000;
impl Queue {
    /// Ends what is over: waiting jobs are `expired`, handed ones `unknown`. Gives the peripherals and how many expired.
    ///
    /// # Errors
    /// The file.
    pub fn expire(&self, now_ms: i64) -> Result<Vec<(String, u64)>, Error> {
        let mut inner = self.inner.lock();
        let over: Vec<(String, u64)> = inner.transact(&self.path, Lasts::Now, |tx| {
            let mut query = tx.prepare_cached(
                "SELECT peripheral, SUM(state = 'queued') FROM job
                 WHERE state IN ('queued', 'handed') AND expires_ms <= ?1 GROUP BY peripheral",
            )?;
            let over = query
                .query_map([now_ms], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<_>, _>>()?;
            if !over.is_empty() {
                let lost = Outcome {
                    done: Done::Unknown,
                    fault: None,
                    text: "its station did not tell in time what became of it".to_owned(),
                };
                tx.execute(
                    "UPDATE job SET outcome = CASE state WHEN 'handed' THEN ?2 ELSE outcome END,
                            state = CASE state WHEN 'handed' THEN 'unknown' ELSE 'expired' END, changed_ms = ?1
                     WHERE state IN ('queued', 'handed') AND expires_ms <= ?1",
                    params![now_ms, rows::outcome_text(&lost)],
                )?;
            }
            Ok(over)
        })?;
        for (peripheral, _) in &over {
            self.counted(&inner.connection, peripheral);
        }
        Ok(over)
    }

    /// Forgets what is long over, a bounded part at a time.
    ///
    /// # Errors
    /// The file.
    pub fn prune(&self, now_ms: i64) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        let forgotten = inner.transact(&self.path, Lasts::Now, |tx| prune(tx, now_ms))?;
        for peripheral in forgotten {
            self.counted(&inner.connection, &peripheral);
        }
        Ok(())
    }
}

fn prune(tx: &Transaction<'_>, now_ms: i64) -> Within<Vec<String>> {
    const OVER: &str = "state NOT IN ('queued', 'handed', 'started', 'unknown')";
    let old = format!(
        "DELETE FROM job WHERE n IN (SELECT n FROM job WHERE {OVER} AND changed_ms < ?1 ORDER BY n LIMIT ?2)"
    );
    tx.execute(&old, params![now_ms - KEPT_MS, PRUNED_MAX])?;
    let kept: i64 = tx.query_row(&format!("SELECT COUNT(*) FROM job WHERE {OVER}"), [], |row| row.get(0))?;
    let many = format!("DELETE FROM job WHERE n IN (SELECT n FROM job WHERE {OVER} ORDER BY n LIMIT ?1)");
    tx.execute(&many, [(kept - KEPT_MAX).clamp(0, PRUNED_MAX)])?;
    let mut query = tx.prepare(
        "SELECT id, peripheral FROM job WHERE state = 'unknown' AND changed_ms < ?1 ORDER BY n LIMIT ?2",
    )?;
    let forgotten = query
        .query_map(params![now_ms - UNKNOWN_KEPT_MS, PRUNED_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, String)>, _>>()?;
    for (id, peripheral) in &forgotten {
        let why = "nobody said in time whether it was printed";
        note(tx, &Decision { who: "gatehouse", what: "pruned", peripheral, job: Some(id), why }, now_ms)?;
        tx.execute("DELETE FROM job WHERE id = ?1", [id])?;
    }
    tx.execute(
        "DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE number <=
         (SELECT COALESCE(MAX(number), 0) FROM audit) - ?1 ORDER BY number LIMIT ?2)",
        params![AUDIT_MAX, PRUNED_MAX],
    )?;
    Ok(forgotten.into_iter().map(|(_, peripheral)| peripheral).collect())
}
