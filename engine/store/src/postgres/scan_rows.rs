//! Rows of the access log. Knows how a scan is written and read; knows no rule.

use super::copy::Copy;
use super::values::{Moment, Text, get, number};
use crate::error::{StoreError, StoreResult};
use crate::rows::ScanRow;
use crate::words::Word;
use engine::Lsn;
use engine::catalog::{DeviceId, EventId, GateId, OperatorId, TypeId};
use engine::decision::Verdict;
use engine::record::{PassageOutcome, ScanRecord};
use engine::ticket::TicketId;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

const INTO: &str = "scans (lsn, decided_at, recorded_at, scanned_at, device, gate, event, ticket, type_id, specimen, \
     scan_id, code_kind, code, kind, verdict, reason, attention, overridden, operator, note, direction, people, \
     remaining, conflict)";

const TYPES: &[Type] = &[
    Type::INT8,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::INT4,
    Type::INT8,
    Type::INT8,
    Type::INT4,
    Type::BOOL,
    Type::TEXT,
    Type::TEXT,
    Type::BYTEA,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::INT4,
    Type::INT4,
    Type::TEXT,
];

/// The columns of `scans` that [`read`] wants, in its order; after them come outcome, outcome_at and repeats.
pub(super) const COLUMNS: &str = "lsn, decided_at, recorded_at, scanned_at, device, gate, event, ticket, type_id, \
     specimen, scan_id, code_kind, code, kind, verdict, reason, attention, overridden, operator, note, direction, \
     people, remaining, conflict";

/// Scans on their way.
pub(super) fn copy() -> Copy {
    Copy::new(INTO, TYPES, "write scans")
}

/// Writes a scan into the access log.
pub(super) fn add(
    copy: &mut Copy,
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
    copy.row(&[
        &(lsn.0 as i64),
        &Moment(answer.at),
        &Moment(scan.recorded_at),
        &scan.scanned_at.map(Moment),
        &i64::from(scan.device.0),
        &i32::from(answer.gate.0),
        &event.map(|event| i64::from(event.0)),
        &facts.map(|facts| i64::from(facts.ticket.0)),
        &facts.map(|facts| i32::from(facts.type_id.0)),
        &facts.is_some_and(|facts| facts.specimen),
        &Text::of(scan.scan_id),
        &scan.code_kind.word(),
        &scan.code,
        &answer.kind.word(),
        &verdict,
        &answer.verdict.denial().map(Word::word),
        &attention.map(Word::word),
        &answer.overridden.map(Word::word),
        &scan.overriding.map(|own| i64::from(own.operator.0)),
        &scan.overriding.map(|own| Text::of(own.note)),
        &answer.direction.word(),
        &i32::from(answer.people),
        &facts.and_then(|facts| facts.remaining).map(i32::from),
        &scan.conflict.map(Word::word),
    ])
}

/// Reads a line of the access log.
pub(super) fn read(row: &Row) -> StoreResult<ScanRow> {
    let lsn = Lsn(get::<i64>(row, 0)? as u64);
    read_scan(row, lsn).map_err(|error| match error {
        StoreError::Damaged { problem, .. } => StoreError::damaged(format!("scan {lsn}"), problem),
        other => other,
    })
}

fn read_scan(row: &Row, lsn: Lsn) -> StoreResult<ScanRow> {
    let verdict = match (get::<&str>(row, 14)?, optional(row, 15)?) {
        ("admit", _) => Verdict::Admit { attention: optional(row, 16)? },
        ("deny", Some(reason)) => Verdict::Deny(reason),
        (other, _) => return Err(StoreError::damaged("", format!("verdict '{other}'"))),
    };
    Ok(ScanRow {
        lsn,
        decided_at: get::<Moment>(row, 1)?.0,
        recorded_at: get::<Moment>(row, 2)?.0,
        scanned_at: get::<Option<Moment>>(row, 3)?.map(|own| own.0),
        device: DeviceId(number(get::<i64>(row, 4)?)?),
        gate: GateId(number(get::<i32>(row, 5)?)?),
        event: get::<Option<i64>>(row, 6)?.map(number).transpose()?.map(EventId),
        ticket: get::<Option<i64>>(row, 7)?.map(number).transpose()?.map(TicketId),
        type_id: get::<Option<i32>>(row, 8)?.map(number).transpose()?.map(TypeId),
        specimen: get(row, 9)?,
        given_id: get::<Text<'_>>(row, 10)?.plain().into_owned(),
        code_kind: Word::read(get(row, 11)?)?,
        code: get(row, 12)?,
        kind: Word::read(get(row, 13)?)?,
        verdict,
        overridden: optional(row, 17)?,
        operator: get::<Option<i64>>(row, 18)?.map(number).transpose()?.map(OperatorId),
        note: get::<Option<Text<'_>>>(row, 19)?.map(|own| own.plain().into_owned()),
        direction: Word::read(get(row, 20)?)?,
        people: number(get::<i32>(row, 21)?)?,
        remaining: get::<Option<i32>>(row, 22)?.map(number).transpose()?,
        conflict: optional(row, 23)?,
        outcome: optional(row, 24)?.unwrap_or(PassageOutcome::Open),
        outcome_at: get::<Option<Moment>>(row, 25)?.map(|own| own.0),
        repeats: number(get::<i64>(row, 26)?)?,
    })
}

fn optional<T: Word>(row: &Row, column: usize) -> StoreResult<Option<T>> {
    get::<Option<&str>>(row, column)?.map(T::read).transpose()
}
