//! Rows of the access log. Knows how a scan is written and read; knows no rule.

use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::rows::ScanRow;
use crate::words::Word;
use engine::Lsn;
use engine::catalog::{DeviceId, EventId, GateId, OperatorId, TypeId};
use engine::clock::Time;
use engine::decision::Verdict;
use engine::record::ScanRecord;
use engine::ticket::TicketId;
use rusqlite::{CachedStatement, Connection, Row, params};

/// The columns [`read`] wants, in its order.
pub(super) const COLUMNS: &str = "lsn, decided_at, scanned_at, device, gate, event, ticket, type_id, scan_id, \
     code_kind, code, kind, verdict, reason, attention, overridden, operator, note, direction, people, remaining, \
     conflict, outcome, outcome_at, repeats, recorded_at, specimen";

const INSERT: &str = "INSERT INTO scans (lsn, decided_at, scanned_at, device, gate, event, ticket, type_id, \
     scan_id, code_kind, code, kind, verdict, reason, attention, overridden, operator, note, direction, people, \
     remaining, conflict, recorded_at, specimen, outcome, repeats) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, \
     ?22, ?23, ?24, 'open', 0)";

/// Prepares [`insert`], once for a batch.
pub(super) fn prepare(connection: &Connection) -> StoreResult<CachedStatement<'_>> {
    connection.prepare_cached(INSERT).while_doing("prepare to write scans")
}

/// Writes a scan into the access log.
pub(super) fn insert(
    statement: &mut CachedStatement<'_>,
    lsn: Lsn,
    scan: &ScanRecord<'_>,
    event: Option<EventId>,
) -> StoreResult<()> {
    let answer = &scan.answer;
    let facts = answer.ticket.as_ref();
    let (verdict, attention) = match answer.verdict {
        Verdict::Admit { attention } => ("admit", attention),
        Verdict::Deny(_) => ("deny", None),
    };
    statement
        .execute(params![
            lsn.0 as i64,
            answer.at.0,
            scan.scanned_at.map(|at| at.0),
            scan.device.0,
            answer.gate.0,
            event.map(|event| event.0),
            facts.map(|facts| facts.ticket.0),
            facts.map(|facts| facts.type_id.0),
            scan.scan_id,
            scan.code_kind.word(),
            scan.code,
            answer.kind.word(),
            verdict,
            answer.verdict.denial().map(Word::word),
            attention.map(Word::word),
            answer.overridden.map(Word::word),
            scan.overriding.map(|own| own.operator.0),
            scan.overriding.map(|own| own.note),
            answer.direction.word(),
            answer.people,
            facts.and_then(|facts| facts.remaining),
            scan.conflict.map(Word::word),
            scan.recorded_at.0,
            facts.is_some_and(|facts| facts.specimen),
        ])
        .map(drop)
        .while_doing("write a scan")
}

/// Reads a line of the access log from a row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> StoreResult<ScanRow> {
    let lsn = Lsn(row.get::<_, i64>(0).while_doing("read a scan")? as u64);
    read_scan(row, lsn).map_err(|error| match error {
        StoreError::Damaged { problem, .. } => StoreError::damaged(format!("scan {lsn}"), problem),
        other => other,
    })
}

fn read_scan(row: &Row<'_>, lsn: Lsn) -> StoreResult<ScanRow> {
    let verdict = match (text(row, 12)?, optional(row, 13)?) {
        ("admit", _) => Verdict::Admit { attention: optional(row, 14)? },
        ("deny", Some(reason)) => Verdict::Deny(reason),
        (other, _) => return Err(StoreError::damaged("", format!("verdict '{other}'"))),
    };
    Ok(ScanRow {
        lsn,
        decided_at: Time(get(row, 1)?),
        scanned_at: get::<Option<i64>>(row, 2)?.map(Time),
        device: DeviceId(get(row, 3)?),
        gate: GateId(get(row, 4)?),
        event: get::<Option<u32>>(row, 5)?.map(EventId),
        ticket: get::<Option<u32>>(row, 6)?.map(TicketId),
        type_id: get::<Option<u16>>(row, 7)?.map(TypeId),
        given_id: get(row, 8)?,
        code_kind: Word::read(text(row, 9)?)?,
        code: get(row, 10)?,
        kind: Word::read(text(row, 11)?)?,
        verdict,
        overridden: optional(row, 15)?,
        operator: get::<Option<u32>>(row, 16)?.map(OperatorId),
        note: get(row, 17)?,
        direction: Word::read(text(row, 18)?)?,
        people: get(row, 19)?,
        remaining: get(row, 20)?,
        conflict: optional(row, 21)?,
        outcome: Word::read(text(row, 22)?)?,
        outcome_at: get::<Option<i64>>(row, 23)?.map(Time),
        repeats: get(row, 24)?,
        recorded_at: Time(get(row, 25)?),
        specimen: get(row, 26)?,
    })
}

fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, column: usize) -> StoreResult<T> {
    row.get(column).map_err(|error| StoreError::damaged("", error))
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> StoreResult<&'r str> {
    let value = row.get_ref(column).map_err(|error| StoreError::damaged("", error))?;
    value.as_str().map_err(|error| StoreError::damaged("", error))
}

fn optional<T: Word>(row: &Row<'_>, column: usize) -> StoreResult<Option<T>> {
    let value = row.get_ref(column).map_err(|error| StoreError::damaged("", error))?;
    let word = value.as_str_or_null().map_err(|error| StoreError::damaged("", error))?;
    word.map(T::read).transpose()
}
