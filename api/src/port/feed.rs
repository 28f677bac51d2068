//! The feed: what happened, read from the journal's tail for latest, poll and streams. Costs the gates nothing
//! while nobody listens; a listener that is slow or gone is dropped, never waited for.

use super::device::command_words;
use super::{Call, Called, Port, Refusal, json};
use crate::http::{Flow, Next, Reply, Source};
use crate::profile::rfc3339;
use engine::catalog::{Catalog, DeviceId, Role};
use engine::decision::{Reason, Verdict};
use engine::journal::{JournalError, Reader};
use engine::record::{Record, ScanRecord};
use engine::scans::KeptScan;
use engine::{Engine, Lsn, OWN_SCAN_ID_PREFIX};
use lists::code_text;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Bytes of the journal read for one piece of an answer.
const READ_BYTES: usize = 32 * 1024;
/// Pieces read in a row for one answer, where the records between are of no interest to the listener.
const READS_MAX: usize = 64;
/// Scans in one answer of a poll.
const POLL_SCANS_MAX: usize = 500;
/// Kept scans that `latest` looks through.
const LATEST_LOOK_AT: usize = 20_000;
/// Longest wait of a poll, in seconds.
const POLL_WAIT_S_MAX: u64 = 30;
/// A stream says something at least this often, so that proxies keep it.
const STREAM_COMMENT_EVERY: Duration = Duration::from_secs(15);

/// Rings when a record became durable. Costs one atomic load while nobody listens.
#[derive(Default)]
pub struct Bell {
    listening: AtomicUsize,
    wakers: Mutex<Vec<Waker>>,
}

impl Bell {
    /// To be called after each advance of the journal.
    pub fn ring(&self) {
        // The journal has advanced before this look, and whoever listens looks at the journal after: one sees the other.
        fence(Ordering::SeqCst);
        if self.listening.load(Ordering::Acquire) > 0 {
            let mut own = self.wakers.lock();
            let wakers = std::mem::take(&mut *own);
            // Under the lock: a listener that comes now is neither taken nor forgotten.
            self.listening.store(0, Ordering::Release);
            drop(own);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    fn listen(&self, waker: &Waker) {
        let mut wakers = self.wakers.lock();
        if !wakers.iter().any(|own| own.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        self.listening.store(wakers.len(), Ordering::Release);
        fence(Ordering::SeqCst);
    }
}

/// Who listens: what of a guest they may see depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// A device: sees no names, and only the commands that are its own.
    Device(DeviceId),
    /// A signed-in person.
    Operator,
}

/// A place in the journal from which one listener reads on.
struct Tail {
    engine: Arc<Engine>,
    reader: Reader,
    audience: Audience,
    cursor: Lsn,
    records: Vec<(Lsn, Vec<u8>)>,
    /// The journal cannot be read any further.
    broken: bool,
}

impl Tail {
    fn new(engine: &Arc<Engine>, after: Lsn, audience: Audience) -> Tail {
        let after = Lsn(after.0.min(engine.journal().positions().durable.0));
        Tail {
            reader: engine.journal().reader(after),
            engine: Arc::clone(engine),
            audience,
            cursor: after,
            records: Vec::new(),
            broken: false,
        }
    }

    /// Events after the cursor: those of the first piece that has any. Empty with the cursor behind the journal's
    /// end means: there is more to look through.
    fn read(&mut self) -> Vec<(Lsn, Value)> {
        for _ in 0..READS_MAX {
            let events = self.read_piece();
            if !events.is_empty() || !self.behind() {
                return events;
            }
        }
        Vec::new()
    }

    /// Are there records after the cursor?
    fn behind(&self) -> bool {
        !self.broken && self.engine.journal().positions().durable > self.cursor
    }

    /// One piece of the journal. What it no longer has is skipped, not invented.
    fn read_piece(&mut self) -> Vec<(Lsn, Value)> {
        self.records.clear();
        match self.reader.read(READ_BYTES, &mut self.records) {
            Ok(()) => {}
            Err(JournalError::Gone { oldest, .. }) => {
                self.cursor = Lsn(oldest.0.saturating_sub(1));
                self.reader = self.engine.journal().reader(self.cursor);
            }
            Err(error) => {
                tracing::warn!(%error, cursor = %self.cursor, "a listener was dropped: the feed cannot read the journal");
                self.broken = true;
            }
        }
        let catalog = self.engine.catalog_guard();
        let mut events = Vec::new();
        for (lsn, payload) in &self.records {
            self.cursor = *lsn;
            if let Ok(record) = Record::decode(payload)
                && let Some(event) = event_value(&catalog, *lsn, &record, self.audience)
            {
                events.push((*lsn, event));
            }
        }
        events
    }
}

impl Port {
    fn audience(&self, call: &Call<'_>, reply: &mut Reply) -> Result<Audience, Refusal> {
        let catalog = self.engine().catalog_guard();
        if self.operator(call, &catalog, Role::Viewer).is_ok() {
            return Ok(Audience::Operator);
        }
        match self.caller(call, &catalog, None, reply) {
            Ok(caller) => Ok(Audience::Device(caller.id)),
            Err(refusal) if refusal.status == 401 && call.key(None).is_some() => {
                Err(Refusal::new(401, refusal.code, "this key belongs to no device and no operator"))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// `GET /api/access/latest`: the newest scan, of a device or gate if one is named.
    pub(super) fn latest(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let audience = self.audience(call, reply)?;
        let catalog = self.engine().catalog_guard();
        let device = match call.query("device_id") {
            Some(name) => Some(
                catalog
                    .device_named(name)
                    .ok_or_else(|| Refusal::malformed("device_id", "there is no such device"))?,
            ),
            None => None,
        };
        let gate = match call.query("location") {
            Some(name) => Some(
                catalog
                    .gate_named(name)
                    .ok_or_else(|| Refusal::malformed("location", "there is no such gate"))?,
            ),
            None => None,
        };
        let durable = self.engine().journal().positions().durable;
        // The newest may not be durable yet: then the one before it is the latest anybody was told of.
        let newest = self.engine().with_state(|state| {
            let fits = |scan: &&KeptScan| {
                scan.lsn <= durable.0
                    && device.is_none_or(|device| device == scan.device)
                    && gate.is_none_or(|gate| gate == scan.answer.gate)
            };
            state.scans.newest().take(LATEST_LOOK_AT).find(fits).map(|scan| Lsn(scan.lsn))
        });
        let scan = newest.and_then(|lsn| {
            Tail::new(self.engine(), Lsn(lsn.0 - 1), audience).read().into_iter().find(|(own, _)| *own == lsn)
        });
        json(
            reply,
            &json!({"status": "success", "cursor": durable.0.to_string(), "scan": scan.map(|(_, value)| value)}),
        );
        Ok(Next::Reply)
    }

    /// `GET /api/access/poll`: what happened after a cursor, waiting for it if nothing has.
    pub(super) fn poll(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let audience = self.audience(call, reply)?;
        let durable = self.engine().journal().positions().durable;
        let after = cursor_of("after", call.query("after"), durable)?;
        let wait_s = match call.query("wait") {
            None => 0,
            Some(text) => text
                .parse::<u64>()
                .ok()
                .filter(|wait| *wait <= POLL_WAIT_S_MAX)
                .ok_or_else(|| Refusal::malformed("wait", format!("0 to {POLL_WAIT_S_MAX} seconds")))?,
        };
        let mut tail = Tail::new(self.engine(), after, audience);
        let events = tail.read();
        poll_value(reply, &tail, events.clone());
        if !events.is_empty() || wait_s == 0 || tail.broken {
            return Ok(Next::Reply);
        }
        let mut later = reply.clone();
        let bell = Arc::clone(&self.shared.bell);
        Ok(Next::LongPoll(Box::pin(async move {
            let news = News { bell: &bell, tail: &mut tail };
            let events = tokio::time::timeout(Duration::from_secs(wait_s), news).await.unwrap_or_default();
            // Also without news it goes on behind what was looked through: a busy venue has much of it.
            poll_value(&mut later, &tail, events);
            later
        })))
    }

    /// `GET /api/access/stream`: server-sent events; the id is the cursor, `Last-Event-ID` resumes.
    pub(super) fn stream(&self, call: &Call<'_>, reply: &mut Reply) -> Called {
        let audience = self.audience(call, reply)?;
        let durable = self.engine().journal().positions().durable;
        let header = call.header("Last-Event-ID").and_then(|value| std::str::from_utf8(value).ok());
        let field = if header.is_some() { "Last-Event-ID" } else { "after" };
        let after = cursor_of(field, header.or(call.query("after")), durable)?;
        stream_head(reply);
        let tail = Tail::new(self.engine(), after, audience);
        Ok(Next::Stream(Box::new(Events {
            tail,
            bell: Arc::clone(&self.shared.bell),
            comment: None,
            begun: false,
        })))
    }
}

fn cursor_of(field: &str, text: Option<&str>, newest: Lsn) -> Result<Lsn, Refusal> {
    match text {
        None => Ok(newest),
        Some(text) => text
            .parse()
            .map(Lsn)
            .map_err(|_| Refusal::malformed(field, "send a cursor as it was received, or none")),
    }
}

fn poll_value(reply: &mut Reply, tail: &Tail, events: Vec<(Lsn, Value)>) {
    let more = events.len() > POLL_SCANS_MAX;
    let cursor = if more { events[POLL_SCANS_MAX - 1].0 } else { tail.cursor };
    let scans: Vec<Value> = events.into_iter().take(POLL_SCANS_MAX).map(|(_, value)| value).collect();
    json(reply, &json!({"status": "success", "cursor": cursor.0.to_string(), "scans": scans}));
}

fn stream_head(reply: &mut Reply) {
    reply.content_type = "text/event-stream";
    let _ = reply.header("Cache-Control", "no-store");
    // Proxies of the plan's kind buffer unless they are told not to.
    let _ = reply.header("X-Accel-Buffering", "no");
}

/// Waits until there is something after the cursor.
struct News<'a> {
    bell: &'a Bell,
    tail: &'a mut Tail,
}

impl Future for News<'_> {
    type Output = Vec<(Lsn, Value)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Listen first, look then: nothing can fall between.
        self.bell.listen(context.waker());
        let events = self.tail.read();
        if !events.is_empty() || self.tail.broken {
            return Poll::Ready(events);
        }
        if self.tail.behind() {
            // Others first, then the rest: nobody may ring meanwhile.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// A stream of what happens.
struct Events {
    tail: Tail,
    bell: Arc<Bell>,
    comment: Option<Pin<Box<tokio::time::Sleep>>>,
    begun: bool,
}

impl Source for Events {
    fn poll_next(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Flow> {
        if !std::mem::replace(&mut self.begun, true) {
            let _ = writeln!(out, "retry: 1000\n: connected\n");
            return Poll::Ready(Flow::More);
        }
        self.bell.listen(context.waker());
        for (lsn, event) in self.tail.read() {
            let kind = event["type"].as_str().unwrap_or("scan");
            let _ = write!(out, "id: {lsn}\nevent: {kind}\ndata: {event}\n\n");
        }
        if self.tail.broken {
            return Poll::Ready(Flow::End);
        }
        if !out.is_empty() {
            self.comment = None;
            return Poll::Ready(Flow::More);
        }
        if self.tail.behind() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let comment = self.comment.get_or_insert_with(|| Box::pin(tokio::time::sleep(STREAM_COMMENT_EVERY)));
        if comment.as_mut().poll(context).is_ready() {
            self.comment = None;
            let _ = writeln!(out, ": still here\n");
            return Poll::Ready(Flow::More);
        }
        Poll::Pending
    }
}

/// `GET /api/access/stream-test`: one numbered event a second, to see whether a proxy buffers.
pub(super) fn stream_test(reply: &mut Reply) -> Next {
    stream_head(reply);
    Next::Stream(Box::new(Ticks { number: 0, next: Box::pin(tokio::time::sleep(Duration::ZERO)) }))
}

struct Ticks {
    number: u64,
    next: Pin<Box<tokio::time::Sleep>>,
}

impl Source for Ticks {
    fn poll_next(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Flow> {
        if self.next.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.number += 1;
        let _ = write!(out, "id: {0}\nevent: test\ndata: {{\"number\":{0}}}\n\n", self.number);
        self.next = Box::pin(tokio::time::sleep(Duration::from_secs(1)));
        Poll::Ready(Flow::More)
    }
}

// === events ===

fn event_value(catalog: &Catalog, lsn: Lsn, record: &Record<'_>, audience: Audience) -> Option<Value> {
    let device_name = |id: DeviceId| catalog.device(id).map(|device| device.name.as_str());
    let cursor = lsn.0.to_string();
    match record {
        Record::Scan(scan) => Some(scan_value(catalog, lsn, scan, audience)),
        Record::Repeat { at, device, of } => Some(json!({
            "type": "repeat", "cursor": cursor, "timestamp": rfc3339(*at), "device_id": device_name(*device),
            "scan_id": format!("{OWN_SCAN_ID_PREFIX}{of}"),
        })),
        Record::Passage(passage) => Some(json!({
            "type": "passage", "cursor": cursor, "timestamp": rfc3339(passage.at), "device_id": device_name(passage.device),
            "of": passage.scan.to_string(), "passage": passage.outcome,
        })),
        Record::Turns { at, gate, device, people } => Some(json!({
            "type": "turns", "cursor": cursor, "timestamp": rfc3339(*at), "device_id": device_name(*device),
            "location": catalog.gate(*gate).map(|gate| gate.name.as_str()), "people": people,
        })),
        Record::Command { at, device, command, .. } => {
            if audience != Audience::Operator && audience != Audience::Device(*device) {
                return None;
            }
            let mut value = command_words(command);
            value["type"] = json!("command");
            value["cursor"] = json!(cursor);
            value["command_id"] = json!(lsn.0);
            value["timestamp"] = json!(rfc3339(*at));
            value["device_id"] = json!(device_name(*device));
            Some(value)
        }
        _ => None,
    }
}

fn scan_value(catalog: &Catalog, lsn: Lsn, scan: &ScanRecord<'_>, audience: Audience) -> Value {
    let answer = &scan.answer;
    let own = audience == Audience::Operator || audience == Audience::Device(scan.device);
    let scan_id =
        if scan.scan_id.is_empty() { format!("{OWN_SCAN_ID_PREFIX}{lsn}") } else { scan.scan_id.to_owned() };
    let attention = match answer.verdict {
        Verdict::Admit { attention } => attention.map(Reason::code),
        Verdict::Deny(_) => None,
    };
    json!({
        "type": "scan",
        "cursor": lsn.0.to_string(),
        "scan_id": scan_id,
        "timestamp": rfc3339(answer.at),
        "device_id": catalog.device(scan.device).map(|device| device.name.as_str()),
        "location": catalog.gate(answer.gate).map(|gate| gate.name.as_str()),
        "kind": answer.kind,
        "direction": answer.direction,
        "access_granted": answer.verdict.admits(),
        "reason": answer.verdict.denial().map(Reason::code),
        "attention": attention,
        "people": answer.people,
        "qr_data": own.then(|| code_text(scan.code_kind, scan.code)),
        "ticket_id": answer.ticket.as_ref().filter(|_| own).map(|facts| facts.label.reference()),
        "ticket_type": answer.ticket.as_ref().and_then(|facts| catalog.ticket_type(facts.type_id)).map(|kind| kind.name.as_str()),
        "customer_name": answer.ticket.as_ref().filter(|_| audience == Audience::Operator).map(|facts| facts.label.holder()).filter(|holder| !holder.is_empty()),
        "remaining_uses": answer.ticket.as_ref().and_then(|facts| facts.remaining),
    })
}
