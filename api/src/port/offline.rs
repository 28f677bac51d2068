//! Offline uploads: scans made while a device was cut off, with the answers it showed. Taken in by scan time, a
//! few at a time, so that a long upload never makes another guest wait; told row by row, so that an upload that
//! breaks off is simply sent again.

use super::scan::{derived_id_of, gate_of};
use super::{Call, Called, Port, Refusal, Shared, json};
use crate::body::{self, OfflineCode, OfflineRow};
use crate::http::{Next, Reply};
use engine::catalog::{CardFormat, DeviceId};
use engine::decision::{Reason, Scan, ScanKind};
use engine::ticket::CodeKind;
use engine::{EngineError, Seen};
use std::sync::Arc;

/// Rows taken in before other guests have their turn.
const ROWS_PER_TURN: usize = 64;

/// A row that is ready, or why it is not.
struct Row {
    number: usize,
    row: OfflineRow,
}

impl Port {
    /// `POST /api/access/offline`: NDJSON or a JSON array.
    pub(super) fn offline(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let catalog = self.engine().catalog_guard();
        let caller = self.caller(call, &catalog, None, reply)?;
        let mut rows = Vec::new();
        let mut outcomes = Vec::new();
        for (number, row) in body::parse_offline(call.request.body)? {
            match row {
                Ok(row) => rows.push(Row { number, row }),
                Err(error) => outcomes.push(problem(number, error.to_string())),
            }
        }
        // History is ordered by scan time, whatever the order of the upload.
        rows.sort_by_key(|row| row.row.scanned_at);
        let (shared, device) = (Arc::clone(&self.shared), caller.id);
        let mut reply = reply.clone();
        Ok(Next::Later(Box::pin(async move {
            let mut wait = 0;
            for turn in rows.chunks(ROWS_PER_TURN) {
                for row in turn {
                    let (outcome, lsn) = take_in(&shared, device, row);
                    wait = wait.max(lsn);
                    outcomes.push(outcome);
                }
                tokio::task::yield_now().await;
            }
            outcomes.sort_by_key(|outcome| outcome["row"].as_u64());
            let rejected = outcomes.iter().filter(|outcome| outcome["outcome"] == "rejected").count();
            let conflicts = outcomes.iter().filter(|outcome| outcome["outcome"] == "conflict").count();
            reply.wait = wait;
            json(
                &mut reply,
                &serde_json::json!({
                    "status": if rejected == 0 { "success" } else { "partial" },
                    "accepted": outcomes.len() - rejected,
                    "rejected": rejected,
                    "conflicts": conflicts,
                    "rows": outcomes,
                }),
            );
            reply
        })))
    }
}

fn problem(number: usize, message: String) -> serde_json::Value {
    serde_json::json!({"row": number, "outcome": "rejected", "message": message})
}

/// Takes one row in; gives its outcome and the LSN it waits for.
fn take_in(shared: &Shared, device: DeviceId, row: &Row) -> (serde_json::Value, u64) {
    match decide_row(shared, device, &row.row) {
        Err(refusal) => (problem(row.number, refusal.message), 0),
        Ok((scan_id, answered)) => {
            let reason = answered.answer.verdict.denial().map(Reason::code);
            let attention = match answered.answer.verdict {
                engine::decision::Verdict::Admit { attention } => attention.map(Reason::code),
                engine::decision::Verdict::Deny(_) => None,
            };
            let outcome = match (attention, reason, answered.seen) {
                (_, _, Seen::SameId | Seen::Repeat) => "known",
                (Some(_), _, _) => "conflict",
                (None, Some(_), _) => "denied",
                (None, None, _) => "admitted",
            };
            let value = serde_json::json!({"row": row.number, "scan_id": scan_id, "outcome": outcome, "reason": reason.or(attention)});
            (value, answered.wait.0)
        }
    }
}

fn decide_row(
    shared: &Shared,
    device: DeviceId,
    row: &OfflineRow,
) -> Result<(String, engine::Answered), Refusal> {
    let catalog = shared.engine.catalog_guard();
    let own = catalog.device(device).ok_or_else(Refusal::unavailable)?;
    if row.device.as_ref().is_some_and(|named| *named != own.name) {
        return Err(Refusal::malformed("device_id", "a device uploads its own scans only"));
    }
    let profile = shared.profiles.id_of(&own.profile);
    let caller = super::Caller { id: device, device: own, profile };
    let gate = gate_of(&catalog, &caller, row.location.as_deref())?;
    let usual = own.card_format.or(shared.profiles.get(profile).card_format()).unwrap_or(CardFormat::HexBe);
    let card = row.presented.card(usual)?;
    let (code_kind, code) = match (&card, &row.presented) {
        (Some(card), _) => (CodeKind::Card, card.as_slice()),
        (None, OfflineCode::Code(code)) => (CodeKind::Optical, code.as_bytes()),
        (None, OfflineCode::Card { .. }) => return Err(Refusal::malformed("card_uid", "no card was sent")),
    };
    let scan_id = row.scan_id.clone().unwrap_or_else(|| derived_id_of(&own.name, code, &row.timestamp));
    let scan = Scan {
        device,
        gate,
        code_kind,
        code,
        scan_id: Some(&scan_id),
        scanned_at: Some(row.scanned_at),
        direction: row.direction.or(own.direction),
        people: row.people,
        kind: ScanKind::Offline,
        overriding: None,
        shown: Some(row.shown()),
    };
    let answered = match shared.engine.scan(&scan) {
        // A ticket that is not in memory can only be a conflict: it is recorded as what was shown.
        Err(EngineError::MaybeCold) => shared.engine.scan_cold(&scan, None),
        other => other,
    }?;
    Ok((scan_id, answered))
}
