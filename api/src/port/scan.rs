//! Scans: validate, check, test-scan, card-read; and what became of them: annul, passed, turns.

use super::{Call, Called, Caller, Port, Refusal, Shared, json};
use crate::body::{self, Fields};
use crate::http::{Next, Reply, Stage, Stopwatch};
use crate::profile::{Profile, ProfileId, Rendering, render};
use engine::catalog::{CardFormat, Catalog, Direction, GateId};
use engine::catalog::{DeviceId, OperatorId, Role};
use engine::decision::{Override, Scan, ScanKind};
use engine::ticket::CodeKind;
use engine::{Answered, EngineError, OWN_SCAN_ID_PREFIX, Time};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

/// What a path does with a scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Validate,
    Check,
    Test,
}

/// A scan that owns its texts, for a look-up that outlives the request.
struct OwnedScan {
    device: DeviceId,
    gate: GateId,
    code_kind: CodeKind,
    code: Vec<u8>,
    scan_id: Option<String>,
    scanned_at: Option<Time>,
    direction: Option<Direction>,
    people: Option<u16>,
    kind: ScanKind,
    overriding: Option<(OperatorId, String)>,
}

impl OwnedScan {
    fn of(scan: &Scan<'_>) -> OwnedScan {
        OwnedScan {
            device: scan.device,
            gate: scan.gate,
            code_kind: scan.code_kind,
            code: scan.code.to_vec(),
            scan_id: scan.scan_id.map(str::to_owned),
            scanned_at: scan.scanned_at,
            direction: scan.direction,
            people: scan.people,
            kind: scan.kind,
            overriding: scan.overriding.map(|own| (own.operator, own.note.to_owned())),
        }
    }

    fn scan(&self) -> Scan<'_> {
        Scan {
            device: self.device,
            gate: self.gate,
            code_kind: self.code_kind,
            code: &self.code,
            scan_id: self.scan_id.as_deref(),
            scanned_at: self.scanned_at,
            direction: self.direction,
            people: self.people,
            kind: self.kind,
            overriding: self
                .overriding
                .as_ref()
                .map(|(operator, note)| Override { operator: *operator, note }),
            shown: None,
        }
    }
}

impl Port {
    /// validate, check, test-scan, scan, card-read: one way, three purposes.
    pub(super) fn scan(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let mut watch = Stopwatch::start(self.shared.stages.as_ref());
        let catalog = self.engine().catalog_guard();
        let mut scratch = self.scratch.borrow_mut();
        let parsed = body::parse_request(call.request.body, &mut scratch);
        let body = self.readable(call, &catalog, parsed, reply)?;
        let caller = self.caller(call, &catalog, body.api_key, reply)?;
        named_right(&caller, &body)?;
        let code_text = body.code.unwrap_or("");
        let profile = self.profile(caller.profile);
        if profile.is_heartbeat(caller.device, code_text) {
            reply.content_type = profile.content_type();
            render::heartbeat(profile, &mut reply.body);
            return Ok(Next::Reply);
        }
        let gate = gate_of(&catalog, &caller, body.location)?;
        let purpose = purpose_of(call.path, profile)?;
        let card = card_of(call, &caller, profile.card_format(), &body)?;
        let (code_kind, code): (CodeKind, &[u8]) = match &card {
            Some(card) => (CodeKind::Card, card),
            None => (CodeKind::Optical, code_text.as_bytes()),
        };
        if code.is_empty() {
            return Err(Refusal::malformed("qr_data", "no code was sent"));
        }
        let given = given_id(call, &body)?;
        let derived = if given.is_none() { derived_id(&caller, code, body.timestamp) } else { None };
        let overriding = match body.override_reason {
            Some(note) => {
                let token = body.operator_token.map(str::as_bytes);
                Some(Override { operator: self.operator_of(call, token, &catalog, Role::Supervisor)?, note })
            }
            None => None,
        };
        let mut scan = Scan {
            device: caller.id,
            gate,
            code_kind,
            code,
            scan_id: given.or(derived.as_deref()),
            scanned_at: body.scanned_at,
            direction: body.direction.or(caller.device.direction),
            people: body.people,
            kind: if purpose == Purpose::Test { ScanKind::Test } else { ScanKind::Validate },
            overriding,
            shown: None,
        };
        // A reader that sends QR and card on one path: a text that is no code may be a card's number.
        let as_card = card.is_none().then(|| text_as_card(&caller, profile, code_text)).flatten();
        if let Some(uid) = &as_card
            && self.engine().ticket(CodeKind::Optical, code).is_none()
            && self.engine().ticket(CodeKind::Card, uid).is_some()
        {
            (scan.code_kind, scan.code) = (CodeKind::Card, uid);
        }
        watch.lap(Stage::Parse);
        self.answer(&catalog, &caller, purpose, &scan, reply, watch)
    }

    fn answer(
        &self,
        catalog: &Catalog,
        caller: &Caller<'_>,
        purpose: Purpose,
        scan: &Scan<'_>,
        reply: &mut Reply,
        mut watch: Stopwatch<'_>,
    ) -> Called {
        let answered = match purpose {
            Purpose::Check => self.engine().check(scan),
            Purpose::Validate | Purpose::Test => self.engine().scan(scan),
        };
        match answered {
            Ok(answered) => {
                watch.lap(Stage::Decide);
                self.latency.begin(answered.wait, self.engine().journal());
                finish(&self.shared, catalog, caller.profile, scan, &answered, reply);
                watch.lap(Stage::Render);
                Ok(Next::Reply)
            }
            Err(EngineError::MaybeCold) => Ok(self.answer_later(caller, purpose, OwnedScan::of(scan), reply)),
            Err(error) => Err(error.into()),
        }
    }

    /// A code that may be in the store only: looked up off the hot path, within a time budget.
    fn answer_later(
        &self,
        caller: &Caller<'_>,
        purpose: Purpose,
        owned: OwnedScan,
        reply: &mut Reply,
    ) -> Next {
        let shared = Arc::clone(&self.shared);
        let port = Port::new(Arc::clone(&self.shared), Arc::clone(&self.latency));
        let profile = caller.profile;
        let budget = Duration::from_millis(u64::from(self.profile(profile).budget_ms()));
        let mut reply = reply.clone();
        Next::Later(Box::pin(async move {
            let found = shared.cold.find(owned.code_kind, &owned.code, budget).await;
            let scan = owned.scan();
            let answered = match (&found, purpose) {
                (Err(_), _) => Err(Refusal::unavailable()),
                (Ok(ticket), Purpose::Check) => {
                    shared.engine.check_cold(&scan, ticket.as_ref()).map_err(Refusal::from)
                }
                (Ok(ticket), _) => shared.engine.scan_cold(&scan, ticket.as_ref()).map_err(Refusal::from),
            };
            match answered {
                Ok(answered) => {
                    finish(&shared, &shared.engine.catalog(), profile, &scan, &answered, &mut reply)
                }
                Err(refusal) => port.refuse(&refusal, &mut reply),
            }
            reply
        }))
    }

    /// annul and passed: `{"scan_id": …}` by the device that scanned.
    pub(super) fn passage(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let catalog = self.engine().catalog_guard();
        let mut scratch = self.scratch.borrow_mut();
        let parsed = body::parse_request(call.request.body, &mut scratch);
        let body = self.readable(call, &catalog, parsed, reply)?;
        let caller = self.caller(call, &catalog, body.api_key, reply)?;
        named_right(&caller, &body)?;
        let scan_id = body
            .scan_id
            .ok_or_else(|| Refusal::malformed("scan_id", "which scan? send the scan_id of its answer"))?;
        let (outcome, (lsn, answer)) = match call.path {
            "/api/access/annul" => ("annulled", self.engine().annul(caller.id, scan_id)?),
            _ => ("passed", self.engine().passed(caller.id, scan_id)?),
        };
        reply.wait = lsn.0;
        let gate = catalog.gate(answer.gate).map(|gate| gate.name.as_str());
        json(
            reply,
            &serde_json::json!({"status": "success", "scan_id": scan_id, "passage": outcome, "gate": gate}),
        );
        Ok(Next::Reply)
    }

    /// People that passed without a ticket: `{"people": n}`, negative for outwards.
    pub(super) fn turns(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let catalog = self.engine().catalog_guard();
        let mut scratch = self.scratch.borrow_mut();
        let parsed = body::parse_object(call.request.body, &mut scratch);
        let body = self.readable(call, &catalog, parsed, reply)?;
        let caller = self.caller(call, &catalog, body.text("api_key")?, reply)?;
        let gate = gate_of(&catalog, &caller, body.text("location")?)?;
        let people = body.whole("people")?.and_then(|people| i32::try_from(people).ok());
        let people = people.filter(|people| *people != 0 && people.unsigned_abs() <= TURNS_PEOPLE_MAX);
        let people = people.ok_or_else(|| {
            Refusal::malformed(
                "people",
                format!("how many passed? 1 to {TURNS_PEOPLE_MAX}, negative for outwards"),
            )
        })?;
        reply.wait = self.engine().turns(caller.id, gate, people)?.0;
        json(reply, &serde_json::json!({"status": "success", "people": people}));
        Ok(Next::Reply)
    }
}

/// People one report of turns may count.
const TURNS_PEOPLE_MAX: u32 = 10_000;

/// Renders an answer and says which LSN it waits for.
fn finish(
    shared: &Shared,
    catalog: &Catalog,
    profile: ProfileId,
    scan: &Scan<'_>,
    answered: &Answered,
    reply: &mut Reply,
) {
    shared.metrics.scan(profile, answered);
    let own_id;
    let scan_id = match scan.scan_id {
        Some(scan_id) => scan_id,
        None if answered.lsn.0 == 0 => "",
        None => {
            own_id = format!("{OWN_SCAN_ID_PREFIX}{}", answered.lsn);
            &own_id
        }
    };
    let speaks = shared.profiles.get(profile);
    let shows_name = answered.answer.shows_name;
    reply.wait = answered.wait.0;
    reply.content_type = speaks.content_type();
    render::answer(
        speaks,
        &Rendering { answer: &answered.answer, scan_id, catalog, shows_name },
        &mut reply.body,
    );
}

/// What the path does; on a reader that opens on every good answer nothing but validating.
fn purpose_of(path: &str, profile: &Profile) -> Result<Purpose, Refusal> {
    let purpose = match path {
        "/api/access/check" => Purpose::Check,
        "/api/access/test-scan" => Purpose::Test,
        _ => Purpose::Validate,
    };
    if purpose != Purpose::Validate && !profile.is_json() {
        return Err(Refusal::malformed(
            "path",
            "this reader validates only: check and test-scan would open its gate uncounted",
        ));
    }
    Ok(purpose)
}

/// Does the request name the device its key belongs to?
fn named_right(caller: &Caller<'_>, body: &Fields<'_>) -> Result<(), Refusal> {
    let other = |named: &str| {
        Refusal::new(401, "invalid_api_key", format!("this key does not belong to the device '{named}'"))
    };
    if let Some(named) = body.device
        && named != caller.device.name
    {
        return Err(other(named));
    }
    match (body.number, &caller.device.number) {
        (Some(sent), Some(own)) if sent != own => Err(other(sent)),
        _ => Ok(()),
    }
}

/// The gate: the device's own, or the named one for a device without.
pub(super) fn gate_of(
    catalog: &Catalog,
    caller: &Caller<'_>,
    location: Option<&str>,
) -> Result<GateId, Refusal> {
    let named = match location {
        None => None,
        Some(name) => {
            let gate = catalog.gate_named(name);
            Some(gate.ok_or_else(|| {
                Refusal::malformed("location", format!("there is no gate '{}'", shortened(name)))
            })?)
        }
    };
    match (caller.device.gate, named) {
        (Some(own), Some(named)) if own != named => {
            let own = catalog.gate(own).map_or("", |gate| gate.name.as_str());
            Err(Refusal::malformed(
                "location",
                format!("this device stands at {own}; leave location out or send {own}"),
            ))
        }
        (Some(own), _) => Ok(own),
        (None, Some(named)) => Ok(named),
        (None, None) => {
            Err(Refusal::malformed("location", "this device has no gate of its own; say where it stands"))
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The id the device gave: the header first, then the body.
fn given_id<'c>(call: &Call<'c>, body: &Fields<'c>) -> Result<Option<&'c str>, Refusal> {
    let Some(header) = call.header("Idempotency-Key") else { return Ok(body.scan_id) };
    let text =
        std::str::from_utf8(header).ok().filter(|text| text.len() <= engine::limits::SCAN_ID_BYTES_MAX);
    text.map(Some).ok_or_else(|| {
        Refusal::malformed(
            "Idempotency-Key",
            format!("text of at most {} bytes", engine::limits::SCAN_ID_BYTES_MAX),
        )
    })
}

/// An id made of device, code and the device's own time: the same scan sent again makes the same one.
pub(super) fn derived_id_of(device: &str, code: &[u8], timestamp: &str) -> String {
    let mut hasher = SipHasher13::new();
    for part in [device.as_bytes(), code, timestamp.as_bytes()] {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part);
    }
    format!("d-{:032x}", hasher.finish128().as_u128())
}

fn derived_id(caller: &Caller<'_>, code: &[u8], timestamp: Option<&str>) -> Option<String> {
    timestamp.map(|timestamp| derived_id_of(&caller.device.name, code, timestamp))
}

/// The card's bytes, for a request that speaks of a card.
fn card_of(
    call: &Call<'_>,
    caller: &Caller<'_>,
    usual: Option<CardFormat>,
    body: &Fields<'_>,
) -> Result<Option<Vec<u8>>, Refusal> {
    let on_card_path = call.path == "/api/kqt300/card-read";
    let uid = match (body.card_uid, body.code, on_card_path) {
        (Some(_), Some(_), false) => {
            return Err(Refusal::malformed("card_uid", "a scan is a code or a card, not both"));
        }
        (Some(uid), _, _) => uid,
        (None, code, true) => code.ok_or_else(|| Refusal::malformed("card_uid", "no card was sent"))?,
        (None, _, false) => return Ok(None),
    };
    let format = body.card_format(caller.device.card_format.or(usual).unwrap_or(CardFormat::HexBe));
    body::parse_card(uid, format).map(Some).map_err(Refusal::from)
}

fn text_as_card(caller: &Caller<'_>, profile: &Profile, text: &str) -> Option<Vec<u8>> {
    if !profile.cards_on_scan() {
        return None;
    }
    let format = caller.device.card_format.or(profile.card_format())?;
    body::parse_card(text, format).ok()
}
