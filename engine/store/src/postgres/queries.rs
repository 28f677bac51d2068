//! Questions to the PostgreSQL projection, on connections that can only read. Knows SQL; changes nothing.

use super::connect::Link;
use super::values::{Moment, Text, get};
use super::{bootstrap, count_rows, figure_rows, lists, scan_rows, ticket_rows};
use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::figures::FlowScope;
use crate::rows::{
    ArrivalRow, AuditFilter, AuditRow, CommandRow, ConflictRow, DenialRow, Order, Period, PresentedOrder,
    PresentedRow, ScanFilter, ScanRow, TicketFilter, TicketPage,
};
use crate::search::{WordRange, after_prefix, hexadecimal, joined, unpack};
use crate::store::Queries;
use crate::ticket_search::{self, COMMON, Indexes, MERGED_MAX, Place, SPELLED};
use crate::words::Word;
use deadpool_postgres::ClientWrapper;
use engine::Lsn;
use engine::catalog::{Catalog, DeviceId, EventId, TypeId};
use engine::counts::Counts;
use engine::ticket::{CodeKind, Ticket, TicketId};
use std::sync::Arc;
use tokio_postgres::types::ToSql;

/// Cold tickets read at once.
const COLD_PER_PAGE: i64 = 50_000;

/// Scans of a code: those of the tickets that have it or had it, and those where nobody had it. Small indexes. Arrays,
/// which are made once and first: with IN the log was read from its end, until so many were found.
const OF_CODE: &str = "lsn = ANY (ARRAY(SELECT lsn FROM scans WHERE ticket = ANY (ARRAY(\
     SELECT ticket FROM codes WHERE code = ? UNION SELECT ticket FROM former_codes WHERE code = ?)) AND code = ? \
     UNION ALL SELECT lsn FROM scans WHERE ticket IS NULL AND code = ?))";

/// A value of a question whose text is made as it is asked.
pub(super) type Value = Box<dyn ToSql + Sync + Send>;

/// Questions, each on a connection of the pool.
pub(super) struct PostgresQueries {
    link: Arc<Link>,
}

// === impl PostgresQueries ===

impl PostgresQueries {
    pub(super) fn new(link: Arc<Link>) -> PostgresQueries {
        PostgresQueries { link }
    }

    fn look_for(&self, rest: &str, values: &[Value]) -> StoreResult<Vec<(TicketId, Ticket)>> {
        let sql = format!("SELECT {} FROM {} {rest}", ticket_rows::COLUMNS, ticket_rows::TABLES);
        let rows = self
            .link
            .ask("look for tickets", async |session| rows(session, "look for tickets", &sql, values).await)?;
        rows.iter().map(ticket_rows::read).collect()
    }
}

pub(super) async fn rows(
    session: &ClientWrapper,
    action: &'static str,
    sql: &str,
    values: &[Value],
) -> StoreResult<Vec<tokio_postgres::Row>> {
    let statement = session.prepare_cached(sql).await.while_doing(action)?;
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as _).collect();
    session.query(&statement, &values).await.while_doing(action)
}

impl Indexes for PostgresQueries {
    fn entries(&self, words: &[WordRange], text: &str) -> StoreResult<Vec<usize>> {
        let mut values: Vec<Value> = vec![Box::new(COMMON as i64)];
        let mut counts: Vec<String> = Vec::new();
        for word in words {
            let range = word_range("word", word, &mut values);
            let some = format!("SELECT 1 FROM ticket_words WHERE {range} LIMIT $1");
            counts.push(format!("(SELECT count(*) FROM ({some}) AS entry)"));
        }
        let codes = by_codes(text, &mut values);
        counts.push(format!("(SELECT count(*) FROM ({codes} LIMIT $1) AS entry)"));
        let (sql, action) = (format!("SELECT {}", counts.join(", ")), "count a search");
        let found = self.link.ask(action, async |session| rows(session, action, &sql, &values).await)?;
        let row = found.first().ok_or_else(|| StoreError::damaged("a count", "no row came"))?;
        (0..counts.len()).map(|at| get::<i64>(row, at).map(|count| count as usize)).collect()
    }

    fn by_index(
        &self,
        words: &[WordRange],
        text: &str,
        place: &Place,
        limit: usize,
    ) -> StoreResult<Vec<(TicketId, Ticket)>> {
        let mut values = Vec::new();
        let (codes, words) = (by_codes(text, &mut values), by_words(words, &mut values));
        let of_place = of_place(place, &mut values);
        values.push(Box::new(limit as i64));
        // The page first, then its rows: a name may be thousands of tickets. The last UNION leaves each once.
        let rest = format!(
            "WHERE id = ANY (ARRAY(SELECT ticket FROM ({codes} UNION {words}) AS own WHERE {of_place} \
             ORDER BY ticket LIMIT ${})) ORDER BY id",
            values.len()
        );
        self.look_for(&rest, &values)
    }

    fn spelled(&self, word: &WordRange) -> StoreResult<Option<Vec<String>>> {
        let [begin, end] = [&word.begin, &word.end].map(|bound| Text::of(bound).into_owned());
        let values: [Value; 3] = [Box::new(begin), Box::new(end), Box::new(MERGED_MAX as i64 + 1)];
        let action = "spell a word";
        let words = self.link.ask(action, async |session| rows(session, action, SPELLED, &values).await)?;
        let words = words.iter().map(|row| get(row, 0)).collect::<StoreResult<Vec<String>>>()?;
        Ok((words.len() <= MERGED_MAX).then_some(words))
    }

    fn merged(
        &self,
        spelled: &[String],
        others: &[WordRange],
        text: &str,
        place: &Place,
        limit: usize,
    ) -> StoreResult<Vec<(TicketId, Ticket)>> {
        let mut values: Vec<Value> = vec![Box::new(limit as i64)];
        let of_place = of_place(place, &mut values);
        let joins = with_words(others, &mut values);
        let codes = by_codes(text, &mut values);
        values.push(Box::new(spelled.to_vec()));
        // The words as one value: a statement is kept for each text of a question, not for each number of words.
        let rest = format!(
            "WHERE id = ANY (ARRAY(SELECT ticket FROM (\
             (SELECT own.ticket FROM ({codes}) AS own WHERE {of_place} ORDER BY own.ticket LIMIT $1) UNION \
             SELECT found.ticket FROM unnest(${}::text[]) AS spelled(word) CROSS JOIN LATERAL \
             (SELECT own.ticket FROM ticket_words AS own {joins}WHERE own.word = spelled.word AND {of_place} \
             ORDER BY own.ticket LIMIT $1) AS found) AS all_found ORDER BY ticket LIMIT $1)) ORDER BY id",
            values.len()
        );
        self.look_for(&rest, &values)
    }

    fn in_order(&self, place: &Place, limit: usize) -> StoreResult<Vec<(TicketId, Ticket)>> {
        let filter = TicketFilter { event: place.event, ..TicketFilter::default() };
        Ok(self.tickets(&filter, place.after, limit)?.tickets)
    }
}

impl Queries for PostgresQueries {
    fn cursor(&self) -> StoreResult<Lsn> {
        cursor(&self.link)
    }

    fn catalog(&self) -> StoreResult<Arc<Catalog>> {
        self.link.ask("read the catalog", async |session| {
            bootstrap::begin(session).await?;
            let shadow = bootstrap::shadow(session).await?;
            bootstrap::end(session).await?;
            Ok(shadow.state.catalog)
        })
    }

    fn find_code(&self, kind: CodeKind, code: &[u8]) -> StoreResult<Option<(TicketId, Ticket)>> {
        let rest = "WHERE id IN (SELECT ticket FROM codes WHERE code = $1 AND kind = $2) \
                    ORDER BY cold DESC, id DESC LIMIT 1";
        Ok(self.look_for(rest, &[Box::new(code.to_vec()), Box::new(kind.word())])?.pop())
    }

    fn ticket(&self, id: TicketId) -> StoreResult<Option<(TicketId, Ticket)>> {
        Ok(self.look_for("WHERE id = $1", &[Box::new(i64::from(id.0))])?.pop())
    }

    fn cold_codes(&self, each: &mut dyn FnMut(CodeKind, &[u8])) -> StoreResult<u64> {
        let sql = "SELECT id, codes FROM ticket_uses JOIN tickets ON id = ticket WHERE cold AND ticket > $1 \
                   ORDER BY ticket LIMIT $2";
        self.link.ask_in_pages("read cold codes", async |session| {
            let (mut count, mut after) = (0, -1_i64);
            loop {
                let values: [Value; 2] = [Box::new(after), Box::new(COLD_PER_PAGE)];
                let page = rows(session, "read cold codes", sql, &values);
                let page = self.link.page("read cold codes", page).await?;
                let Some(last) = page.last() else { return Ok(count) };
                after = get(last, 0)?;
                for row in &page {
                    let codes = unpack(get(row, 1)?).ok_or_else(|| {
                        let id: i64 = get(row, 0).unwrap_or_default();
                        StoreError::damaged(format!("ticket {id}"), "its codes do not add up")
                    })?;
                    count += codes.len() as u64;
                    codes.into_iter().for_each(|(kind, code)| each(kind, code));
                }
            }
        })
    }

    fn tickets_of(
        &self,
        event: EventId,
        after: Option<TicketId>,
        limit: usize,
    ) -> StoreResult<Vec<(TicketId, Ticket)>> {
        let after = after.map_or(-1, |after| i64::from(after.0));
        let values: [Value; 3] = [Box::new(i64::from(event.0)), Box::new(after), Box::new(limit as i64)];
        self.look_for("WHERE event = $1 AND id > $2 ORDER BY id LIMIT $3", &values)
    }

    fn tickets(
        &self,
        filter: &TicketFilter,
        after: Option<TicketId>,
        limit: usize,
    ) -> StoreResult<TicketPage> {
        lists::tickets(&self.link, filter, after, limit)
    }

    fn search_tickets(
        &self,
        text: &str,
        event: Option<EventId>,
        after: Option<TicketId>,
        limit: usize,
    ) -> StoreResult<TicketPage> {
        ticket_search::page(self, text, Place { event, after }, limit)
    }

    fn scans(&self, filter: &ScanFilter, after: Option<Lsn>, limit: usize) -> StoreResult<Vec<ScanRow>> {
        let (conditions, mut values) = conditions(filter, after);
        values.push(Box::new(limit as i64));
        let order = if filter.order == Order::NewestFirst { "DESC" } else { "ASC" };
        // First the page, then what became of each of its scans.
        let sql = format!(
            "SELECT own.*, passage.outcome, passage.at, repeated.times FROM \
             (SELECT {} FROM scans {conditions} ORDER BY lsn {order} LIMIT ${}) AS own \
             LEFT JOIN LATERAL (SELECT outcome, at FROM passages WHERE scan = own.lsn ORDER BY lsn DESC LIMIT 1) \
             AS passage ON true \
             CROSS JOIN LATERAL (SELECT count(*) AS times FROM repeats WHERE scan = own.lsn) AS repeated \
             ORDER BY own.lsn {order}",
            scan_rows::COLUMNS,
            values.len()
        );
        let found = self.link.ask("read the access log", async |session| {
            rows(session, "read the access log", &sql, &values).await
        })?;
        found.iter().map(scan_rows::read).collect()
    }

    fn counts(&self) -> StoreResult<Counts> {
        // One snapshot: counts of two cursors do not add up.
        self.link.ask("read counts", async |session| {
            bootstrap::begin(session).await?;
            let counts = count_rows::read(session).await?;
            bootstrap::end(session).await?;
            Ok(counts)
        })
    }

    fn arrivals(&self, event: EventId, scope: FlowScope, period: Period) -> StoreResult<Vec<ArrivalRow>> {
        figure_rows::arrivals(&self.link, event, scope, period)
    }

    fn active_tickets(&self, kind: TypeId) -> StoreResult<u64> {
        figure_rows::active_tickets(&self.link, kind)
    }

    fn denials(&self, event: EventId) -> StoreResult<Vec<DenialRow>> {
        figure_rows::denials(&self.link, event)
    }

    fn presented_again(
        &self,
        event: EventId,
        order: PresentedOrder,
        limit: usize,
    ) -> StoreResult<Vec<PresentedRow>> {
        figure_rows::presented_again(&self.link, event, order, limit)
    }

    fn audit(&self, filter: &AuditFilter, before: Option<Lsn>, limit: usize) -> StoreResult<Vec<AuditRow>> {
        lists::audit(&self.link, filter, before, limit)
    }

    fn conflicts(
        &self,
        after: Option<Lsn>,
        resolved: Option<bool>,
        limit: usize,
    ) -> StoreResult<Vec<ConflictRow>> {
        lists::conflicts(&self.link, after, resolved, limit)
    }

    fn device_commands(
        &self,
        device: DeviceId,
        before: Option<Lsn>,
        limit: usize,
    ) -> StoreResult<Vec<CommandRow>> {
        lists::device_commands(&self.link, device, before, limit)
    }
}

/// The last record applied.
pub(super) fn cursor(link: &Link) -> StoreResult<Lsn> {
    let row = link.ask("read the cursor", async |session| {
        let statement =
            session.prepare_cached("SELECT cursor FROM meta").await.while_doing("read the cursor")?;
        session.query_one(&statement, &[]).await.while_doing("read the cursor")
    })?;
    Ok(Lsn(get::<i64>(&row, 0)? as u64))
}

/// A condition for each field of the filter that is set. Only fixed text goes into the SQL.
fn conditions(filter: &ScanFilter, after: Option<Lsn>) -> (String, Vec<Value>) {
    let number = |number: Option<u32>| number.map(|number| Box::new(i64::from(number)) as Value);
    let beyond = if filter.order == Order::NewestFirst { "lsn < ?" } else { "lsn > ?" };
    let verdict = match filter.admitted {
        Some(true) => ("reason IS NULL AND verdict = ?", Some(Box::new("admit") as Value)),
        Some(false) => ("reason IS NOT NULL AND verdict = ?", Some(Box::new("deny") as Value)),
        None => ("", None),
    };
    let wanted: [(&str, Option<Value>); 12] = [
        ("event = ?", number(filter.event.map(|event| event.0))),
        ("device = ?", number(filter.device.map(|device| device.0))),
        ("gate = ?", filter.gate.map(|gate| Box::new(i32::from(gate.0)) as Value)),
        ("reason = ?", filter.reason.map(|reason| Box::new(reason.word()) as Value)),
        ("ticket = ?", number(filter.ticket.map(|ticket| ticket.0))),
        ("type_id = ?", filter.type_id.map(|own| Box::new(i32::from(own.0)) as Value)),
        ("kind = ?", filter.kind.map(|kind| Box::new(kind.word()) as Value)),
        verdict,
        (OF_CODE, filter.code.clone().map(|code| Box::new(code) as Value)),
        ("decided_at >= ?", filter.since.map(|time| Box::new(Moment(time)) as Value)),
        ("decided_at < ?", filter.until.map(|time| Box::new(Moment(time)) as Value)),
        (beyond, after.map(|after| Box::new(after.0 as i64) as Value)),
    ];
    joined(wanted, '$')
}

/// Tickets that have, for every word, a word that begins with it. The other words are looked up for each ticket that has
/// the first: a common one is thousands of tickets, and LIMIT keeps the planner from reading all of those instead.
fn by_words(words: &[WordRange], values: &mut Vec<Value>) -> String {
    let Some((first, others)) = words.split_first() else { return String::new() };
    let joins = with_words(others, values);
    format!(
        "SELECT own.ticket FROM ticket_words AS own {joins}WHERE {}",
        word_range("own.word", first, values)
    )
}

/// That `own` has these words too.
fn with_words(words: &[WordRange], values: &mut Vec<Value>) -> String {
    let mut joins = String::new();
    for (nth, word) in words.iter().enumerate() {
        let range = word_range("word", word, values);
        joins.push_str(&format!(
            "CROSS JOIN LATERAL (SELECT 1 FROM ticket_words WHERE ticket = own.ticket AND {range} LIMIT 1) \
             AS word_{nth} "
        ));
    }
    joins
}

/// Which tickets of `own` are of a search's place. An event's tickets mostly came together: those before its first are not
/// looked at.
fn of_place(place: &Place, values: &mut Vec<Value>) -> String {
    values.push(Box::new(place.after.map_or(-1, |after| i64::from(after.0))));
    let behind = format!("own.ticket > ${}", values.len());
    let Some(event) = place.event else { return behind };
    values.push(Box::new(i64::from(event.0)));
    let event = values.len();
    format!(
        "{behind} AND own.ticket >= (SELECT min(id) FROM tickets WHERE event = ${event}) \
         AND (SELECT event FROM tickets WHERE id = own.ticket) = ${event}"
    )
}

fn word_range(column: &str, word: &WordRange, values: &mut Vec<Value>) -> String {
    for bound in [&word.begin, &word.end] {
        values.push(Box::new(Text::of(bound).into_owned()));
    }
    format!("{column} >= ${} AND {column} < ${}", values.len() - 1, values.len())
}

/// Tickets that have a code which begins with the text, or a card whose number does in hexadecimal; some of them twice.
fn by_codes(text: &str, values: &mut Vec<Value>) -> String {
    let mut range = |kind: CodeKind, begin: Vec<u8>| {
        let end = after_prefix(&begin);
        values.push(Box::new(kind.word()));
        values.push(Box::new(begin));
        let (kind_at, begin_at) = (values.len() - 1, values.len());
        let mut sql = format!("SELECT ticket FROM codes WHERE kind = ${kind_at} AND code >= ${begin_at}");
        if let Some(end) = end {
            values.push(Box::new(end));
            sql.push_str(&format!(" AND code < ${}", values.len()));
        }
        sql
    };
    let optical = range(CodeKind::Optical, text.as_bytes().to_vec());
    match hexadecimal(text) {
        Some(card) => format!("{optical} UNION ALL {}", range(CodeKind::Card, card)),
        None => optical,
    }
}
