//! Offline uploads: scans made while a device was cut off, with the answers it showed. Taken in by scan time, a
//! few at a time, so that a long upload never makes another guest wait; told row by row, so that an upload that
//! breaks off is simply sent again.

use super::scan::{derived_id_of, gate_of};
use super::{Call, Called, Port, Refusal, Shared};
use crate::body::{self, OfflineCode, OfflineRow};
use crate::http::{Next, Reply};
use engine::catalog::{CardFormat, DeviceId};
use engine::decision::{Reason, Scan, ScanKind};
use engine::ticket::CodeKind;
use engine::{EngineError, Seen};
use serde::Serialize;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Rows read, taken in or told before other guests have their turn: about 0.1 ms.
const ROWS_PER_TURN: usize = 16;
/// Turns after which an upload pauses: the journal and its disk are the guests' too.
const TURNS_PER_PAUSE: usize = 4;
/// How long it pauses. With the runtime's clock of 1 ms that makes some 30,000 rows a second for each worker.
const PAUSE: Duration = Duration::from_millis(1);

/// A row that is ready.
struct Row {
    number: usize,
    row: OfflineRow,
}

/// What became of a row.
#[derive(Serialize)]
struct Outcome {
    row: usize,
    outcome: &'static str,
    #[serde(flatten)]
    told: Told,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    Decided { scan_id: String, reason: Option<&'static str> },
    Rejected { message: String },
}

const REJECTED: &str = "rejected";

impl Outcome {
    fn rejected(row: usize, message: String) -> Outcome {
        Outcome { row, outcome: REJECTED, told: Told::Rejected { message } }
    }
}

impl Port {
    /// `POST /api/access/offline`: NDJSON or a JSON array.
    pub(super) fn offline(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let catalog = self.engine().catalog_guard();
        let caller = self.caller(call, &catalog, None, reply)?;
        // Nothing is read here but whether there is anything: reading it all would hold the worker for milliseconds.
        body::parse_offline(call.request.body)?;
        let (shared, device, upload) = (Arc::clone(&self.shared), caller.id, call.request.body.to_vec());
        let mut reply = reply.clone();
        let turn = Rc::clone(&self.upload_turn);
        Ok(Next::Later(Box::pin(async move {
            // One upload at a time: of 200 at once, each would have its rows taken in before a guest has his turn.
            let _turn = turn.acquire().await;
            let (mut rows, mut outcomes) = read_rows(&upload).await;
            drop(upload);
            // History is ordered by scan time, whatever the order of the upload.
            rows.sort_by_key(|row| row.row.scanned_at);
            for (number, turn) in rows.chunks(ROWS_PER_TURN).enumerate() {
                if number > 0 && number % TURNS_PER_PAUSE == 0 {
                    tokio::time::sleep(PAUSE).await;
                }
                for row in turn {
                    let (outcome, lsn) = take_in(&shared, device, row);
                    reply.wait = reply.wait.max(lsn);
                    outcomes.push(outcome);
                }
                tokio::task::yield_now().await;
            }
            outcomes.sort_by_key(|outcome| outcome.row);
            reply.content_type = "application/json";
            write_outcomes(&outcomes, &mut reply.body).await;
            reply
        })))
    }
}

/// The rows that can be read, and what is wrong with the others. Other guests have their turn in between.
async fn read_rows(upload: &[u8]) -> (Vec<Row>, Vec<Outcome>) {
    let (mut rows, mut outcomes) = (Vec::new(), Vec::new());
    for (number, row) in body::parse_offline(upload).into_iter().flatten() {
        match row {
            Ok(row) => rows.push(Row { number, row }),
            Err(error) => outcomes.push(Outcome::rejected(number, error.to_string())),
        }
        if number % ROWS_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    (rows, outcomes)
}

/// The answer, written as it goes: a tree of values took sixty times an upload of bad rows.
async fn write_outcomes(outcomes: &[Outcome], out: &mut Vec<u8>) {
    let count = |word| outcomes.iter().filter(|outcome| outcome.outcome == word).count();
    let (rejected, conflicts) = (count(REJECTED), count("conflict"));
    let status = if rejected == 0 { "success" } else { "partial" };
    let accepted = outcomes.len() - rejected;
    let written = write!(
        out,
        r#"{{"status":"{status}","accepted":{accepted},"rejected":{rejected},"conflicts":{conflicts},"rows":["#
    );
    written.expect("writing to a vector does not fail");
    for (turn, outcomes) in outcomes.chunks(ROWS_PER_TURN).enumerate() {
        for (n, outcome) in outcomes.iter().enumerate() {
            if (turn, n) != (0, 0) {
                out.push(b',');
            }
            serde_json::to_writer(&mut *out, outcome).expect("writing to a vector does not fail");
        }
        tokio::task::yield_now().await;
    }
    out.extend_from_slice(b"]}");
}

/// Takes one row in; gives its outcome and the LSN it waits for.
fn take_in(shared: &Shared, device: DeviceId, row: &Row) -> (Outcome, u64) {
    match decide_row(shared, device, &row.row) {
        Err(refusal) => (Outcome::rejected(row.number, refusal.message), 0),
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
            let told = Told::Decided { scan_id, reason: reason.or(attention) };
            (Outcome { row: row.number, outcome, told }, answered.wait.0)
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
