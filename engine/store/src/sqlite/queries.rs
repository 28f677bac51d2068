//! Questions to the SQLite projection, on a connection that can only read. Knows SQL; changes nothing.

use super::database_file::DatabaseFile;
use super::{bootstrap, count_rows, cursor, figure_rows, lists, scan_rows, ticket_rows};
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

use engine::Lsn;
use engine::catalog::{Catalog, DeviceId, EventId, TypeId};
use engine::clock::Time;
use engine::counts::Counts;
use engine::ticket::{CodeKind, Ticket, TicketId};
use rusqlite::types::Value;
use rusqlite::{Connection, Params, params_from_iter};
use std::sync::Arc;

/// Scans of a code: those of the tickets that have it or had it, and those where nobody had it. Small indexes.
const OF_CODE: &str = "lsn IN (SELECT lsn FROM scans WHERE ticket IN (SELECT ticket FROM codes WHERE code = ? \
     UNION SELECT ticket FROM former_codes WHERE code = ?) AND code = ? \
     UNION ALL SELECT lsn FROM scans WHERE ticket IS NULL AND code = ?)";

/// Questions on one connection.
pub(super) struct SqliteQueries {
    connection: Connection,
    /// Dropped after the connection.
    _database: DatabaseFile,
}

// === impl SqliteQueries ===

impl SqliteQueries {
    pub(super) fn new(connection: Connection, database: DatabaseFile) -> SqliteQueries {
        SqliteQueries { connection, _database: database }
    }

    fn look_for(&self, rest: &str, values: impl Params) -> StoreResult<Vec<(TicketId, Ticket)>> {
        let sql = format!("SELECT {} FROM {} {rest}", ticket_rows::COLUMNS, ticket_rows::TABLES);
        let mut statement = self.connection.prepare_cached(&sql).while_doing("look for tickets")?;
        let mut rows = statement.query(values).while_doing("look for tickets")?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().while_doing("look for tickets")? {
            found.push(ticket_rows::read(row)?);
        }
        Ok(found)
    }
}

impl Indexes for SqliteQueries {
    fn entries(&self, words: &[WordRange], text: &str) -> StoreResult<Vec<usize>> {
        let mut values = vec![Value::Integer(COMMON as i64)];
        let mut counts: Vec<String> = Vec::new();
        for word in words {
            let range = word_range(word, &mut values);
            counts
                .push(format!("(SELECT count(*) FROM (SELECT 1 FROM ticket_words WHERE {range} LIMIT ?1))"));
        }
        let codes = by_codes(text, &mut values);
        counts.push(format!("(SELECT count(*) FROM ({codes} LIMIT ?1))"));
        let sql = format!("SELECT {}", counts.join(", "));
        let mut statement = self.connection.prepare_cached(&sql).while_doing("count a search")?;
        let read = |row: &rusqlite::Row<'_>| (0..counts.len()).map(|at| row.get(at)).collect();
        statement.query_row(params_from_iter(values), read).while_doing("count a search")
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
        values.push(Value::Integer(limit as i64));
        // The page first, then its rows: a name may be thousands of tickets. The last UNION leaves each once.
        let rest = format!(
            "WHERE id IN (SELECT ticket FROM ({codes} UNION {words}) AS own WHERE {of_place} \
             ORDER BY ticket LIMIT ?{}) ORDER BY id",
            values.len()
        );
        self.look_for(&rest, params_from_iter(values))
    }

    fn spelled(&self, word: &WordRange) -> StoreResult<Option<Vec<String>>> {
        let action = "spell a word";
        let mut statement = self.connection.prepare_cached(SPELLED).while_doing(action)?;
        let values = (&word.begin, &word.end, MERGED_MAX as i64 + 1);
        let words = statement.query_map(values, |row| row.get(0)).while_doing(action)?;
        let words = words.collect::<Result<Vec<String>, _>>().while_doing(action)?;
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
        let mut values = vec![Value::Integer(limit as i64)];
        let of_place = of_place(place, &mut values);
        let mut own = String::new();
        for word in others {
            let range = word_range(word, &mut values);
            own.push_str(&format!(
                " AND EXISTS (SELECT 1 FROM ticket_words WHERE ticket = own.ticket AND {range})"
            ));
        }
        let codes = by_codes(text, &mut values);
        let mut parts = vec![format!(
            "SELECT * FROM (SELECT ticket FROM ({codes}) AS own WHERE {of_place} ORDER BY ticket LIMIT ?1)"
        )];
        for word in spelled {
            values.push(Value::Text(word.clone()));
            parts.push(format!(
                "SELECT * FROM (SELECT ticket FROM ticket_words AS own WHERE word = ?{} AND {of_place}{own} \
                 ORDER BY ticket LIMIT ?1)",
                values.len()
            ));
        }
        let rest = format!(
            "WHERE id IN (SELECT ticket FROM ({}) ORDER BY ticket LIMIT ?1) ORDER BY id",
            parts.join(" UNION ")
        );
        self.look_for(&rest, params_from_iter(values))
    }

    fn in_order(&self, place: &Place, limit: usize) -> StoreResult<Vec<(TicketId, Ticket)>> {
        let filter = TicketFilter { event: place.event, ..TicketFilter::default() };
        Ok(self.tickets(&filter, place.after, limit)?.tickets)
    }
}

impl Queries for SqliteQueries {
    fn cursor(&self) -> StoreResult<Lsn> {
        cursor(&self.connection)
    }

    fn catalog(&self) -> StoreResult<Arc<Catalog>> {
        Ok(bootstrap::shadow(&self.connection)?.state.catalog)
    }

    fn find_code(&self, kind: CodeKind, code: &[u8]) -> StoreResult<Option<(TicketId, Ticket)>> {
        let rest = "WHERE id IN (SELECT ticket FROM codes WHERE code = ?1 AND kind = ?2) \
                    ORDER BY cold DESC, id DESC LIMIT 1";
        Ok(self.look_for(rest, (code, kind.word()))?.pop())
    }

    fn ticket(&self, id: TicketId) -> StoreResult<Option<(TicketId, Ticket)>> {
        Ok(self.look_for("WHERE id = ?1", [id.0])?.pop())
    }

    fn cold_codes(&self, each: &mut dyn FnMut(CodeKind, &[u8])) -> StoreResult<u64> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, codes FROM ticket_uses JOIN tickets ON id = ticket WHERE cold = 1")
            .while_doing("read cold codes")?;
        let mut rows = statement.query([]).while_doing("read cold codes")?;
        let mut count = 0;
        while let Some(row) = rows.next().while_doing("read cold codes")? {
            let packed: &[u8] =
                row.get_ref(1).and_then(|packed| Ok(packed.as_blob()?)).while_doing("read cold codes")?;
            let codes = unpack(packed).ok_or_else(|| {
                let id: u32 = row.get(0).unwrap_or_default();
                StoreError::damaged(format!("ticket {id}"), "its codes do not add up")
            })?;
            count += codes.len() as u64;
            codes.into_iter().for_each(|(kind, code)| each(kind, code));
        }
        Ok(count)
    }

    fn tickets_of(
        &self,
        event: EventId,
        after: Option<TicketId>,
        limit: usize,
    ) -> StoreResult<Vec<(TicketId, Ticket)>> {
        let after = after.map_or(-1, |after| i64::from(after.0));
        self.look_for("WHERE event = ?1 AND id > ?2 ORDER BY id LIMIT ?3", (event.0, after, limit as i64))
    }

    fn tickets(
        &self,
        filter: &TicketFilter,
        after: Option<TicketId>,
        limit: usize,
    ) -> StoreResult<TicketPage> {
        lists::tickets(&self.connection, filter, after, limit)
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
        values.push(Value::Integer(limit as i64));
        let order = if filter.order == Order::NewestFirst { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT {} FROM scans {conditions} ORDER BY lsn {order} LIMIT ?{}",
            scan_rows::COLUMNS,
            values.len()
        );
        let mut statement = self.connection.prepare_cached(&sql).while_doing("read the access log")?;
        let mut rows = statement.query(params_from_iter(values)).while_doing("read the access log")?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().while_doing("read the access log")? {
            found.push(scan_rows::read(row)?);
        }
        Ok(found)
    }

    fn counts(&self) -> StoreResult<Counts> {
        // One transaction: counts of two cursors do not add up.
        let reading = self.connection.unchecked_transaction().while_doing("begin to read counts")?;
        count_rows::read(&reading)
    }

    fn arrivals(&self, event: EventId, scope: FlowScope, period: Period) -> StoreResult<Vec<ArrivalRow>> {
        figure_rows::arrivals(&self.connection, event, scope, period)
    }

    fn active_tickets(&self, kind: TypeId) -> StoreResult<u64> {
        figure_rows::active_tickets(&self.connection, kind)
    }

    fn denials(&self, event: EventId) -> StoreResult<Vec<DenialRow>> {
        figure_rows::denials(&self.connection, event)
    }

    fn presented_again(
        &self,
        event: EventId,
        order: PresentedOrder,
        limit: usize,
    ) -> StoreResult<Vec<PresentedRow>> {
        figure_rows::presented_again(&self.connection, event, order, limit)
    }

    fn audit(&self, filter: &AuditFilter, before: Option<Lsn>, limit: usize) -> StoreResult<Vec<AuditRow>> {
        lists::audit(&self.connection, filter, before, limit)
    }

    fn conflicts(
        &self,
        after: Option<Lsn>,
        resolved: Option<bool>,
        limit: usize,
    ) -> StoreResult<Vec<ConflictRow>> {
        lists::conflicts(&self.connection, after, resolved, limit)
    }

    fn device_commands(
        &self,
        device: DeviceId,
        before: Option<Lsn>,
        limit: usize,
    ) -> StoreResult<Vec<CommandRow>> {
        lists::device_commands(&self.connection, device, before, limit)
    }
}

/// A condition for each field of the filter that is set. Only fixed text goes into the SQL.
fn conditions(filter: &ScanFilter, after: Option<Lsn>) -> (String, Vec<Value>) {
    let number = |number: Option<u32>| number.map(|number| Value::Integer(i64::from(number)));
    let time = |time: Option<Time>| time.map(|time| Value::Integer(time.0));
    let beyond = if filter.order == Order::NewestFirst { "lsn < ?" } else { "lsn > ?" };
    let verdict = match filter.admitted {
        Some(true) => ("reason IS NULL AND verdict = ?", Some(Value::Text("admit".to_owned()))),
        Some(false) => ("reason IS NOT NULL AND verdict = ?", Some(Value::Text("deny".to_owned()))),
        None => ("", None),
    };
    let wanted = [
        ("event = ?", number(filter.event.map(|event| event.0))),
        ("device = ?", number(filter.device.map(|device| device.0))),
        ("gate = ?", number(filter.gate.map(|gate| u32::from(gate.0)))),
        ("reason = ?", filter.reason.map(|reason| Value::Text(reason.word().to_owned()))),
        ("ticket = ?", number(filter.ticket.map(|ticket| ticket.0))),
        ("type_id = ?", number(filter.type_id.map(|own| u32::from(own.0)))),
        ("kind = ?", filter.kind.map(|kind| Value::Text(kind.word().to_owned()))),
        verdict,
        (OF_CODE, filter.code.clone().map(Value::Blob)),
        ("decided_at >= ?", time(filter.since)),
        ("decided_at < ?", time(filter.until)),
        (beyond, after.map(|after| Value::Integer(after.0 as i64))),
    ];
    joined(wanted, '?')
}

/// Which tickets of `own` are of a search's place. An event's tickets mostly came together: those before its first are not
/// looked at.
fn of_place(place: &Place, values: &mut Vec<Value>) -> String {
    values.push(Value::Integer(place.after.map_or(-1, |after| i64::from(after.0))));
    let behind = format!("own.ticket > ?{}", values.len());
    let Some(event) = place.event else { return behind };
    values.push(Value::Integer(i64::from(event.0)));
    let event = values.len();
    format!(
        "{behind} AND own.ticket >= (SELECT min(id) FROM tickets WHERE event = ?{event}) \
         AND (SELECT event FROM tickets WHERE id = own.ticket) = ?{event}"
    )
}

/// Tickets that have, for every word, a word that begins with it. The other words are looked up for each ticket that has
/// the first.
fn by_words(words: &[WordRange], values: &mut Vec<Value>) -> String {
    let mut sql = String::new();
    for word in words {
        let range = word_range(word, values);
        if sql.is_empty() {
            sql = format!("SELECT ticket FROM ticket_words AS own WHERE {range}");
        } else {
            sql.push_str(&format!(
                " AND EXISTS (SELECT 1 FROM ticket_words WHERE ticket = own.ticket AND {range})"
            ));
        }
    }
    sql
}

fn word_range(word: &WordRange, values: &mut Vec<Value>) -> String {
    values.extend([&word.begin, &word.end].map(|bound| Value::Text(bound.clone())));
    format!("word >= ?{} AND word < ?{}", values.len() - 1, values.len())
}

/// Tickets that have a code which begins with the text, or a card whose number does in hexadecimal; some of them twice.
fn by_codes(text: &str, values: &mut Vec<Value>) -> String {
    let mut range = |kind: CodeKind, begin: Vec<u8>| {
        let end = after_prefix(&begin);
        values.extend([Value::Text(kind.word().to_owned()), Value::Blob(begin)]);
        let mut sql = format!(
            "SELECT ticket FROM codes WHERE kind = ?{} AND code >= ?{}",
            values.len() - 1,
            values.len()
        );
        if let Some(end) = end {
            values.push(Value::Blob(end));
            sql.push_str(&format!(" AND code < ?{}", values.len()));
        }
        sql
    };
    let optical = range(CodeKind::Optical, text.as_bytes().to_vec());
    match hexadecimal(text) {
        Some(card) => format!("{optical} UNION ALL {}", range(CodeKind::Card, card)),
        None => optical,
    }
}
