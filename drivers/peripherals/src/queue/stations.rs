//! Jobs that hang at stations: handed over durably, told back, both as often as it takes. Knows no network.
//!
//! A handed job belongs to the station's queue file, named by its incarnation. That file saying that it does not have
//! the job is proof that the job never arrived. Another file saying so proves nothing: the old one may have printed it.

use super::{Lasts, Queue, Trouble, Within, rows};
use crate::error::Error;
use crate::job::{Asking, HandIn, JobState, OfferedJob, Outcome};
use driver_abi::Done;
use rusqlite::{Transaction, params};

/// Jobs handed in one answer.
const OFFER_MAX: usize = 64;

impl Queue {
    /// Jobs for a station: those it was handed and never got, then new ones.
    ///
    /// # Errors
    /// The file.
    pub fn offer(&self, asking: &Asking, now_ms: i64) -> Result<Vec<OfferedJob>, Error> {
        let mut inner = self.inner.lock();
        let (jobs, touched) = inner.transact(&self.path, Lasts::Now, |tx| {
            let mut touched = orphan(tx, asking, now_ms)?;
            let mut jobs = missed(tx, asking, now_ms)?;
            let room = asking.max.min(OFFER_MAX).saturating_sub(jobs.len());
            let fresh = waiting(tx, &asking.station, room, now_ms)?;
            for offered in &fresh {
                tx.execute(
                    "UPDATE job SET state = 'handed', handed_to = ?2, attempts = attempts + 1, changed_ms = ?3
                     WHERE id = ?1",
                    params![offered.job.id, asking.incarnation, now_ms],
                )?;
                touched.push(offered.job.peripheral.clone());
            }
            jobs.extend(fresh);
            Ok((jobs, touched))
        })?;
        touched.iter().for_each(|peripheral| self.counted(&inner.connection, peripheral));
        Ok(jobs)
    }

    /// What a station did with a job. What it tells late is still better than not knowing.
    ///
    /// # Errors
    /// It is not the station's job, or a person decided already; the file.
    pub fn hand_in(&self, station: &str, id: &str, told: &HandIn, now_ms: i64) -> Result<(), Error> {
        self.change_job(id, |tx, _| {
            let (state, own): (JobState, Option<String>) =
                tx.query_row("SELECT state, station FROM job WHERE id = ?1", [id], |row| {
                    Ok((rows::state(row, 0)?, row.get(1)?))
                })?;
            if own.as_deref() != Some(station) || state == JobState::Queued {
                let (job, station) = (id.to_owned(), station.to_owned());
                return Err(Trouble::Refused(Error::NotYours { job, station }));
            }
            let open = matches!(state, JobState::Handed | JobState::Unknown);
            let news = !matches!(told.state, JobState::Queued | JobState::Handed | JobState::Started);
            if open && news && told.state != state {
                tx.execute(
                    "UPDATE job SET state = ?2, outcome = COALESCE(?3, outcome), changed_ms = ?4 WHERE id = ?1",
                    params![id, told.state.word(), told.outcome.as_ref().map(rows::outcome_text), now_ms],
                )?;
            }
            Ok(())
        })
    }
}

/// What was handed to a queue file that the station lost.
fn orphan(tx: &Transaction<'_>, asking: &Asking, now_ms: i64) -> Within<Vec<String>> {
    let mut query = tx.prepare_cached(
        "SELECT DISTINCT peripheral FROM job WHERE state = 'handed' AND station = ?1 AND handed_to <> ?2",
    )?;
    let touched = query
        .query_map(params![asking.station, asking.incarnation], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    if !touched.is_empty() {
        let text = "its station began with another queue and does not know what it printed".to_owned();
        let outcome = Outcome { done: Done::Unknown, fault: None, text };
        tx.execute(
            "UPDATE job SET state = 'unknown', outcome = ?3, changed_ms = ?4
             WHERE state = 'handed' AND station = ?1 AND handed_to <> ?2",
            params![asking.station, asking.incarnation, rows::outcome_text(&outcome), now_ms],
        )?;
    }
    Ok(touched)
}

/// What was handed to the station's file and is not in it: the answer was lost on its way.
fn missed(tx: &Transaction<'_>, asking: &Asking, now_ms: i64) -> Within<Vec<OfferedJob>> {
    let mut query = tx.prepare_cached(
        "SELECT id, peripheral, priority, document, origin, expires_ms, reprint FROM job
         WHERE state = 'handed' AND station = ?1 AND expires_ms > ?2 AND length(document) > 0 ORDER BY priority, n",
    )?;
    let mut rows = query.query(params![asking.station, now_ms])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()?
        && jobs.len() < OFFER_MAX
    {
        let id: String = row.get(0)?;
        if !asking.known_jobs.contains(&id) {
            jobs.push(offered(row)?);
        }
    }
    Ok(jobs)
}

fn waiting(tx: &Transaction<'_>, station: &str, room: usize, now_ms: i64) -> Within<Vec<OfferedJob>> {
    let mut query = tx.prepare_cached(
        "SELECT id, peripheral, priority, document, origin, expires_ms, reprint FROM job
         WHERE state = 'queued' AND station = ?1 AND expires_ms > ?2 ORDER BY priority, n LIMIT ?3",
    )?;
    let found = query
        .query_map(params![station, now_ms, i64::try_from(room).unwrap_or(0)], offered)?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(found)
}

fn offered(row: &rusqlite::Row<'_>) -> rusqlite::Result<OfferedJob> {
    let mut job = rows::job(row, 0)?;
    job.expires_ms = Some(row.get(5)?);
    Ok(OfferedJob { job, reprint: row.get(6)? })
}
