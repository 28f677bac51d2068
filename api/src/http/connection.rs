//! One connection: read, frame, call, collect, wait for the journal once, write once. Knows the order of things on
//! a socket; knows no ticket and no limit's value.
//!
//! ```text
//! idle ── bytes ──> batch: [request → service → reply]* ──> wait durable ──> write ──┐
//!   ^                 │ partial: read more (head, body deadline)                     │
//!   │                 │ fault: answer it last, linger, close                         │
//!   └──── nothing left in the buffer ────────────────────────────────────────────────┘
//! ```
//! A client that does not read blocks `write`, and while it is blocked nothing is read from that client.

use super::durability::Durability;
use super::framing::{Refusal, Step};
use super::message::{Fault, Flow, Method, Next, Reply, Request, Service, Source};
use super::response::{self, Shape};
use super::stages::{Stage, Stopwatch};
use super::worker::{Kit, Pending, Slot, Worker};
use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Where a connection is in time; each has its deadline, counted once from when it was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Body,
}

/// A reply that is being worked on, with what is needed to send it or to say that it failed.
struct Late {
    future: Pin<Box<dyn Future<Output = Reply>>>,
    method: Method,
    path: String,
    shape: Shape,
    long_poll: bool,
}

/// What came of a batch. The collected answers are to be written in every case.
enum Turn {
    /// Everything received was answered.
    Empty,
    /// A request has begun and is not complete.
    More,
    /// As much as one batch may hold; there is more in the buffer.
    Full,
    Late(Late),
    Stream(Box<dyn Source>, Shape),
    /// The last answer says so.
    Close,
    /// The last answer is a fault: unread bytes may follow.
    Fault,
}

/// How a late answer ended.
enum Outcome {
    Reply(Reply),
    TimeIsUp,
    Panic,
    Gone,
}

/// One served connection.
pub(super) struct Connection<S: Service> {
    worker: Rc<Worker<S>>,
    stream: TcpStream,
    slot: Rc<Slot>,
    peer: IpAddr,
    memo: S::Memo,
    phase: Phase,
    phase_deadline_ms: u64,
    /// The peer has closed its sending half.
    ended: bool,
    /// Requests answered since the worker was last given away.
    streak: usize,
}

impl<S: Service> Drop for Connection<S> {
    fn drop(&mut self) {
        self.worker.leave(&self.slot, self.peer);
    }
}

impl<S: Service> Connection<S> {
    pub(super) fn new(worker: Rc<Worker<S>>, stream: TcpStream, slot: Rc<Slot>, peer: IpAddr) -> Self {
        let phase_deadline_ms = worker.deadline(worker.limits.idle_ms_max);
        let memo = S::Memo::default();
        Self {
            worker,
            stream,
            slot,
            peer,
            memo,
            phase: Phase::Idle,
            phase_deadline_ms,
            ended: false,
            streak: 0,
        }
    }

    /// Serves until either side closes.
    pub(super) async fn serve(mut self) {
        while let Some(mut kit) = self.first_bytes().await {
            let open = self.converse(&mut kit).await;
            self.worker.give_back(kit);
            if !open {
                return;
            }
        }
    }

    /// Waits for the first bytes of a request; `None` when the connection is over.
    async fn first_bytes(&mut self) -> Option<Box<Kit>> {
        if self.ended {
            return None;
        }
        self.breathe().await;
        self.slot.arm(self.phase_deadline_ms);
        poll_fn(|context| {
            if self.stream.poll_read_ready(context).is_ready() {
                let mut kit = self.worker.take_kit();
                let read = self.poll_read(context, &mut kit);
                if matches!(read, Poll::Ready(Ok(1..))) {
                    return Poll::Ready(Some(kit));
                }
                self.worker.give_back(kit);
                if read.is_ready() {
                    return Poll::Ready(None);
                }
            }
            self.streak = 0;
            self.slot.register(context);
            if self.slot.expired() {
                self.worker.stats().idle_closed.add(1);
            }
            if self.slot.expired() || self.worker.draining.get() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Gives the worker away when this connection had its share.
    async fn breathe(&mut self) {
        if self.streak >= self.worker.limits.pipeline_max {
            self.streak = 0;
            tokio::task::yield_now().await;
        }
    }

    /// Answers until the buffer is empty; `false` when the connection is to be closed.
    async fn converse(&mut self, kit: &mut Kit) -> bool {
        loop {
            let turn = self.batch(kit);
            if matches!(turn, Turn::More) && kit.framer.take_continue(&kit.buffer) {
                kit.out.extend_from_slice(response::CONTINUE);
            }
            if !self.flush(kit).await {
                return false;
            }
            let open = match turn {
                Turn::Empty => return true,
                Turn::Full => true,
                Turn::More => self.read_more(kit).await,
                Turn::Late(late) => self.answer_late(kit, late).await,
                Turn::Stream(source, shape) => {
                    self.stream_out(kit, source, shape).await;
                    false
                }
                Turn::Close if kit.buffer.is_empty() => false,
                Turn::Close | Turn::Fault => {
                    self.linger(kit).await;
                    false
                }
            };
            if !open {
                return false;
            }
            self.breathe().await;
        }
    }

    // --- requests to replies, without waiting ---

    fn batch(&mut self, kit: &mut Kit) -> Turn {
        let limits = self.worker.limits;
        let mut count = 0;
        while count < limits.pipeline_max && kit.out.len() < limits.batch_bytes_max {
            let service = &self.worker.service;
            let mut watch = Stopwatch::start(service.stages());
            let step = catch_unwind(AssertUnwindSafe(|| {
                kit.framer.step(&mut kit.buffer, &limits, |method, path| service.body_bytes_max(method, path))
            }));
            match step {
                Ok(Step::Whole) => watch.lap(Stage::Frame),
                Ok(Step::More) if kit.buffer.is_empty() => return Turn::Empty,
                Ok(Step::More) => return Turn::More,
                Ok(Step::Refuse(refusal)) => return self.refuse(kit, refusal),
                Err(_) => {
                    self.note_panic();
                    return self.refuse(kit, Refusal::PANIC);
                }
            }
            match self.answer(kit) {
                Turn::Full => count += 1,
                turn => return turn,
            }
        }
        Turn::Full
    }

    /// Gives one whole request to the service; `Turn::Full` means that the batch may go on.
    fn answer(&mut self, kit: &mut Kit) -> Turn {
        let worker = &*self.worker;
        worker.stats().requests.add(1);
        self.streak += 1;
        let head = &kit.framer.head;
        let bytes = kit.buffer.filled();
        let request = Request {
            method: head.method,
            path: head.path(bytes),
            query: head.query(bytes),
            headers: head.headers(bytes),
            body: kit.framer.body(bytes),
            peer: self.peer,
            memo: &self.memo,
        };
        kit.reply.clear();
        let next = catch_unwind(AssertUnwindSafe(|| worker.service.call(&request, &mut kit.reply)));
        let shape = Shape {
            head_only: head.method == Method::Head,
            http_10: head.http_10,
            keep_alive: head.keep_alive,
        };
        let (method, path) = (request.method, request.path);
        let turn = match next {
            Err(_) => {
                self.note_panic();
                self.fail(kit, Refusal::PANIC);
                return Turn::Fault;
            }
            Ok(Next::Reply) => Turn::Full,
            Ok(Next::Stream(source)) => Turn::Stream(source, shape),
            Ok(Next::Later(future)) => {
                Turn::Late(Late { future, method, path: path.to_owned(), shape, long_poll: false })
            }
            Ok(Next::LongPoll(future)) => {
                Turn::Late(Late { future, method, path: path.to_owned(), shape, long_poll: true })
            }
        };
        kit.framer.finish(&mut kit.buffer);
        self.enter(Phase::Idle);
        match turn {
            Turn::Full if self.collect(kit, None, shape) => Turn::Full,
            Turn::Full => Turn::Close,
            turn => turn,
        }
    }

    /// Adds a reply (the kit's own, or `late`) to the batch; `false` when the connection closes after it.
    fn collect(&self, kit: &mut Kit, late: Option<&Reply>, mut shape: Shape) -> bool {
        let reply = late.unwrap_or(&kit.reply);
        let last_of_drain = self.worker.draining.get() && kit.buffer.is_empty();
        shape.keep_alive &= !reply.close && !last_of_drain;
        let from = kit.out.len();
        let headers = response::write_reply(&mut kit.out, reply, shape, &self.worker.date());
        if reply.wait > 0 {
            kit.wait = kit.wait.max(reply.wait);
            let (to, wait, tag) = (kit.out.len(), reply.wait, reply.tag);
            kit.pending.push(Pending { from, to, headers, wait, tag, shape });
        }
        shape.keep_alive
    }

    /// Refuses what is no request; the reply in hand is another request's.
    fn refuse(&self, kit: &mut Kit, refusal: Refusal) -> Turn {
        kit.reply.clear();
        self.fail(kit, refusal);
        Turn::Fault
    }

    /// Answers the request in hand with a fault; what its reply says of the caller stays.
    fn fail(&self, kit: &mut Kit, refusal: Refusal) {
        let head = &kit.framer.head;
        let path = head.located.then(|| head.path(kit.buffer.filled()).to_owned());
        let method = head.located.then_some(head.method);
        self.collect_fault(kit, refusal, method, path);
    }

    fn note_panic(&self) {
        self.worker.stats().panics.add(1);
        tracing::error!("a request handler panicked; its request was answered with 503");
    }

    fn collect_fault(&self, kit: &mut Kit, refusal: Refusal, method: Option<Method>, path: Option<String>) {
        self.worker.stats().fault(refusal.status);
        let fault = Fault {
            status: refusal.status,
            code: refusal.code,
            message: refusal.message,
            method,
            path: path.map(Cow::Owned),
        };
        kit.reply.begin_again();
        kit.reply.status = refusal.status;
        let filled = catch_unwind(AssertUnwindSafe(|| self.worker.service.fault(&fault, &mut kit.reply)));
        if filled.is_err() {
            self.note_panic();
            kit.reply.clear();
            kit.reply.status = refusal.status;
        }
        let head_only = method == Some(Method::Head);
        self.collect(kit, None, Shape { head_only, http_10: false, keep_alive: false });
    }

    // --- replies to bytes on the wire ---

    /// Waits for the journal, then writes the batch; `false` when the connection is broken or the peer too slow.
    async fn flush(&mut self, kit: &mut Kit) -> bool {
        if kit.out.is_empty() {
            return true;
        }
        let worker = Rc::clone(&self.worker);
        let mut watch = Stopwatch::start(worker.service.stages());
        if kit.wait > 0 {
            self.settle(kit).await;
            watch.lap(Stage::JournalWait);
        }
        let written = self.write(&kit.out).await;
        watch.lap(Stage::Write);
        kit.out.clear();
        written
    }

    /// Waits once for the highest LSN of the batch, or replaces the answers that cannot become durable.
    async fn settle(&mut self, kit: &mut Kit) {
        let gate = &self.worker.gate;
        let mut state = gate.state(kit.wait);
        if state == Durability::NotYet {
            self.slot.arm(self.worker.deadline(self.worker.limits.durable_ms_max));
            let mut enlisted = false;
            state = poll_fn(|context| {
                self.slot.register(context);
                if !std::mem::replace(&mut enlisted, true) {
                    gate.enlist(kit.wait, &self.slot);
                }
                match gate.state(kit.wait) {
                    Durability::NotYet if !self.slot.expired() => Poll::Pending,
                    state => Poll::Ready(state),
                }
            })
            .await;
        }
        if state != Durability::Durable {
            if state == Durability::NotYet {
                self.worker.stats().durable_late.add(1);
                gate.delist(&self.slot);
            }
            self.replace_undurable(kit);
        }
        kit.pending.clear();
        kit.wait = 0;
    }

    fn replace_undurable(&self, kit: &mut Kit) {
        let durable_lsn = self.worker.gate.durable_lsn();
        let mut out = Vec::with_capacity(kit.out.len());
        let mut copied = 0;
        for pending in kit.pending.iter().filter(|pending| pending.wait > durable_lsn) {
            out.extend_from_slice(&kit.out[copied..pending.from]);
            copied = pending.to;
            let mut reply = Reply { wait: pending.wait, tag: pending.tag, ..Reply::new() };
            reply.headers.extend_from_slice(&kit.out[pending.headers.clone()]);
            let answer = catch_unwind(AssertUnwindSafe(|| self.worker.service.undurable(&mut reply)));
            if answer.is_err() {
                self.note_panic();
                reply.clear();
                reply.status = Refusal::PANIC.status;
            }
            response::write_reply(&mut out, &reply, pending.shape, &self.worker.date());
            self.worker.stats().undurable.add(1);
        }
        out.extend_from_slice(&kit.out[copied..]);
        kit.out = out;
    }

    async fn write(&mut self, bytes: &[u8]) -> bool {
        let mut written = 0;
        let mut armed = false;
        let sent = poll_fn(|context| {
            while written < bytes.len() {
                match Pin::new(&mut self.stream).poll_write(context, &bytes[written..]) {
                    Poll::Ready(Ok(len)) if len > 0 => written += len,
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending => {
                        self.slot.register(context);
                        if !std::mem::replace(&mut armed, true) {
                            self.slot.arm(self.worker.deadline(self.worker.limits.write_ms_max));
                        } else if self.slot.expired() {
                            self.worker.stats().slow_readers.add(1);
                            return Poll::Ready(false);
                        }
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(true)
        })
        .await;
        self.worker.stats().bytes_out.add(written as u64);
        sent
    }

    // --- bytes from the wire ---

    fn enter(&mut self, phase: Phase) {
        let limits = &self.worker.limits;
        let after_ms = match phase {
            Phase::Idle => limits.idle_ms_max,
            Phase::Head => limits.head_ms_max,
            Phase::Body => limits.body_ms_max,
        };
        self.phase = phase;
        self.phase_deadline_ms = self.worker.deadline(after_ms);
    }

    fn poll_read(&mut self, context: &mut Context<'_>, kit: &mut Kit) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(kit.buffer.spare());
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut room))?;
        let len = room.filled().len();
        kit.buffer.fill(len);
        self.worker.stats().bytes_in.add(len as u64);
        Poll::Ready(Ok(len))
    }

    /// Reads more of a request that has begun; if it does not come, answers that. `false`: close.
    async fn read_more(&mut self, kit: &mut Kit) -> bool {
        let phase = if kit.framer.in_body() { Phase::Body } else { Phase::Head };
        if self.phase != phase {
            self.enter(phase);
        }
        let refusal = if self.ended {
            Refusal::CUT_SHORT
        } else if !self.worker.make_room(&mut kit.buffer) {
            Refusal::BUSY
        } else {
            self.slot.arm(self.phase_deadline_ms);
            let read = poll_fn(|context| match self.poll_read(context, kit) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => {
                    self.slot.register(context);
                    if self.slot.expired() { Poll::Ready(None) } else { Poll::Pending }
                }
            });
            match read.await {
                Some(Ok(1..)) => return true,
                Some(Ok(0)) => Refusal::CUT_SHORT,
                Some(Err(_)) => return false,
                None => self.note_slow(phase),
            }
        };
        self.refuse(kit, refusal);
        if self.flush(kit).await {
            self.linger(kit).await;
        }
        false
    }

    fn note_slow(&self, phase: Phase) -> Refusal {
        match phase {
            Phase::Body => self.worker.stats().slow_bodies.add(1),
            Phase::Head | Phase::Idle => self.worker.stats().slow_heads.add(1),
        }
        Refusal::SLOW
    }

    /// Reads ahead into what room there is, to learn of a hang-up; `true` when the connection is broken.
    fn poll_watch(&mut self, context: &mut Context<'_>, kit: &mut Kit) -> bool {
        while !self.ended && !kit.buffer.spare().is_empty() {
            match self.poll_read(context, kit) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return true,
                Poll::Pending => break,
            }
        }
        false
    }

    // --- late answers, streams, the end ---

    async fn answer_late(&mut self, kit: &mut Kit, mut late: Late) -> bool {
        self.slot.arm(self.worker.deadline(self.worker.limits.later_ms_max));
        let outcome = poll_fn(|context| {
            self.slot.register(context);
            match catch_unwind(AssertUnwindSafe(|| late.future.as_mut().poll(context))) {
                Ok(Poll::Ready(reply)) => return Poll::Ready(Outcome::Reply(reply)),
                Err(_) => return Poll::Ready(Outcome::Panic),
                Ok(Poll::Pending) => {}
            }
            let broken = self.poll_watch(context, kit);
            if broken || (late.long_poll && self.ended) {
                return Poll::Ready(Outcome::Gone);
            }
            if self.slot.expired() || (late.long_poll && self.worker.draining.get()) {
                return Poll::Ready(Outcome::TimeIsUp);
            }
            Poll::Pending
        })
        .await;
        let refusal = match outcome {
            Outcome::Gone => return false,
            Outcome::Reply(reply) => {
                return self.collect(kit, Some(&reply), late.shape) || self.last(kit).await;
            }
            Outcome::TimeIsUp if late.long_poll => {
                return self.collect(kit, None, late.shape) || self.last(kit).await;
            }
            Outcome::TimeIsUp => {
                self.worker.stats().late_answers.add(1);
                Refusal::LATE
            }
            Outcome::Panic => {
                self.note_panic();
                Refusal::PANIC
            }
        };
        self.collect_fault(kit, refusal, Some(late.method), Some(late.path));
        self.last(kit).await
    }

    /// Writes the last answer of a connection. Always `false`.
    async fn last(&mut self, kit: &mut Kit) -> bool {
        if self.flush(kit).await && !kit.buffer.is_empty() {
            self.linger(kit).await;
        }
        false
    }

    async fn stream_out(&mut self, kit: &mut Kit, mut source: Box<dyn Source>, shape: Shape) {
        self.worker.stats().streams_opened.add(1);
        let from = kit.out.len();
        let headers = response::write_stream_head(&mut kit.out, &kit.reply, shape, &self.worker.date());
        if kit.reply.wait > 0 {
            let (wait, tag) = (kit.reply.wait, kit.reply.tag);
            kit.wait = wait;
            let shape = Shape { keep_alive: false, ..shape };
            kit.pending.push(Pending { from, to: kit.out.len(), headers, wait, tag, shape });
        }
        let wait = kit.wait;
        let mut flow = if shape.head_only { Flow::End } else { Flow::More };
        while self.flush(kit).await && flow == Flow::More {
            // An answer that took the place of the head has no stream behind it.
            if self.worker.gate.state(wait) != Durability::Durable {
                break;
            }
            self.slot.disarm();
            self.streak += 1;
            self.breathe().await;
            flow = poll_fn(|context| self.poll_source(context, kit, source.as_mut(), !shape.http_10)).await;
        }
        self.worker.stats().streams_closed.add(1);
    }

    /// Takes the next piece of a stream into the batch.
    fn poll_source(
        &mut self,
        context: &mut Context<'_>,
        kit: &mut Kit,
        source: &mut dyn Source,
        chunked: bool,
    ) -> Poll<Flow> {
        self.slot.register(context);
        let from = kit.out.len();
        let piece_from = if chunked { from + response::CHUNK_HEAD_LEN } else { from };
        kit.out.resize(piece_from, 0);
        let asked = catch_unwind(AssertUnwindSafe(|| source.poll_next(context, &mut kit.out)));
        let flow = match asked {
            Ok(Poll::Ready(flow)) => flow,
            Ok(Poll::Pending) => {
                kit.out.truncate(from);
                if self.watch_stream(context, kit) {
                    return Poll::Ready(Flow::End);
                }
                if !self.worker.draining.get() {
                    return Poll::Pending;
                }
                kit.out.resize(piece_from, 0);
                Flow::End
            }
            Err(_) => {
                // Without a last chunk the peer knows that the stream was cut.
                kit.out.truncate(from);
                self.note_panic();
                return Poll::Ready(Flow::End);
            }
        };
        let flow = if self.worker.draining.get() { Flow::End } else { flow };
        if chunked {
            response::close_chunk(&mut kit.out, from);
            if flow == Flow::End {
                kit.out.extend_from_slice(response::LAST_CHUNK);
            }
        }
        Poll::Ready(flow)
    }

    /// What a peer says during a stream is thrown away; `true` when it is gone.
    fn watch_stream(&mut self, context: &mut Context<'_>, kit: &mut Kit) -> bool {
        let said = kit.buffer.filled().len();
        kit.buffer.consume(said);
        self.poll_watch(context, kit) || self.ended
    }

    /// Closes the sending half and throws away what still comes for a while: closing with unread bytes would reset
    /// the connection and take the answer away from the peer.
    async fn linger(&mut self, kit: &mut Kit) {
        let limits = self.worker.limits;
        self.slot.arm(self.worker.deadline(limits.linger_ms_max));
        let mut left = limits.linger_bytes_max;
        poll_fn(|context| {
            self.slot.register(context);
            let shut = Pin::new(&mut self.stream).poll_shutdown(context);
            if matches!(shut, Poll::Ready(Err(_))) || self.ended {
                return Poll::Ready(());
            }
            while left > 0 && !self.slot.expired() {
                let thrown = kit.buffer.filled().len();
                kit.buffer.consume(thrown);
                match self.poll_read(context, kit) {
                    Poll::Ready(Ok(len)) if len > 0 => left = left.saturating_sub(len),
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}
