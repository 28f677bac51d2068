//! Exports: pages of the store as a sheet, each made when the one before was taken. A reader who takes nothing for a
//! minute is cut off, and what was cut off has no last line. Each is made on a thread that gives way to gates: it would take
//! a core for as long as it lasts. Knows no HTTP but the body.

use crate::app::App;
use crate::layers::Cut;
use crate::problem::{Kind, Problem};
use axum::body::Body;
use bytes::Bytes;
use engine::catalog::{Catalog, EventId, OperatorId};
use engine::clock::Time;
use engine::registry::Act;
use lists::export::{self, Attendance};
use lists::sheet::{Form, Sheet};
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Order, ScanFilter};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Exports at once.
const EXPORTS_MAX: usize = 2;
/// Rows read at a time: some 300 KiB.
const PAGE: usize = 1_000;
/// A reader has so long to take a page.
const READER_WAIT: Duration = Duration::from_secs(60);
/// Who finds no room asks again after so many seconds.
const RETRY_AFTER_S: u32 = 10;

/// Which exports are under way.
pub struct Exports(Arc<Semaphore>);

/// What is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Tickets and what they have done.
    Tickets,
    /// The access log.
    Scans,
    /// How many are where.
    Counts,
    /// Who came when.
    Attendance,
}

/// An export that is to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What.
    pub what: What,
    /// How it is written.
    pub form: Form,
    /// Of which event.
    pub event: Option<EventId>,
    /// From when.
    pub since: Option<Time>,
    /// Until when.
    pub until: Option<Time>,
    /// How long an interval is, in milliseconds.
    pub interval_ms: i64,
    /// With what tells about persons.
    pub personal: bool,
    /// Who asked.
    pub operator: Option<OperatorId>,
}

/// The reader is gone or too slow, the store is away, or the node stops.
struct CutOff;

impl Default for Exports {
    fn default() -> Exports {
        Exports(Arc::new(Semaphore::new(EXPORTS_MAX)))
    }
}

impl What {
    /// By its word.
    pub fn of_word(word: &str) -> Option<What> {
        match word {
            "tickets" => Some(What::Tickets),
            "scans" => Some(What::Scans),
            "counts" => Some(What::Counts),
            "attendance" => Some(What::Attendance),
            _ => None,
        }
    }

    /// In file names and in the audit.
    pub fn word(self) -> &'static str {
        match self {
            What::Tickets => "tickets",
            What::Scans => "scans",
            What::Counts => "counts",
            What::Attendance => "attendance",
        }
    }
}

/// Begins an export; it is in the audit before its first byte leaves.
///
/// # Errors
/// Too many at once, the journal takes nothing.
pub async fn begin(app: &Arc<App>, wanted: Wanted, cut: Cut) -> Result<Body, Problem> {
    let permit = Arc::clone(&app.exports.0).try_acquire_owned().map_err(|_| {
        let words = format!("{EXPORTS_MAX} exports are under way; ask again when one of them has ended");
        let mut problem = Problem::new(Kind::Unavailable, words);
        problem.retry_after_s = Some(RETRY_AFTER_S);
        problem
    })?;
    let lsn = app.engine.act(wanted.operator, act(app, &wanted, "export", None))?;
    app.settle(lsn).await?;
    // One page may wait here, one is being sent.
    let (pages, mut taken) = mpsc::channel::<Bytes>(1);
    let whole = Arc::new(AtomicBool::new(false));
    let (own, done) = (Arc::clone(app), Arc::clone(&whole));
    tokio::spawn(async move {
        if !make(&own, wanted, pages, done).await {
            // A reader that takes nothing hears of nothing, and keeps the connection.
            cut.0.notify_one();
        }
        drop(permit);
    });
    let stream = futures_util::stream::poll_fn(move |context| {
        taken.poll_recv(context).map(|page| match page {
            Some(page) => Some(Ok(page)),
            None if whole.load(Ordering::Acquire) => None,
            // Without this the answer would look as if it had ended well.
            None => Some(Err(io::Error::other("the export was cut off"))),
        })
    });
    Ok(Body::from_stream(stream))
}

/// Makes an export and tells its end; did it leave whole?
async fn make(app: &Arc<App>, wanted: Wanted, pages: mpsc::Sender<Bytes>, whole: Arc<AtomicBool>) -> bool {
    let (told, ended) = oneshot::channel();
    let (own, runtime, asked) = (Arc::clone(app), Handle::current(), wanted.clone());
    let started = std::thread::Builder::new().name("export".to_owned()).spawn(move || {
        (own.give_way)();
        let made = runtime.block_on(write(&own, &asked, pages, &whole));
        // Nobody hears it any more where the node stops.
        let _ = told.send(made);
    });
    if let Err(error) = started {
        tracing::error!(%error, "no thread for an export");
    }
    // The engine's lock is taken here, on a thread that does not give way.
    let (is_whole, rows) = ended.await.unwrap_or((false, 0));
    let said = json!({"rows": rows, "whole": is_whole});
    let noted = app.engine.act(wanted.operator, act(app, &wanted, "export_ended", Some(said)));
    if let Err(error) = noted {
        tracing::warn!(%error, "the end of an export is not in the audit");
    }
    is_whole
}

/// Writes an export page by page; did it leave whole, and how many rows has it?
async fn write(app: &App, wanted: &Wanted, pages: mpsc::Sender<Bytes>, whole: &AtomicBool) -> (bool, u64) {
    let columns = match wanted.what {
        What::Tickets => export::ticket_columns(wanted.personal),
        What::Scans => export::SCAN_COLUMNS.to_vec(),
        What::Counts => export::COUNT_COLUMNS.to_vec(),
        What::Attendance => export::ATTENDANCE_COLUMNS.to_vec(),
    };
    let mut out = Out { app, pages, sheet: Sheet::new(wanted.form, columns), page: Vec::new() };
    out.sheet.begin(&mut out.page);
    let done = match wanted.what {
        What::Tickets => out.tickets(wanted).await,
        What::Scans => out.scans(wanted).await,
        What::Counts => out.counts(wanted).await,
        What::Attendance => out.attendance(wanted).await,
    };
    let mut ended = done.is_ok();
    if ended {
        out.sheet.end(&mut out.page);
        // Seen before the last page is: who finds no further page looks at it.
        whole.store(true, Ordering::Release);
        ended = out.send().await.is_ok() && is_taken(&out.pages).await;
        whole.store(ended, Ordering::Release);
    }
    (ended, out.sheet.rows())
}

/// Was the last page taken too? Not where the reader left before it.
async fn is_taken(pages: &mpsc::Sender<Bytes>) -> bool {
    matches!(tokio::time::timeout(READER_WAIT, pages.reserve()).await, Ok(Ok(_)))
}

fn act(app: &App, wanted: &Wanted, action: &str, said: Option<serde_json::Value>) -> Act {
    let catalog = app.engine.catalog();
    let event = wanted.event.and_then(|id| catalog.event(id)).map(|event| &event.name);
    let details = json!({
        "event": event, "personal": wanted.personal, "since": wanted.since.map(lists::moment),
        "until": wanted.until.map(lists::moment), "result": said,
    });
    Act {
        action: action.to_owned(),
        subject: wanted.what.word().to_owned(),
        details: details.to_string(),
        entries: Vec::new(),
    }
}

/// Pages on their way to a reader.
struct Out<'a> {
    app: &'a App,
    pages: mpsc::Sender<Bytes>,
    sheet: Sheet,
    page: Vec<u8>,
}

impl Out<'_> {
    async fn send(&mut self) -> Result<(), CutOff> {
        if *self.app.stopping.borrow() {
            return Err(CutOff);
        }
        let page = Bytes::from(std::mem::take(&mut self.page));
        match tokio::time::timeout(READER_WAIT, self.pages.send(page)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(CutOff),
        }
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.app.engine.catalog()
    }

    async fn tickets(&mut self, wanted: &Wanted) -> Result<(), CutOff> {
        let catalog = self.catalog();
        let events = catalog.events().map(|(id, _)| id);
        let events: Vec<EventId> = events.filter(|id| wanted.event.is_none_or(|own| own == *id)).collect();
        for event in events {
            let mut after = None;
            loop {
                let page = self.app.ask_here(|store| store.tickets_of(event, after, PAGE)).await;
                let page = page.map_err(|_| CutOff)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(*last);
                for (id, ticket) in &page {
                    let values = export::ticket_row(&catalog, *id, ticket, wanted.personal);
                    self.sheet.row(&mut self.page, values);
                }
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn scans(&mut self, wanted: &Wanted) -> Result<(), CutOff> {
        let mut after = None;
        loop {
            let page = self.scan_page(wanted, after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.lsn);
            let catalog = self.catalog();
            page.iter().for_each(|row| self.sheet.row(&mut self.page, export::scan_row(&catalog, row)));
            self.send().await?;
        }
    }

    async fn scan_page(
        &self,
        wanted: &Wanted,
        after: Option<engine::Lsn>,
    ) -> Result<Vec<store::ScanRow>, CutOff> {
        let filter = ScanFilter {
            event: wanted.event,
            since: wanted.since,
            until: wanted.until,
            order: Order::OldestFirst,
            ..ScanFilter::default()
        };
        self.app.ask_here(|store| store.scans(&filter, after, PAGE)).await.map_err(|_| CutOff)
    }

    async fn counts(&mut self, wanted: &Wanted) -> Result<(), CutOff> {
        // The engine's lock is not taken on this thread.
        let engine = Arc::clone(&self.app.engine);
        let counts = tokio::task::spawn_blocking(move || engine.counts()).await.map_err(|_| CutOff)?;
        let rows = export::count_rows(&self.catalog(), &counts, wanted.event);
        rows.into_iter().for_each(|row| self.sheet.row(&mut self.page, row));
        Ok(())
    }

    async fn attendance(&mut self, wanted: &Wanted) -> Result<(), CutOff> {
        let (mut attendance, mut after) = (Attendance::new(wanted.interval_ms), None);
        loop {
            let page = self.scan_page(wanted, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.lsn);
            page.iter().try_for_each(|row| attendance.take(row)).map_err(|_| CutOff)?;
            // Nothing leaves before all is gathered: a reader who is gone is noticed here.
            if self.pages.is_closed() || *self.app.stopping.borrow() {
                return Err(CutOff);
            }
        }
        attendance.rows().for_each(|row| self.sheet.row(&mut self.page, row));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_page_is_not_taken_by_a_reader_who_has_left() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (pages, mut taken) = mpsc::channel(1);
            pages.send(Bytes::from_static(b"last")).await.unwrap();
            assert!(taken.recv().await.is_some() && is_taken(&pages).await);
            pages.send(Bytes::from_static(b"last")).await.unwrap();
            drop(taken);
            assert!(!is_taken(&pages).await);
        });
    }
}
