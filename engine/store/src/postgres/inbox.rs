//! The box office's inbox: rows that wait are read, in the order they are to be judged in, and what came of each is written
//! back with the batch that has it. Knows the table's columns; judges nothing.

use super::connect::Link;
use super::values::{Moment, get};
use crate::error::{StoreResult, WhileDoing};
use crate::inbox::InboxEntry;
use deadpool_postgres::ClientWrapper;
use engine::Lsn;
use engine::clock::Time;
use engine::inbox::{InboxOutcome, InboxRow};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use tokio_postgres::Row;

/// What the table's trigger notifies on.
const CHANNEL: &str = "gatehouse_inbox";
/// Characters of a text that are read: one more than any of them may have, so that a longer one is refused and not cut.
const TEXT_READ_MAX: usize = engine::limits::TEXT_BYTES_MAX + 1;
/// Characters of further codes that are read.
const CODES_READ_MAX: usize = engine::limits::TICKET_CODES_MAX * (engine::limits::CODE_BYTES_MAX + 1) + 1;
/// Rows that waited for the tickets of one page. What is left of them is found later, as rows that are early.
const EARLY_PER_PAGE_MAX: i64 = 1_000;

/// Rows whose numbers are not among the statement's second value.
const BUT: &str = "NOT EXISTS (SELECT FROM unnest($2::bigint[]) AS but (id) WHERE but.id = inbox.id)";

const EARLY: &str = "there is no ticket with this code yet; it is done when one is added";
const OUTDATED: &str = "this version for this ticket, or a newer one, was done before";

/// The inbox of one database.
pub struct Inbox {
    link: Arc<Link>,
    /// A session that is told of new rows; `None`: not now, rows are looked for.
    listening: Option<ClientWrapper>,
    told: Receiver<()>,
    tell: SyncSender<()>,
}

/// What came of rows, on its way: columns, as a statement takes them.
#[derive(Default)]
pub(super) struct Outcomes {
    ids: Vec<i64>,
    written_us: Vec<i64>,
    states: Vec<&'static str>,
    outcomes: Vec<Option<&'static str>>,
    problems: Vec<Option<String>>,
    lsns: Vec<i64>,
    ats: Vec<Moment>,
}

// === impl Inbox ===

impl Inbox {
    pub(super) fn new(link: Arc<Link>) -> Inbox {
        // One signal is as good as many: whoever gets it reads all there is.
        let (tell, told) = sync_channel(1);
        Inbox { link, listening: None, told, tell }
    }

    /// Rows that wait, oldest first, at most `limit`, behind each new ticket the rows that waited for it; none of those
    /// numbered in `but`. Costs a look into an index where nothing waits.
    ///
    /// # Errors
    /// The database is away, or a row cannot be read.
    pub fn entries(&self, limit: usize, but: &[i64]) -> StoreResult<Vec<InboxEntry>> {
        self.link.ask("read the inbox", async |session| {
            let sql = format!("{} WHERE state = 'waiting' AND {BUT} ORDER BY id LIMIT $1", select());
            let waiting = read(session, &sql, &[&(limit as i64), &but]).await?;
            let is_new = |entry: &&InboxEntry| entry.operation.trim() == "add";
            let keys: Vec<String> =
                waiting.iter().filter(is_new).filter_map(|entry| entry.key.clone()).collect();
            if keys.is_empty() {
                return Ok(waiting);
            }
            let sql = format!(
                "{} WHERE state = 'early' AND {BUT} AND key = ANY ($3) ORDER BY version NULLS FIRST, id LIMIT $1",
                select()
            );
            let early = read(session, &sql, &[&EARLY_PER_PAGE_MAX, &but, &keys]).await?;
            Ok(merged(waiting, early))
        })
    }

    /// Rows that wait for a ticket, those after number `after`, at most `limit`; none of those numbered in `but`.
    ///
    /// # Errors
    /// As [`Inbox::entries`].
    pub fn early(&self, after: u64, limit: usize, but: &[i64]) -> StoreResult<Vec<InboxEntry>> {
        let sql = format!("{} WHERE state = 'early' AND {BUT} AND id > $3 ORDER BY id LIMIT $1", select());
        self.link.ask("read the inbox", async |session| {
            read(session, &sql, &[&(limit as i64), &but, &(after as i64)]).await
        })
    }

    /// Waits for a new row, at most this long. Gives up early, and may give up for nothing.
    pub fn wait(&mut self, most: Duration) {
        if self.listening.as_ref().is_none_or(|session| session.is_closed()) {
            // Where that does not work, rows are found by looking for them; the next look tells whether the server is there.
            self.listening = self.listen().ok();
        }
        match self.told.recv_timeout(most) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => unreachable!("one end is here"),
        }
    }

    fn listen(&self) -> StoreResult<ClientWrapper> {
        let tell = self.tell.clone();
        self.link.listen(CHANNEL, move || {
            let _ = tell.try_send(());
        })
    }
}

/// What every question about rows begins with.
fn select() -> String {
    let text = |column: &str| format!("left({column}, {TEXT_READ_MAX})");
    let columns =
        ["operation", "code", "card", "event", "type", "ticket_id", "holder", "order_ref", "seat", "status"];
    format!(
        "SELECT id, (extract(epoch FROM written_at) * 1000000)::bigint, {}, left(more_codes, {CODES_READ_MAX}), \
         valid_from, valid_until, specimen, version, left(key, {TEXT_READ_MAX}), \
         (SELECT max(version) FROM inbox AS other WHERE other.key = inbox.key AND other.state = 'done' \
          AND other.version IS NOT NULL), \
         greatest(0, extract(epoch FROM clock_timestamp() - written_at))::float8 FROM inbox",
        columns.map(text).join(", ")
    )
}

async fn read(
    session: &ClientWrapper,
    sql: &str,
    values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> StoreResult<Vec<InboxEntry>> {
    let statement = session.prepare_cached(sql).await.while_doing("read the inbox")?;
    let rows = session.query(&statement, values).await.while_doing("read the inbox")?;
    rows.iter().map(entry).collect()
}

fn entry(row: &Row) -> StoreResult<InboxEntry> {
    let text = |column: usize| get::<Option<String>>(row, column);
    let moment = |column: usize| get::<Option<Moment>>(row, column).map(|own| own.map(|own| own.0));
    Ok(InboxEntry {
        row: InboxRow { id: get::<i64>(row, 0)? as u64, written_us: get(row, 1)? },
        operation: get(row, 2)?,
        code: text(3)?,
        card: text(4)?,
        event: text(5)?,
        kind: text(6)?,
        ticket_id: text(7)?,
        holder: text(8)?,
        order: text(9)?,
        seat: text(10)?,
        status: text(11)?,
        more_codes: text(12)?,
        valid_from: moment(13)?,
        valid_until: moment(14)?,
        specimen: get(row, 15)?,
        version: get(row, 16)?,
        key: text(17)?,
        newest: get(row, 18)?,
        waited: Duration::try_from_secs_f64(get(row, 19)?).unwrap_or_default(),
    })
}

/// Each row that was early stands behind the first new ticket it may be about.
fn merged(waiting: Vec<InboxEntry>, early: Vec<InboxEntry>) -> Vec<InboxEntry> {
    let mut of_key: HashMap<String, Vec<InboxEntry>> = HashMap::new();
    for entry in early {
        of_key.entry(entry.key.clone().unwrap_or_default()).or_default().push(entry);
    }
    let mut all = Vec::with_capacity(waiting.len());
    for entry in waiting {
        let behind = entry.key.as_ref().filter(|_| entry.operation.trim() == "add");
        let behind = behind.and_then(|key| of_key.remove(key));
        all.push(entry);
        all.extend(behind.into_iter().flatten());
    }
    all
}

// === impl Outcomes ===

impl Outcomes {
    pub(super) fn add(&mut self, lsn: Lsn, at: Time, row: InboxRow, outcome: &InboxOutcome) {
        let (state, word, problem) = match outcome {
            InboxOutcome::Added { .. } => ("done", Some("added"), None),
            InboxOutcome::Changed { .. } => ("done", Some("changed"), None),
            InboxOutcome::Unchanged => ("done", Some("unchanged"), None),
            InboxOutcome::Early => ("early", None, Some(EARLY)),
            InboxOutcome::Outdated => ("outdated", None, Some(OUTDATED)),
            InboxOutcome::Refused(why) => ("refused", None, Some(why.as_str())),
        };
        self.ids.push(row.id as i64);
        self.written_us.push(row.written_us);
        self.states.push(state);
        self.outcomes.push(word);
        // The reason may repeat what the row says, and that had no U+0000.
        self.problems.push(problem.map(str::to_owned));
        self.lsns.push(lsn.0 as i64);
        self.ats.push(Moment(at));
    }

    /// Writes them; a row that is among them twice gets the last one. A row of another database's inbox is nobody here.
    pub(super) async fn flush(&mut self, session: &ClientWrapper) -> StoreResult<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let sql = "UPDATE inbox SET (state, outcome, problem, lsn, done_at) = \
                   (new.state, new.outcome, new.problem, new.lsn, new.done_at) \
                   FROM (SELECT DISTINCT ON (id) * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], \
                   $5::text[], $6::bigint[], $7::timestamptz[]) \
                   AS given (id, written_us, state, outcome, problem, lsn, done_at) ORDER BY id, lsn DESC) AS new \
                   WHERE inbox.id = new.id \
                   AND (extract(epoch FROM inbox.written_at) * 1000000)::bigint = new.written_us";
        let statement = session.prepare_cached(sql).await.while_doing("prepare to answer the inbox")?;
        session
            .execute(
                &statement,
                &[
                    &self.ids,
                    &self.written_us,
                    &self.states,
                    &self.outcomes,
                    &self.problems,
                    &self.lsns,
                    &self.ats,
                ],
            )
            .await
            .while_doing("answer the inbox")?;
        *self = Outcomes::default();
        Ok(())
    }
}
