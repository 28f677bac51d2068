//! The event loop of a scenario: one thread sends everything by its schedule, retries as readers do, and judges every
//! answer. Knows readers, timers and their order; leaves truth to `truth`, counting to `stats`.
//!
//! Open loop: what is due is due, whatever the answers do. A reader asks one thing at a time, as a reader does; guests
//! queue before it, and each one's latency counts from the moment it came.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::file::Keeping;
use super::live::Live;
use super::plan::{Arrival, Plan, Wish};
use super::reader::{Asking, Question, Reader, Visit};
use super::slow::SlowCrowd;
use super::stats::StreamStats;
use super::truth::{Claim, Truth};
use super::upload::Uploads;
use crate::codes::{Answered, WrongAnswer};
use crate::connection::{Connection, Received, Sent};
use crate::limits;
use crate::poller::{Interest, Poller, Ticker};
use crate::reply::ReplyParser;

/// Everything the loop needs from before it starts.
#[derive(Debug)]
pub struct Start<'run> {
    /// What is presented.
    pub plan: &'run Plan,
    /// Events of the venue.
    pub events: usize,
    /// Whom to ask.
    pub addr: SocketAddr,
    /// What goes into the `Host` header.
    pub host: String,
    /// Counts, one for each stream.
    pub streams: Vec<StreamStats>,
    /// Uploads and their counts.
    pub uploads: Uploads,
    /// Clients that send a byte now and then.
    pub slow: SlowCrowd,
    /// When every connection is cut.
    pub cuts: Vec<Duration>,
    /// The line that tells how it goes.
    pub live: Live,
    /// The schedule's beginning.
    pub begin: Instant,
}

/// What the loop found.
#[derive(Debug)]
pub struct Ran {
    /// By stream.
    pub streams: Vec<StreamStats>,
    /// Uploads with their answers.
    pub uploads: Uploads,
    /// Slow clients.
    pub slow: SlowCrowd,
    /// By cut: from it to the last reader's next answer; `None`: somebody was never answered again.
    pub reconnected: Vec<Option<Duration>>,
    /// Bytes that answer nothing, and heartbeats that were not answered with 200.
    pub strays: u64,
    /// CPU of this thread.
    pub cpu: Duration,
}

struct Generator<'run> {
    start: Start<'run>,
    truth: Truth,
    readers: Vec<Reader>,
    poller: Poller,
    alarm: Ticker,
    parser: ReplyParser,
    arrival_next: usize,
    /// Guests on their way to their next gate, by the time they get there.
    walking: BinaryHeap<Reverse<Walk>>,
    timers: BinaryHeap<Reverse<Timer>>,
    cut_next: usize,
    cut_at: Option<Instant>,
    cut_off_count: usize,
    reconnected: Vec<Option<Duration>>,
    strays: u64,
    /// Visits and uploads that are due and not ended.
    open_count: usize,
}

/// A guest on the way. Ordered by time first; what follows only keeps equals in order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Walk {
    at: Instant,
    ticket: u32,
    reader: usize,
    stream: usize,
    step: usize,
}

/// The end of a reader's wait.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    at: Instant,
    reader: usize,
    turn: u32,
}

/// The alarm's token; readers have their places, slow clients come after them.
const ALARM: u64 = u64::MAX;

/// Runs the whole schedule and waits for what is missing at its end.
pub fn run(start: Start<'_>) -> Result<Ran> {
    let cpu_before = crate::procfs::own_thread_cpu_ns();
    let mut generator = Generator::new(start)?;
    generator.run()?;
    generator.give_up();
    let cpu = Duration::from_nanos(crate::procfs::own_thread_cpu_ns() - cpu_before);
    let Generator { mut start, mut reconnected, cut_at, strays, .. } = generator;
    reconnected.extend(cut_at.map(|_| None));
    // A server that is stopped would wait for them.
    start.slow.leave();
    Ok(Ran { streams: start.streams, uploads: start.uploads, slow: start.slow, reconnected, strays, cpu })
}

// === impl Generator ===

impl<'run> Generator<'run> {
    fn new(start: Start<'run>) -> Result<Generator<'run>> {
        let readers = start.plan.readers.iter().enumerate();
        let readers: Vec<Reader> =
            readers.map(|(place, plan)| Reader::new(place, plan, &start.host)).collect();
        let poller = Poller::new(readers.len() + start.slow.len() + 1).context("open epoll")?;
        let alarm = Ticker::unset().context("make a timer")?;
        poller.add(&alarm, ALARM, Interest::Read).context("watch the timer")?;
        Ok(Generator {
            truth: Truth::new(start.plan, start.events),
            readers,
            poller,
            alarm,
            parser: ReplyParser::up_to(limits::RECEIVE_BYTES_MAX),
            arrival_next: 0,
            walking: BinaryHeap::new(),
            timers: BinaryHeap::new(),
            cut_next: 0,
            cut_at: None,
            cut_off_count: 0,
            reconnected: Vec::new(),
            strays: 0,
            open_count: 0,
            start,
        })
    }

    fn run(&mut self) -> Result<()> {
        let end = self.start.begin + self.start.plan.length;
        loop {
            let now = Instant::now();
            self.do_due(now)?;
            let is_drained = self.open_count == 0 && self.walking.is_empty() && self.cut_off_count == 0;
            if now >= end && is_drained || now >= end + limits::SCENARIO_DRAIN_WAIT {
                return Ok(());
            }
            let next = self.next_due(now).max(Instant::now());
            self.alarm.once(next - Instant::now().min(next)).context("set the timer")?;
            let ready_count = self.poller.wait(Some(limits::TURN_WAIT)).context("wait for answers")?;
            for index in 0..ready_count {
                let ready = self.poller.ready(index);
                let place = ready.token as usize;
                match ready.token {
                    ALARM => self.alarm.clear().context("read the timer")?,
                    _ if place < self.readers.len() => self.serve(place, ready.writable)?,
                    _ => self.start.slow.serve(place - self.readers.len()),
                }
            }
        }
    }

    /// Everything whose time has come.
    fn do_due(&mut self, now: Instant) -> Result<()> {
        while let Some(arrival) = self.start.plan.arrivals.get(self.arrival_next).copied() {
            let intended = self.start.begin + arrival.at;
            if intended > now {
                break;
            }
            self.arrival_next += 1;
            let Arrival { stream, reader, wish, .. } = arrival;
            self.come(reader, Visit { stream, step: 0, wish, intended })?;
        }
        while self.walking.peek().is_some_and(|Reverse(walk)| walk.at <= now) {
            let Some(Reverse(walk)) = self.walking.pop() else { break };
            let Walk { at: intended, ticket, reader, stream, step } = walk;
            self.come(reader, Visit { stream, step, wish: Wish::Fresh(ticket), intended })?;
        }
        for (upload, reader) in self.start.uploads.due(now, self.start.begin) {
            let intended = self.start.begin + self.start.plan.uploads[upload].at;
            let request = self.start.uploads.request(reader);
            self.open_count += 1;
            let stats = &mut self.start.uploads.stats[upload];
            stats.came_due(intended - self.start.begin);
            stats.sent(Instant::now().saturating_duration_since(intended));
            self.ask(reader, Question::Upload { upload, intended }, request)?;
        }
        // Looked at anew: what was just sent took its time, and a cut that is due is to find it in flight.
        self.cut_due(Instant::now())?;
        while self.timers.peek().is_some_and(|Reverse(timer)| timer.at <= now) {
            let Some(Reverse(timer)) = self.timers.pop() else { break };
            if self.readers[timer.reader].turn == timer.turn {
                self.ask_again(timer.reader)?;
            }
        }
        let first_token = self.readers.len();
        self.start.slow.step(now, self.start.begin, self.start.addr, &self.poller, first_token)?;
        self.start.live.step(now, self.start.begin, &self.start.streams);
        Ok(())
    }

    fn next_due(&self, now: Instant) -> Instant {
        let begin = self.start.begin;
        let arrival = self.start.plan.arrivals.get(self.arrival_next).map(|arrival| begin + arrival.at);
        let walk = self.walking.peek().map(|Reverse(walk)| walk.at);
        let timer = self.timers.peek().map(|Reverse(timer)| timer.at);
        let upload = self.start.uploads.next_due(begin);
        let cut = self.start.cuts.get(self.cut_next).map(|cut| begin + *cut);
        let slow = self.start.slow.next_due();
        let all = [arrival, walk, timer, upload, cut, slow];
        all.into_iter().flatten().min().unwrap_or(now + limits::TURN_WAIT)
    }

    /// A guest comes to a reader.
    fn come(&mut self, place: usize, visit: Visit) -> Result<()> {
        self.open_count += 1;
        self.start.streams[visit.stream].came_due(visit.intended - self.start.begin);
        self.readers[place].queue.push_back(visit);
        self.ask_next(place)
    }

    /// Takes the next guest, if the reader is free and one waits.
    fn ask_next(&mut self, place: usize) -> Result<()> {
        let reader = &mut self.readers[place];
        if reader.asking.is_some() {
            return Ok(());
        }
        let Some(visit) = reader.queue.pop_front() else { return Ok(()) };
        let claim = self.truth.claim(self.start.plan, visit.stream, place, visit.wish);
        let code = code_of(self.start.plan, &visit, claim.ticket);
        let now = Instant::now();
        let request = reader.scan_request(&code, now);
        self.start.streams[visit.stream].sent(now - visit.intended.max(reader.free_since).min(now));
        self.ask(place, Question::Scan(visit, claim), request)
    }

    fn ask(&mut self, place: usize, what: Question, request: Vec<u8>) -> Result<()> {
        let reader = &mut self.readers[place];
        reader.asking = Some(Asking { what, request, tries: 0 });
        self.transmit(place)
    }

    /// Sends what the reader asks, over its connection or a new one.
    fn transmit(&mut self, place: usize) -> Result<()> {
        let reader = &mut self.readers[place];
        let Some(asking) = &mut reader.asking else { return Ok(()) };
        asking.tries = asking.tries.saturating_add(1);
        reader.turn = reader.turn.wrapping_add(1);
        let wait = asking.what.wait();
        if reader.connection.is_none() {
            match Connection::begin(self.start.addr) {
                Ok(connection) => {
                    self.poller.add(&connection, place as u64, Interest::Read).context("watch a reader")?;
                    reader.connection = Some(connection);
                }
                Err(_) => return self.pause(place),
            }
        }
        let connection = reader.connection.as_mut().context("it was just opened")?;
        connection.request.clear();
        connection.request.extend_from_slice(&asking.request);
        match connection.send() {
            Ok(Sent::Whole) => {}
            Ok(Sent::Partly) => {
                let interest = Interest::ReadWrite;
                self.poller.modify(&*connection, place as u64, interest).context("watch for room")?;
            }
            Err(_) => return self.pause(place),
        }
        self.timers.push(Reverse(Timer { at: Instant::now() + wait, reader: place, turn: reader.turn }));
        Ok(())
    }

    /// The connection has failed. The first time a new one follows after a moment: one that was kept may have been closed for
    /// its idleness. Then as readers do, after the time in which an answer should have come.
    fn pause(&mut self, place: usize) -> Result<()> {
        let reader = &mut self.readers[place];
        reader.connection = None;
        reader.turn = reader.turn.wrapping_add(1);
        let is_first = reader.asking.as_ref().is_none_or(|asking| asking.tries <= 1);
        let at = Instant::now() + if is_first { limits::RETRY_PAUSE } else { limits::ANSWER_WAIT };
        self.timers.push(Reverse(Timer { at, reader: place, turn: reader.turn }));
        Ok(())
    }

    /// No answer: the same once more on a new connection, or never again.
    fn ask_again(&mut self, place: usize) -> Result<()> {
        let reader = &mut self.readers[place];
        reader.connection = None;
        let Some(asking) = &reader.asking else { return Ok(()) };
        let (retries, stats) = match asking.what {
            Question::Scan(visit, _) => {
                (self.start.plan.streams[visit.stream].retries, &mut self.start.streams[visit.stream])
            }
            // A reader says hello until somebody answers.
            Question::Hello => return self.transmit(place),
            Question::Upload { upload, .. } => {
                (limits::UPLOAD_RETRIES, &mut self.start.uploads.stats[upload])
            }
        };
        if asking.tries > retries {
            self.lose(place, "no answer to any of its tries");
            return self.ask_next(place);
        }
        stats.retries += 1;
        self.transmit(place)
    }

    fn serve(&mut self, place: usize, writable: bool) -> Result<()> {
        let reader = &mut self.readers[place];
        let Some(connection) = &mut reader.connection else { return Ok(()) };
        if writable {
            match connection.send_rest() {
                Ok(Sent::Partly) => {}
                Ok(Sent::Whole) => {
                    self.poller
                        .modify(&*connection, place as u64, Interest::Read)
                        .context("watch a reader")?;
                }
                Err(_) => return self.end_of(place),
            }
        }
        match connection.receive() {
            Received::Nothing => Ok(()),
            Received::Bytes => self.take_reply(place),
            Received::End => self.end_of(place),
        }
    }

    /// The other side has closed. A reader that waits for an answer asks again; one that is idle connects when it has to.
    fn end_of(&mut self, place: usize) -> Result<()> {
        let reader = &mut self.readers[place];
        reader.connection = None;
        let Some(asking) = &reader.asking else { return Ok(()) };
        if let Question::Scan(visit, _) = asking.what {
            self.start.streams[visit.stream].tally.reconnects += 1;
        }
        self.pause(place)
    }

    fn take_reply(&mut self, place: usize) -> Result<()> {
        let now = Instant::now();
        let Some(mut connection) = self.readers[place].connection.take() else { return Ok(()) };
        let reply = match self.parser.parse(connection.received()) {
            Ok(None) => {
                self.readers[place].connection = Some(connection);
                return Ok(());
            }
            Ok(Some(reply)) => Some(reply),
            Err(_) => None,
        };
        let (status, body, bytes_len) =
            reply.map_or((0, &[][..], 0), |reply| (reply.status, reply.body, reply.bytes_len));
        let Some(asking) = self.readers[place].asking.take() else {
            self.strays += 1;
            return Ok(());
        };
        let mut walks_on = None;
        match asking.what {
            Question::Scan(visit, claim) => {
                walks_on = self.settle_scan(place, visit, claim, (status, body), now);
            }
            Question::Hello => self.strays += u64::from(status != 200),
            Question::Upload { upload, intended } => {
                let was_retried = asking.tries > 1;
                if status == 200 {
                    let planned = &self.start.plan.uploads[upload];
                    let rows = &planned.rows[place - planned.readers.start];
                    self.truth.uploaded(self.start.plan, place, rows);
                }
                self.start.uploads.answered(upload, place, status, body.to_vec(), was_retried);
                let begin = self.start.begin;
                self.start.uploads.stats[upload].ended(intended - begin, now - begin);
                self.open_count -= 1;
            }
        }
        connection.consume(bytes_len);
        let has_more = status != 0 && !connection.received().is_empty();
        self.strays += u64::from(has_more);
        let keeps = self.readers[place].keeping == Keeping::KeepAlive && status != 0 && !has_more;
        self.readers[place].connection = Some(connection).filter(|_| keeps);
        self.freed(place, now);
        if let Some((visit, ticket)) = walks_on {
            self.walk_on(place, &visit, ticket, now);
        }
        self.ask_next(place)
    }

    /// Judges the answer to a scan and counts it; gives a guest who may go on.
    fn settle_scan(
        &mut self,
        place: usize,
        visit: Visit,
        claim: Claim,
        (status, body): (u16, &[u8]),
        now: Instant,
    ) -> Option<(Visit, u32)> {
        let verdict = if self.readers[place].speaks_own() {
            self.parser.reader_verdict(body)
        } else {
            self.parser.verdict(body)
        };
        let judged = self.truth.settle(self.start.plan, (visit.stream, place), claim, (status, verdict));
        let walks_on =
            claim.ticket.filter(|_| judged == Ok(Answered::Admitted)).map(|ticket| (visit, ticket));
        let stats = &mut self.start.streams[visit.stream];
        let code = || code_of(self.start.plan, &visit, claim.ticket);
        stats.tally.count(judged.map_err(|fault| WrongAnswer { code: code(), fault }));
        stats.ended(visit.intended - self.start.begin, now - self.start.begin);
        self.start.live.answered(now - visit.intended);
        self.open_count -= 1;
        walks_on
    }

    /// The reader has nothing to ask any more.
    fn freed(&mut self, place: usize, now: Instant) {
        let reader = &mut self.readers[place];
        reader.free_since = now;
        reader.turn = reader.turn.wrapping_add(1);
        if std::mem::take(&mut reader.is_cut_off) {
            self.cut_off_count -= 1;
            if self.cut_off_count == 0 {
                self.reconnected.extend(self.cut_at.take().map(|cut_at| Some(now - cut_at)));
            }
        }
    }

    /// An admitted guest goes to the next gate on the way, not before the answer.
    fn walk_on(&mut self, place: usize, visit: &Visit, ticket: u32, now: Instant) {
        let plan = self.start.plan;
        let step = visit.step + 1;
        let Some(next) = plan.streams[visit.stream].steps.get(step) else { return };
        let events = self.start.events;
        let event = plan.readers[place].event;
        let of_event = (next.readers.len() - event).div_ceil(events);
        // Spread by the ticket: guests mix between two gates.
        let reader = next.readers.start + event + events * (ticket as usize % of_event);
        self.walking.push(Reverse(Walk {
            at: (visit.intended + next.after).max(now),
            ticket,
            reader,
            stream: visit.stream,
            step,
        }));
    }

    /// Cuts every connection, from the readers' side. Whoever asks, asks again at once; whoever kept an idle connection
    /// opens a new one and says hello.
    fn cut_due(&mut self, now: Instant) -> Result<()> {
        let Some(cut) = self.start.cuts.get(self.cut_next).copied() else { return Ok(()) };
        if self.start.begin + cut > now {
            return Ok(());
        }
        self.cut_next += 1;
        // A cut before the one before has ended: that one never did.
        self.reconnected.extend(self.cut_at.replace(now).map(|_| None));
        let mut cut_off = Vec::new();
        for (place, reader) in self.readers.iter_mut().enumerate() {
            if reader.connection.take().is_some() {
                reader.is_cut_off = true;
                cut_off.push(place);
            }
        }
        self.cut_off_count = self.readers.iter().filter(|reader| reader.is_cut_off).count();
        for place in cut_off {
            if self.readers[place].asking.is_some() {
                self.ask_again(place)?;
            } else {
                let request = self.readers[place].hello_request();
                self.ask(place, Question::Hello, request)?;
            }
        }
        Ok(())
    }

    /// A scan without an answer: its guest stands before a closed gate.
    fn lose(&mut self, place: usize, cause: &str) {
        let now = Instant::now();
        let Some(asking) = self.readers[place].asking.take() else { return };
        let since_begin = now.saturating_duration_since(self.start.begin);
        match asking.what {
            Question::Scan(visit, claim) => {
                let code = code_of(self.start.plan, &visit, claim.ticket);
                let stats = &mut self.start.streams[visit.stream];
                stats.tally.count_lost(&code, cause);
                stats.lost(visit.intended - self.start.begin, since_begin);
                self.open_count -= 1;
            }
            Question::Hello => {}
            Question::Upload { upload, intended } => {
                let stats = &mut self.start.uploads.stats[upload];
                stats.tally.count_lost("an upload", cause);
                stats.lost(intended - self.start.begin, since_begin);
                self.open_count -= 1;
            }
        }
        self.freed(place, now);
    }

    /// What is missing at the end is lost, with the latency it has by now.
    fn give_up(&mut self) {
        for place in 0..self.readers.len() {
            self.lose(place, "no answer until the end of the run");
            for visit in std::mem::take(&mut self.readers[place].queue) {
                let claim = self.truth.claim(self.start.plan, visit.stream, place, visit.wish);
                let code = code_of(self.start.plan, &visit, claim.ticket);
                let stats = &mut self.start.streams[visit.stream];
                stats.tally.count_lost(&code, "it still waited before its reader at the end of the run");
                stats.lost(visit.intended - self.start.begin, self.start.begin.elapsed());
            }
        }
    }
}

fn code_of(plan: &Plan, visit: &Visit, ticket: Option<u32>) -> String {
    match (ticket, visit.wish) {
        (Some(ticket), _) => plan.code(ticket),
        (None, Wish::Unknown(number)) => plan.unknown_code(number),
        (None, _) => String::new(),
    }
}
