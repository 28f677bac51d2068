//! What a host is asked: jobs, drawers, texts, status. One at a time; what became of a job is written down before the
//! next begins. Knows no process.

use super::{Call, QUEUE_AGAIN, Stage, What, Worker, is_display, tells, wall};
use crate::display::{self, Show, Step, Todo};
use crate::error::Error;
use crate::job::{Document, JobState, Outcome};
use crate::mailbox::Kick;
use crate::policy::{self, Next};
use crate::queue::{Begun, PutBack};
use crate::view::{LastOutcome, Paper};
use crate::{now_ms, view};
use documents::{Template, Values};
use driver_abi::{Done, Fault, Op, Status, Style};
use driver_frames::{FRAME_BYTES_MAX, FromHost, Report, ToHost};
use std::time::{Duration, Instant};

/// A device has so long to say how it is.
const STATUS_MAX: Duration = Duration::from_secs(5);
/// A drawer's pulse, in ms: what most printers' own defaults are near to.
const PULSE_MS: u16 = 100;
/// A drawer's pulse has to be out in so long.
const DRAWER_MAX: Duration = Duration::from_secs(5);
/// A frame is a little longer than its ops.
const FRAME_ROOM: usize = 64;

/// An outcome on its way into the queue's file.
pub struct Unsaved {
    id: String,
    then: Then,
    outcome: Outcome,
    /// The next try.
    pub at: Instant,
}

enum Then {
    Over(JobState),
    Back { not_before_ms: i64, counts: bool },
}

impl Worker {
    /// Begins what is to be done next, if nothing is under way.
    pub(super) fn look_at_calls(&mut self, now: Instant) -> Option<Instant> {
        if self.call.is_some() || self.retiring.is_some() {
            return None;
        }
        let Stage::Up(up) = &self.stage else {
            self.refuse_kick("it is not ready");
            return None;
        };
        let (display, asks) = (is_display(up), up.capabilities.status);
        if let Some(kick) = self.kick.take() {
            self.open_drawer(kick, now);
        }
        if display && self.call.is_none() {
            return self.look_at_face(now).into_iter().chain(self.look_at_jobs(now)).min();
        }
        if self.call.is_some() {
            return None;
        }
        let due = match self.waiting {
            Some((_, at)) if now < at => Some(at),
            Some(_) if asks => return self.ask_status(now),
            Some(_) => {
                self.waiting = None;
                self.jobs_at = Some(now);
                self.look_at_jobs(now)
            }
            None => self.look_at_jobs(now),
        };
        if self.call.is_none() && asks && now >= self.status_at {
            return self.ask_status(now);
        }
        due.into_iter().chain(asks.then_some(self.status_at)).min()
    }

    fn call(&mut self, what: What, ops: Option<Vec<Op<'static>>>, timeout: Duration, now: Instant) {
        let Stage::Up(up) = &mut self.stage else { return };
        self.calls += 1;
        let id = self.calls;
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        up.cancelled = None;
        // A host that does not listen does not answer either, and its time ends.
        up.host.tell(match ops {
            Some(ops) => ToHost::Run { id, ops, timeout_ms },
            None => ToHost::Status { id, timeout_ms },
        });
        self.call = Some(Call { id, what, since: now, timeout });
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.setup.settings.timeout_ms.into())
    }

    // --- jobs ---

    fn look_at_jobs(&mut self, now: Instant) -> Option<Instant> {
        let at = self.jobs_at?;
        if now < at || self.unsaved.is_some() || self.call.is_some() {
            return Some(at.max(now)).filter(|_| self.unsaved.is_none() && self.call.is_none());
        }
        let (queue, name) = (&self.shared.queue, &self.setup.settings.name);
        match queue.start(name, now_ms()) {
            Ok(Some(begun)) => {
                self.words.queue = None;
                self.run_job(begun, now);
                None
            }
            Ok(None) => {
                self.words.queue = None;
                let due = queue.next_due_ms(name, now_ms()).ok().flatten();
                self.jobs_at = due.map(|due_ms| wall(now, due_ms));
                self.jobs_at
            }
            Err(error) => self.queue_failed(&error, now),
        }
    }

    fn queue_failed(&mut self, error: &Error, now: Instant) -> Option<Instant> {
        let text = error.to_string();
        if self.words.queue.as_ref() != Some(&text) {
            tracing::error!(peripheral = %self.setup.settings.name, %text, "jobs wait");
        }
        self.words.queue = Some(text);
        self.jobs_at = Some(now + QUEUE_AGAIN);
        self.jobs_at
    }

    fn run_job(&mut self, begun: Begun, now: Instant) {
        match self.ops(&begun) {
            Ok(ops) => self.call(What::Job(begun), Some(ops), self.timeout(), now),
            Err(text) => {
                let outcome = Outcome { done: Done::None, fault: Some(Fault::Invalid), text };
                self.over(begun.id, Then::Over(JobState::None), outcome, now);
            }
        }
    }

    /// The document's ops for this device; a reprint's say so first.
    fn ops(&self, begun: &Begun) -> Result<Vec<Op<'static>>, String> {
        let Stage::Up(up) = &self.stage else { return Err("it is not ready".to_owned()) };
        if is_display(up) {
            return Err("a display prints nothing".to_owned());
        }
        let body = match &begun.document {
            Document::Ops(ops) => ops.clone(),
            Document::Template { name, values } => {
                let settings = self.shared.settings();
                let template = settings.templates.get(name);
                let template = template.ok_or_else(|| format!("no template {name:?} in the settings"))?;
                template.render(&settings.filled(values.clone()), &up.capabilities)
            }
        };
        if body.iter().any(|op| matches!(op, Op::Drawer { .. })) {
            return Err("a document does not open the drawer".to_owned());
        }
        let mut ops = mark(begun.reprint);
        ops.extend(body);
        let length = postcard::to_stdvec(&ops).map_or(usize::MAX, |bytes| bytes.len());
        if length > FRAME_BYTES_MAX - FRAME_ROOM {
            return Err(format!("laid out it is {length} bytes, over the limit"));
        }
        Ok(ops)
    }

    /// A job's try has ended.
    fn ran_job(&mut self, begun: Begun, report: Report, now: Instant) {
        let next = policy::next(report.done, report.fault, begun.attempts, &self.shared.pace);
        if !report.status.has(Status::UNKNOWN) {
            self.know(report.status, now);
        }
        let text = match (report.text.is_empty(), report.fault) {
            (true, Some(fault)) => fault.to_string(),
            _ => report.text,
        };
        let outcome = Outcome { done: report.done, fault: report.fault, text };
        let then = match next {
            Next::Over(state) => Then::Over(state),
            Next::Again(wait) => {
                self.slot.metrics.lock().retries += 1;
                let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                Then::Back { not_before_ms: now_ms().saturating_add(wait_ms), counts: true }
            }
            Next::Wait => {
                let fault = report.fault.unwrap_or(Fault::Offline);
                self.waiting = Some((fault, now + self.shared.pace.wait));
                Then::Back { not_before_ms: 0, counts: false }
            }
        };
        self.over(begun.id, then, outcome, now);
    }

    fn over(&mut self, id: String, then: Then, outcome: Outcome, now: Instant) {
        debug_assert!(self.unsaved.is_none(), "one job at a time");
        self.unsaved = Some(Unsaved { id, then, outcome, at: now });
        self.save(now);
    }

    /// Writes down what became of a job. Until that is done no other begins.
    pub(super) fn save(&mut self, now: Instant) -> Option<Instant> {
        let unsaved = self.unsaved.as_mut()?;
        if now < unsaved.at {
            return Some(unsaved.at);
        }
        let (queue, name) = (&self.shared.queue, &self.setup.settings.name);
        let (id, outcome) = (&unsaved.id, &unsaved.outcome);
        let saved = match &unsaved.then {
            Then::Over(state) => queue.finish(name, id, *state, outcome, now_ms()),
            Then::Back { not_before_ms, counts } => {
                let back = PutBack { not_before_ms: *not_before_ms, counts: *counts, outcome };
                queue.put_back(name, id, &back, now_ms())
            }
        };
        if let Err(Error::Queue(error)) = saved {
            unsaved.at = now + QUEUE_AGAIN;
            return self.queue_failed(&error.into(), now);
        }
        let Unsaved { id, then, outcome, .. } = self.unsaved.take()?;
        if let Err(error) = saved {
            tracing::error!(job = %id, %error, "an outcome nobody waits for");
        }
        self.words.queue = None;
        self.jobs_at = Some(now);
        if let Then::Over(state) = then {
            self.count(state);
            self.slot.board.lock().last =
                Some(LastOutcome { job: id, state, at_ms: now_ms(), text: outcome.text });
        }
        Some(now)
    }

    fn count(&self, state: JobState) {
        let mut metrics = self.slot.metrics.lock();
        match state {
            JobState::None => metrics.outcome_none += 1,
            JobState::Sent => metrics.outcome_sent += 1,
            JobState::Confirmed => metrics.outcome_confirmed += 1,
            JobState::Unknown => metrics.outcome_unknown += 1,
            _ => {}
        }
    }

    // --- drawers ---

    fn open_drawer(&mut self, kick: Kick, now: Instant) {
        if now >= kick.until {
            return;
        }
        let Stage::Up(up) = &self.stage else { return };
        if !up.capabilities.drawer || is_display(up) {
            let text = "it has no drawer".to_owned();
            let _ = kick.reply.try_send(Outcome { done: Done::None, fault: Some(Fault::Unsupported), text });
            return;
        }
        let ops = vec![Op::Drawer { pin: 0, pulse_ms: PULSE_MS }];
        self.call(What::Drawer(kick), Some(ops), DRAWER_MAX, now);
    }

    fn refuse_kick(&mut self, why: &str) {
        if let Some(kick) = self.kick.take() {
            let outcome = Outcome { done: Done::None, fault: Some(Fault::Gone), text: why.to_owned() };
            let _ = kick.reply.try_send(outcome);
        }
    }

    // --- displays ---

    pub(super) fn put_show(&mut self, show: Show, since: Instant) {
        if self.pending.replace((show, since)).is_some() {
            self.slot.metrics.lock().replaced += 1;
        }
    }

    /// The idle text as the settings have it now.
    pub(super) fn set_idle(&mut self) {
        let Stage::Up(up) = &self.stage else { return };
        let own = &self.setup.settings;
        let gate = own.gates.first().cloned().unwrap_or_default();
        let values = Values::from([("peripheral".to_owned(), own.name.clone()), ("gate".to_owned(), gate)]);
        let settings = self.shared.settings();
        let values = settings.filled(values);
        let template = own.idle.as_ref().and_then(|idle| settings.templates.get(idle));
        let idle = |template: &Template| {
            let own = template.idle(&values, &up.capabilities);
            own.unwrap_or_else(|| template.render(&values, &up.capabilities))
        };
        let ops = template.map(|template| idle(template));
        self.face.set_idle(ops.unwrap_or_default());
    }

    fn look_at_face(&mut self, now: Instant) -> Option<Instant> {
        if let Some((show, since)) = self.pending.take() {
            let stale = now.duration_since(since) > self.shared.pace.fresh;
            let replaced = stale || self.steps(show).is_some_and(|steps| self.face.show(steps));
            self.slot.metrics.lock().replaced += u64::from(replaced);
        }
        let now_ms = self.face_ms(now);
        match self.face.next(now_ms) {
            Todo::Tell(ops) => {
                self.call(What::Show, Some(ops), self.timeout(), now);
                None
            }
            Todo::At(at_ms) => Some(now + Duration::from_millis(at_ms.saturating_sub(now_ms))),
            Todo::Nothing => None,
        }
    }

    fn steps(&self, show: Show) -> Option<Vec<Step>> {
        match show {
            Show::Steps(steps) => Some(steps),
            Show::Template { name, values } => {
                let Stage::Up(up) = &self.stage else { return None };
                let settings = self.shared.settings();
                let template = settings.templates.get(&name)?;
                Some(display::steps(template, &settings.filled(values), &up.capabilities))
            }
        }
    }

    fn face_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    // --- answers ---

    /// A frame of the host that works.
    pub(super) fn answer(&mut self, frame: FromHost, now: Instant) {
        match frame {
            FromHost::Ran { id, report } => self.ran(id, report, now),
            FromHost::StatusIs { id, status } if self.answers(id) => {
                self.call = None;
                match status {
                    Ok(status) => self.know(status, now),
                    Err(fault) if policy::keeps_from_working(fault) => {
                        self.waiting = Some((fault, now + self.shared.pace.wait));
                    }
                    // It does not tell: whether it works again is seen when something is printed.
                    Err(_) if self.waiting.take().is_some() => self.jobs_at = Some(now),
                    Err(_) => {}
                }
            }
            FromHost::Changed { status } => self.know(status, now),
            FromHost::Link { up, text } => {
                if up
                    && self.words.link.is_some()
                    && !matches!(self.call, Some(Call { what: What::Show, .. }))
                {
                    self.face.heal();
                }
                self.words.link = (!up).then_some(text);
            }
            _ => {}
        }
    }

    fn answers(&self, id: u64) -> bool {
        self.call.as_ref().is_some_and(|call| call.id == id)
    }

    fn ran(&mut self, id: u64, report: Report, now: Instant) {
        if !self.answers(id) {
            return;
        }
        let Some(call) = self.call.take() else { return };
        let took = now.duration_since(call.since);
        match call.what {
            What::Job(begun) => {
                self.time(took);
                self.ran_job(begun, report, now);
            }
            What::Drawer(kick) => {
                let outcome = Outcome { done: report.done, fault: report.fault, text: report.text };
                let _ = kick.reply.try_send(outcome);
            }
            What::Show => {
                self.time(took);
                let well = report.fault.is_none();
                self.slot.metrics.lock().shown += u64::from(well);
                self.words.show = report.fault.map(|fault| policy::alarm(fault).to_owned());
                self.face.told(well, self.face_ms(now));
            }
            What::Status => {}
        }
    }

    fn time(&self, took: Duration) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = view::RUN_MS_BOUNDS.iter().take_while(|bound| took_ms > **bound).count();
        let mut metrics = self.slot.metrics.lock();
        metrics.run_ms_buckets[bucket] += 1;
        metrics.run_ms_sum += took_ms;
    }

    /// The host is lost: what it did not answer.
    pub(super) fn give_up_call(&mut self, why: &str, now: Instant) {
        let Some(call) = self.call.take() else { return };
        let text = format!("its driver host was lost while it was being printed: {why}");
        let outcome = Outcome { done: Done::Unknown, fault: None, text };
        match call.what {
            What::Job(begun) => self.over(begun.id, Then::Over(JobState::Unknown), outcome, now),
            What::Drawer(kick) => {
                let _ = kick.reply.try_send(outcome);
            }
            What::Show => self.face.told(false, self.face_ms(now)),
            What::Status => {}
        }
    }

    fn ask_status(&mut self, now: Instant) -> Option<Instant> {
        let pace = self.shared.pace;
        self.status_at = now + pace.status_every;
        if let Some((_, at)) = &mut self.waiting {
            *at = now + pace.wait;
        }
        self.call(What::Status, None, STATUS_MAX, now);
        None
    }

    /// The device is so.
    fn know(&mut self, status: Status, now: Instant) {
        self.words.status = tells(status);
        if let Some(status) = tells(status) {
            let paper = [(Status::PAPER_OUT, Paper::Out), (Status::PAPER_LOW, Paper::Low)];
            let paper = paper.into_iter().find(|(bit, _)| status.has(*bit));
            self.slot.metrics.lock().paper = paper.map_or(Paper::Ok, |(_, paper)| paper);
        }
        match status.fault() {
            Some(fault) => self.waiting = Some((fault, now + self.shared.pace.wait)),
            None => {
                if self.waiting.take().is_some() {
                    self.jobs_at = Some(now);
                }
            }
        }
    }
}

/// A reprint's first line: two receipts that look alike are worth the money twice.
fn mark(reprint: u32) -> Vec<Op<'static>> {
    if reprint == 0 {
        return Vec::new();
    }
    vec![
        Op::Style(Style { bold: true, ..Style::default() }),
        Op::Text(format!("REPRINT {reprint}").into()),
        Op::Newline,
        Op::Style(Style::default()),
    ]
}
