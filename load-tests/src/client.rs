//! The event loop that sends scans over keep-alive connections and judges every answer: one thread, closed or open
//! loop. Knows connections and their order; leaves bytes to `speech`, truth to `codes`, time to `pace`.
//!
//! Invariant: a connection is in `idle` exactly when it has no scan in flight.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::codes::{CodePool, Scan};
use crate::connection::{Connection, Received, Sent};
use crate::latency::LatencyRecorder;
use crate::limits;
use crate::pace::{ClosedLoop, OpenLoop, Pace};
use crate::poller::{Interest, Poller, Ticker};
use crate::report::RunResult;
use crate::request::{Device, RequestWriter};
use crate::speech::{Http, Speech};
use crate::tally::Tally;
use crate::target::Target;
use crate::window::Window;

/// What a run needs besides its codes and its pace.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Whom to ask.
    pub target: Target,
    /// As which device.
    pub device: Device,
    /// Over how many connections at once.
    pub connection_count: usize,
    /// A connection is closed after its scan and opened anew for the next, as many readers do.
    pub per_scan: bool,
    /// Sent and judged, not measured.
    pub warmup: Duration,
    /// Measured.
    pub length: Duration,
    /// The server's process, when its CPU is to be measured.
    pub server_pid: Option<u32>,
    /// What is done with an answer.
    pub judging: Judging,
    /// What an open loop does while nothing is due; a closed loop always sleeps.
    pub waiting: Waiting,
    /// A line per second on stderr starts with this; `None` is quiet.
    pub progress: Option<&'static str>,
}

/// What the loop does between a scan and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It sleeps until an answer or the timer wakes it. On a virtual machine waking an idle core can take 100 µs, and
    /// an open loop counts them as latency.
    Sleep,
    /// An open loop looks again at once and so is never late. Only for a core that nobody else needs.
    Spin,
}

/// What is done with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judging {
    /// It must be the right one.
    Strict,
    /// It is read like any other and counted as right: the echo baseline knows no codes.
    CountOnly,
}

// === impl RunSettings ===

impl RunSettings {
    /// A run by the bench device that judges every answer, sleeps while it waits, and tells nothing meanwhile.
    pub fn at(target: Target, connection_count: usize, warmup: Duration, length: Duration) -> RunSettings {
        RunSettings {
            target,
            device: Device::default(),
            connection_count,
            per_scan: false,
            warmup,
            length,
            server_pid: None,
            judging: Judging::Strict,
            waiting: Waiting::Sleep,
            progress: None,
        }
    }
}

/// Sends as fast as answers come.
pub fn run_closed(settings: &RunSettings, pool: &mut CodePool) -> Result<RunResult> {
    run_closed_in(http(settings), settings, pool)
}

/// The same to a system that speaks otherwise; what it is told of the device is the speech's business.
pub fn run_closed_in(speech: impl Speech, settings: &RunSettings, pool: &mut CodePool) -> Result<RunResult> {
    let start = Instant::now();
    let pace = ClosedLoop::until(start + settings.warmup + settings.length);
    let mut result = Client::connect(speech, settings, pool, pace, start)?.run()?;
    result.pace = "closed";
    Ok(result)
}

/// Sends `rate` scans per second, whatever the answers do.
pub fn run_open(settings: &RunSettings, pool: &mut CodePool, rate: u32) -> Result<RunResult> {
    // Connecting takes a moment, and a schedule that starts before it would begin late.
    let start = Instant::now() + Duration::from_millis(20);
    let pace = OpenLoop::new(start, rate, settings.warmup + settings.length);
    let mut result = Client::connect(http(settings), settings, pool, pace, start)?.run()?;
    result.pace = "open";
    result.rate = Some(rate);
    Ok(result)
}

fn http(settings: &RunSettings) -> Http {
    let writer = RequestWriter::new(&settings.target.host, &settings.device);
    Http::new(if settings.per_scan { writer.closing() } else { writer })
}

struct Client<'run, S, P> {
    speech: S,
    settings: &'run RunSettings,
    pool: &'run mut CodePool,
    pace: P,
    poller: Poller,
    ticker: Option<Ticker>,
    /// Zero when spinning.
    turn_wait: Duration,
    connections: Vec<Connection>,
    /// By connection: the scan that waits for its answer.
    in_flight: Vec<Option<InFlight>>,
    /// First in, first out: an open loop with few scans in flight still uses every connection.
    idle: VecDeque<usize>,
    window: Window,
    latency: LatencyRecorder,
    send_delay: LatencyRecorder,
    tally: Tally,
    unsent: u64,
    pool_is_empty: bool,
    ended_early: Option<String>,
    give_up_at: Instant,
    progress_at: Instant,
    progress_answers: u64,
}

/// A scan on its way.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    scan: Scan,
    /// When it was due: the moment its latency counts from.
    intended: Instant,
}

/// The ticker's token: no connection has it.
const TICK: u64 = u64::MAX;

// === impl Client ===

impl<'run, S: Speech, P: Pace> Client<'run, S, P> {
    fn connect(
        speech: S,
        settings: &'run RunSettings,
        pool: &'run mut CodePool,
        pace: P,
        start: Instant,
    ) -> Result<Client<'run, S, P>> {
        let poller = Poller::new(settings.connection_count + 1).context("open epoll")?;
        let mut connections = Vec::with_capacity(settings.connection_count);
        for token in 0..settings.connection_count {
            let addr = settings.target.addr;
            let connection = speech.connect(addr).with_context(|| format!("connect to {addr}"))?;
            poller.add(&connection, token as u64, Interest::Read).context("watch a connection")?;
            connections.push(connection);
        }
        let spins = pace.is_open() && settings.waiting == Waiting::Spin;
        let tick = if spins { None } else { pace.tick() };
        let ticker = tick.map(Ticker::every).transpose().context("start the tick timer")?;
        if let Some(ticker) = &ticker {
            poller.add(ticker, TICK, Interest::Read).context("watch the tick timer")?;
        }
        Ok(Client {
            window: Window::new(start, settings.warmup, settings.length, settings.server_pid),
            idle: (0..settings.connection_count).collect(),
            in_flight: vec![None; settings.connection_count],
            latency: LatencyRecorder::new(),
            send_delay: LatencyRecorder::new(),
            tally: Tally::default(),
            unsent: 0,
            pool_is_empty: false,
            ended_early: None,
            give_up_at: start + settings.warmup + settings.length + limits::DRAIN_WAIT,
            progress_at: start + Duration::from_secs(1),
            progress_answers: 0,
            turn_wait: if spins { Duration::ZERO } else { limits::TURN_WAIT },
            speech,
            settings,
            pool,
            pace,
            poller,
            ticker,
            connections,
        })
    }

    fn run(mut self) -> Result<RunResult> {
        loop {
            let now = Instant::now();
            self.window.step(now)?;
            self.progress(now);
            self.send_due(now)?;
            if self.is_finished(now) {
                break;
            }
            let ready_count = self.poller.wait(Some(self.turn_wait)).context("wait for answers")?;
            for index in 0..ready_count {
                let ready = self.poller.ready(index);
                match ready.token {
                    TICK => {
                        self.ticker.as_ref().map_or(Ok(()), Ticker::clear).context("read the tick timer")?
                    }
                    token => self.serve(token as usize, ready.writable)?,
                }
            }
        }
        self.give_up();
        Ok(self.result())
    }

    fn is_finished(&self, now: Instant) -> bool {
        let nothing_due = self.pace.over(now) || self.pool_is_empty || self.ended_early.is_some();
        let nothing_awaited = self.idle.len() == self.connections.len();
        (nothing_due && nothing_awaited) || now >= self.give_up_at
    }

    /// Sends what is due on connections that are idle. What finds none stays in the schedule and grows older.
    fn send_due(&mut self, now: Instant) -> Result<()> {
        while !self.pool_is_empty && self.ended_early.is_none() {
            let Some(token) = self.idle.front().copied() else { return Ok(()) };
            let Some(intended) = self.pace.due(now) else { return Ok(()) };
            self.idle.pop_front();
            self.start_scan(token, intended, now)?;
        }
        Ok(())
    }

    fn start_scan(&mut self, token: usize, intended: Instant, now: Instant) -> Result<()> {
        let connection = &mut self.connections[token];
        assert!(self.in_flight[token].is_none());
        let Some(scan) = self.pool.next_scan() else {
            self.pool_is_empty = true;
            self.idle.push_back(token);
            return Ok(());
        };
        self.speech.ask(&mut connection.request, self.pool.code(scan), now);
        self.in_flight[token] = Some(InFlight { scan, intended });
        if self.pace.is_open() && self.window.covers(intended) {
            self.send_delay.record(now - intended);
        }
        match connection.send() {
            Ok(Sent::Whole) => Ok(()),
            Ok(Sent::Partly) => {
                self.poller.modify(&*connection, token as u64, Interest::ReadWrite).context("watch for room")
            }
            Err(error) => self.reconnect(token, &format!("sending failed: {error}")),
        }
    }

    fn serve(&mut self, token: usize, writable: bool) -> Result<()> {
        if writable {
            match self.connections[token].send_rest() {
                Ok(Sent::Partly) => {}
                Ok(Sent::Whole) => self
                    .poller
                    .modify(&self.connections[token], token as u64, Interest::Read)
                    .context("watch for answers")?,
                Err(error) => return self.reconnect(token, &format!("sending failed: {error}")),
            }
        }
        match self.connections[token].receive() {
            Received::Nothing => Ok(()),
            Received::Bytes => self.take_reply(token),
            Received::End => self.reconnect(token, "the server closed the connection"),
        }
    }

    /// Judges the reply that has arrived whole, if one has, and lets its connection go on at once: a server that
    /// waits for the rest of our turn would be measured by our speed.
    fn take_reply(&mut self, token: usize) -> Result<()> {
        let now = Instant::now();
        let connection = &mut self.connections[token];
        let answer = match self.speech.answer(connection.received()) {
            Ok(None) => return Ok(()),
            Ok(Some(answer)) => answer,
            Err(error) => return self.hang_up(token, &error),
        };
        let Some(InFlight { scan, intended }) = self.in_flight[token] else {
            return self.hang_up(token, "a reply nobody asked for");
        };
        self.tally.count(match self.settings.judging {
            Judging::Strict => self.pool.settle(scan, answer.status, answer.verdict),
            Judging::CountOnly => {
                std::hint::black_box(answer.verdict);
                Ok(self.pool.settle_unjudged(scan))
            }
        });
        self.window.answers += u64::from(self.window.is_open());
        if self.window.covers(intended) {
            self.latency.record(now - intended);
        }
        let answer_len = answer.bytes_len;
        self.in_flight[token] = None;
        connection.consume(answer_len);
        let noise = !connection.received().is_empty();
        self.idle.push_back(token);
        if noise {
            return self.hang_up(token, "more bytes than one reply");
        }
        if self.settings.per_scan {
            self.renew(token)?;
        }
        self.send_due(now)
    }

    /// Closes an idle connection and opens the next in its place.
    fn renew(&mut self, token: usize) -> Result<()> {
        let next = Connection::begin(self.settings.target.addr).context("connect for the next scan")?;
        self.poller.add(&next, token as u64, Interest::Read).context("watch a connection")?;
        self.connections[token] = next;
        Ok(())
    }

    /// Ends a connection that no longer speaks as we do.
    fn hang_up(&mut self, token: usize, what: &str) -> Result<()> {
        self.tally.count_noise(what);
        self.reconnect(token, what)
    }

    /// A scan without an answer may have been admitted or not: its code is never presented again in this run.
    fn reconnect(&mut self, token: usize, cause: &str) -> Result<()> {
        if let Some(InFlight { scan, intended }) = self.in_flight[token].take() {
            self.tally.count_lost(self.pool.code(scan), cause);
            if self.window.covers(intended) {
                self.latency.record(intended.elapsed());
            }
            self.idle.push_back(token);
        }
        self.tally.reconnects += 1;
        if self.tally.reconnects > limits::RECONNECTS_MAX {
            self.ended_early.get_or_insert_with(|| "connections are closed all the time".to_owned());
        }
        match self.speech.connect(self.settings.target.addr) {
            Ok(connection) => {
                self.poller.add(&connection, token as u64, Interest::Read).context("watch a connection")?;
                self.connections[token] = connection;
            }
            Err(error) => {
                self.ended_early.get_or_insert_with(|| format!("the server went away: {error}"));
                // The dead connection would be reported as ready for ever; nothing is sent on it any more.
                self.poller.remove(&self.connections[token]).context("forget a connection")?;
            }
        }
        Ok(())
    }

    /// Counts what is still missing: unanswered scans as lost, unsent ones as unsent, both with the latency they have
    /// by now. Leaving them out would hide exactly the worst ones.
    fn give_up(&mut self) {
        let now = Instant::now();
        for token in 0..self.connections.len() {
            if let Some(InFlight { scan, intended }) = self.in_flight[token].take() {
                self.tally.count_lost(self.pool.code(scan), "no answer until the end of the run");
                if self.window.covers(intended) {
                    self.latency.record(now - intended);
                }
            }
        }
        if !self.pace.is_open() || self.pool_is_empty {
            return;
        }
        while let Some(intended) = self.pace.due(now) {
            self.unsent += 1;
            if self.window.covers(intended) {
                self.latency.record(now - intended);
                self.send_delay.record(now - intended);
            }
        }
    }

    fn result(mut self) -> RunResult {
        let cost = self.window.finish();
        if !self.window.was_opened() {
            self.ended_early
                .get_or_insert_with(|| "nothing was measured: the codes ran out in the warm-up".to_owned());
        }
        let mut result = RunResult {
            pace: "",
            rate: None,
            connections: self.settings.connection_count,
            seconds: 0.0,
            answers: self.window.answers,
            answers_per_second: 0.0,
            latency: self.latency.summary(),
            send_delay: self.send_delay.summary(),
            unsent: self.unsent,
            client_cpu_us: 0.0,
            server_cpu_us: None,
            server_threads_us: Default::default(),
            foreign_share: 0.0,
            client_spins: self.turn_wait.is_zero(),
            judged: self.settings.judging == Judging::Strict,
            tally: self.tally,
            ended_early: self.ended_early,
        };
        result.cost(&cost, self.settings.server_pid.is_some());
        result
    }

    fn progress(&mut self, now: Instant) {
        let Some(label) = self.settings.progress else { return };
        if now < self.progress_at {
            return;
        }
        let answers = self.tally.admitted + self.tally.denied + self.tally.wrong;
        let state = if self.window.is_open() { "" } else { " (not measured)" };
        eprintln!("{label}: {}/s{state}, {} wrong", answers - self.progress_answers, self.tally.wrong);
        self.progress_answers = answers;
        self.progress_at += Duration::from_secs(1);
    }
}
