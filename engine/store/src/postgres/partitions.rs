//! The partitions of the access log: one for each day (UTC) of the decisions, made some days ahead, moved out of the way
//! whole when they are older than is wanted. Knows names and bounds; knows no scan.
//!
//! Nothing depends on them: a scan whose day has none is in the default partition, and moves when its day gets one. So a
//! server that is busy is not waited for long, and batches go on.

use super::connect::Link;
use super::values::get;
use crate::error::{Cause, StoreError, StoreResult, WhileDoing};
use deadpool_postgres::ClientWrapper;
use engine::Lsn;
use engine::record::Record;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Partitions there are for the days to come: a week in which a server may be too busy to make more.
const DAYS_AHEAD: i64 = 7;
/// Days of one batch that get a partition; a clock that jumped must not make thousands.
const DAYS_BEHIND_MAX: i64 = 31;
/// Days since 1970 that get a partition: to the end of the year 9999. Beyond, no calendar of people's is sure.
const DAYS: RangeInclusive<i64> = 0..=2_932_896;
const DAY_MS: i64 = 86_400_000;
/// How long readers of the log are waited for; meanwhile others wait behind.
const LOCK_PATIENCE: &str = "SET LOCAL lock_timeout = '1s'";
/// The pause after it did not work.
const RETRY_WAIT: Duration = Duration::from_secs(60);

/// What is known of the partitions.
#[derive(Default)]
pub(super) struct Partitions {
    /// Days that were looked after.
    ready: BTreeSet<i64>,
    /// Not before: it did not work last time.
    retry_at: Option<Instant>,
}

// === impl Partitions ===

impl Partitions {
    /// Makes the partitions that records and the days after them need, and drops those that are too old. To be called
    /// outside a transaction. Costs nothing unless a day is new. `kept_from`: scans from here on have kept answers.
    pub(super) fn tend(
        &mut self,
        link: &Link,
        session: &ClientWrapper,
        records: &[(Lsn, Record<'_>)],
        kept_from: u64,
    ) -> StoreResult<()> {
        let Some((first, last)) = days_of(records) else { return Ok(()) };
        let wanted = first.max(last - DAYS_BEHIND_MAX)..=last + DAYS_AHEAD;
        let missing: Vec<i64> =
            wanted.filter(|day| DAYS.contains(day) && !self.ready.contains(day)).collect();
        let waits = self.retry_at.is_some_and(|at| Instant::now() < at);
        if missing.is_empty() || waits {
            return Ok(());
        }
        match self.make_and_drop(link, session, &missing, last, kept_from) {
            Ok(()) => self.retry_at = None,
            // The session is of no use any more, or nobody knows.
            Err(error @ StoreError::Server { cause: Cause::Away | Cause::Slow, .. }) => return Err(error),
            Err(error) => {
                warn!(%error, "the access log's partitions have to wait, its rows do not");
                self.retry_at = Some(Instant::now() + RETRY_WAIT);
                let back = async { session.batch_execute("ROLLBACK").await.while_doing("go on") };
                link.wait("go on", back)?;
            }
        }
        Ok(())
    }

    fn make_and_drop(
        &mut self,
        link: &Link,
        session: &ClientWrapper,
        missing: &[i64],
        last: i64,
        kept_from: u64,
    ) -> StoreResult<()> {
        for day in missing {
            link.wait("make a partition of the access log", make(session, *day))?;
            self.ready.insert(*day);
        }
        let Some(days) = link.options.log_days else { return Ok(()) };
        let old = link.wait("look for old partitions", older_than(session, last - i64::from(days)))?;
        let mut dropped = false;
        for name in old {
            let gone = link.wait("drop an old partition", drop_unkept(session, &name, kept_from))?;
            if gone {
                info!(partition = name, "an old part of the access log was dropped");
            }
            dropped |= gone;
        }
        if dropped {
            link.wait("remove what became of old scans", forget_passages(session))?;
        }
        Ok(())
    }
}

/// The days of the first and the last scan.
fn days_of(records: &[(Lsn, Record<'_>)]) -> Option<(i64, i64)> {
    let day = |(_, record): &(Lsn, Record<'_>)| match record {
        Record::Scan(scan) => Some(scan.recorded_at.0.div_euclid(DAY_MS)),
        _ => None,
    };
    Some((records.iter().find_map(day)?, records.iter().rev().find_map(day)?))
}

/// Name and bounds of a day's partition, as the server writes them.
async fn names(session: &ClientWrapper, day: i64) -> StoreResult<(String, String, String, bool)> {
    let sql = "SELECT name, quote_literal(day::timestamptz), quote_literal((day + 1)::timestamptz), \
               to_regclass(name) IS NOT NULL \
               FROM (SELECT day, 'scans_' || to_char(day, 'YYYYMMDD') AS name \
                     FROM (SELECT date '1970-01-01' + $1::integer AS day) AS days) AS named";
    let statement = session.prepare_cached(sql).await.while_doing("name a partition")?;
    let row = session.query_one(&statement, &[&(day as i32)]).await.while_doing("name a partition")?;
    Ok((get(&row, 0)?, get(&row, 1)?, get(&row, 2)?, get(&row, 3)?))
}

/// Makes a day's partition, unless it is there, with the rows of that day that had none. Attached afterwards and not
/// made in place: that keeps readers of the other partitions from waiting.
async fn make(session: &ClientWrapper, day: i64) -> StoreResult<()> {
    let (name, from, until, there) = names(session, day).await?;
    if there {
        return Ok(());
    }
    let sql = format!(
        "BEGIN; {LOCK_PATIENCE}; CREATE TABLE {name} (LIKE scans INCLUDING ALL); \
         WITH moved AS (DELETE FROM scans_default WHERE decided_at >= {from} AND decided_at < {until} RETURNING *) \
         INSERT INTO {name} SELECT * FROM moved; \
         ALTER TABLE scans ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({until}); COMMIT"
    );
    session.batch_execute(&sql).await.while_doing("make a partition of the access log")
}

/// The partitions of days before this one, oldest first.
async fn older_than(session: &ClientWrapper, day: i64) -> StoreResult<Vec<String>> {
    let sql = "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid \
               WHERE inhparent = 'scans'::regclass AND relname ~ '^scans_[0-9]{8}$' \
               AND to_date(substr(relname, 7), 'YYYYMMDD') < date '1970-01-01' + $1::integer ORDER BY 1";
    let rows = session.query(sql, &[&(day as i32)]).await.while_doing("look for old partitions")?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Drops a partition none of whose scans has a kept answer; `false`: one has.
async fn drop_unkept(session: &ClientWrapper, name: &str, kept_from: u64) -> StoreResult<bool> {
    let newest = format!("SELECT coalesce(max(lsn), 0) FROM {name}");
    let row = session.query_one(&newest, &[]).await.while_doing("look into an old partition")?;
    if get::<i64>(&row, 0)? as u64 >= kept_from {
        return Ok(false);
    }
    let sql = format!("BEGIN; {LOCK_PATIENCE}; DROP TABLE {name}; COMMIT");
    session.batch_execute(&sql).await.while_doing("drop an old partition")?;
    Ok(true)
}

/// Removes passages and repeats of scans before all that are left. Those of kept answers stay: a node is made from them.
async fn forget_passages(session: &ClientWrapper) -> StoreResult<()> {
    let oldest = "SELECT least(kept_from, (SELECT min(lsn) FROM scans)) FROM meta";
    let sql =
        format!("DELETE FROM passages WHERE scan < ({oldest}); DELETE FROM repeats WHERE scan < ({oldest})");
    session.batch_execute(&sql).await.while_doing("remove what became of old scans")
}
