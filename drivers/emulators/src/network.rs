//! A printer behind a TCP port of this machine, with a plan of faults. Connections that are let in wait for each other:
//! the printer reads one at a time, in order. One thread; it ends when it is told to, or by itself after `LIFE_MAX`.
//! The printer and its paper outlive the connections. Knows no printer's language.

use crate::Machine;
use crate::plan::{Answers, Behaviour, End, Plan};
use parking_lot::{Condvar, Mutex};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A server that nobody stops ends after so long.
const LIFE_MAX: Duration = Duration::from_secs(120);
/// It looks around so often.
const TICK: Duration = Duration::from_millis(1);
/// What is read at once.
const CHUNK_BYTES: usize = 512;
/// Connections that wait to be let in.
const BACKLOG: i32 = 16;
/// Answers that a host does not read are dropped past so many bytes.
const ANSWERS_MAX: usize = 4_096;
/// At the end what is under way gets so long.
const FINISH_MAX: Duration = Duration::from_secs(10);

/// How a connection went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Bytes the printer read from it.
    pub bytes_read: u64,
    /// How it ended; `None`: it has not.
    pub over: Option<Over>,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The host, and everything it sent was read.
    ByHost,
    /// The host, without ever having taken what came back.
    Reset,
    /// The printer, by plan: what came after is lost.
    Closed,
    /// The printer read no more, by plan: what came after is lost.
    Frozen,
    /// The printer had another connection: everything is lost.
    Refused,
}

impl Over {
    /// May bytes that the host saw leaving have been lost?
    pub fn loses(self) -> bool {
        matches!(self, Over::Closed | Over::Frozen | Over::Refused)
    }
}

/// A printer on a network.
pub struct NetworkPrinter<M: Machine + 'static> {
    address: SocketAddr,
    shared: Arc<Shared<M>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<M> {
    state: Mutex<State<M>>,
    ticked: Condvar,
}

struct State<M> {
    /// Taken out at the end.
    machine: Option<M>,
    connections: Vec<Connection>,
    /// Whole rounds of the server.
    ticks: u64,
    stopping: bool,
}

// === impl NetworkPrinter ===

impl<M: Machine + 'static> NetworkPrinter<M> {
    /// Puts a printer behind a free port of 127.0.0.1.
    ///
    /// # Errors
    /// The system's.
    pub fn start(machine: M, plan: Plan) -> io::Result<NetworkPrinter<M>> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddr::try_from(rustix::net::getsockname(&socket)?)
            .map_err(|_| io::Error::other("a socket without an address"))?;
        let state = State { machine: Some(machine), connections: Vec::new(), ticks: 0, stopping: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), ticked: Condvar::new() });
        let mut server = Server::new(socket, plan);
        server.open_door()?;
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("printer".to_owned()).spawn(move || {
            server.serve(&for_thread).expect("sockets of this machine work");
        })?;
        Ok(NetworkPrinter { address, shared, thread: Some(thread) })
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Something about the printer as it is now.
    pub fn look<T>(&self, at: impl FnOnce(&mut M) -> T) -> T {
        at(self.shared.state.lock().machine.as_mut().expect("it is taken out only at the end"))
    }

    /// Waits until everybody who connected before this call is let in or refused, and gives how many there were.
    pub fn connected(&self) -> usize {
        let mut state = self.shared.state.lock();
        // The round under way may be past the door already; the one after it is not.
        let until = state.ticks + 2;
        while state.ticks < until && self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            self.shared.ticked.wait_for(&mut state, TICK * 100);
        }
        state.connections.len()
    }

    /// Ends: faults are put right, what was sent and not lost is read and printed. Gives the printer and how the
    /// connections went.
    pub fn finish(mut self) -> (M, Vec<Connection>) {
        self.stop();
        let mut state = self.shared.state.lock();
        let machine = state.machine.take().expect("it is taken out only here");
        (machine, std::mem::take(&mut state.connections))
    }

    fn stop(&mut self) {
        self.shared.state.lock().stopping = true;
        let Some(thread) = self.thread.take() else { return };
        if let Err(panic) = thread.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl<M: Machine + 'static> Drop for NetworkPrinter<M> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread has.
struct Server {
    plan: Plan,
    began: Instant,
    /// Bound, and not listening: connections are refused, and nobody else gets the port.
    closed: Option<OwnedFd>,
    door: Option<TcpListener>,
    open: Vec<Open>,
    /// Bytes that reached the printer in all.
    bytes: u64,
    paper_out_since: Option<Instant>,
}

/// An open connection.
struct Open {
    number: usize,
    stream: TcpStream,
    behaviour: Behaviour,
    since: Instant,
    /// Read, and not taken by the printer yet.
    held: Vec<u8>,
    read: u64,
    frozen_since: Option<Instant>,
    answers: Vec<u8>,
    answered: u64,
    garbage: Option<StdRng>,
}

// === impl Server ===

impl Server {
    fn new(socket: OwnedFd, plan: Plan) -> Server {
        Server {
            plan,
            began: Instant::now(),
            closed: Some(socket),
            door: None,
            open: Vec::new(),
            bytes: 0,
            paper_out_since: None,
        }
    }

    fn serve<M: Machine>(mut self, shared: &Shared<M>) -> io::Result<()> {
        let mut finish_by = None;
        while self.began.elapsed() < LIFE_MAX {
            self.open_door()?;
            if self.round(&mut shared.state.lock(), &mut finish_by)? {
                break;
            }
            shared.ticked.notify_all();
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// Once around: who comes, what they send, what is said to them. `true`: it is over.
    fn round<M: Machine>(
        &mut self,
        state: &mut State<M>,
        finish_by: &mut Option<Instant>,
    ) -> io::Result<bool> {
        let machine = state.machine.as_mut().expect("it is taken out after this thread ended");
        if state.stopping {
            finish_by.get_or_insert_with(|| Instant::now() + FINISH_MAX);
            self.plan.paper_out_at = None;
            machine.refill();
        } else {
            self.mind_the_paper(machine);
        }
        self.let_in(&mut state.connections)?;
        let round = Round {
            holds_ms: self.plan.holds_ms,
            stopping: state.stopping,
            until_paper_out: self.plan.paper_out_at.map_or(u64::MAX, |at| at.saturating_sub(self.bytes)),
        };
        // Jobs come one after the other: of those that are not frozen the first is read, and the others wait.
        let mut reading = false;
        for open in &mut self.open {
            if open.frozen_since.is_some() || !std::mem::replace(&mut reading, true) {
                self.bytes += open.serve(machine, &mut state.connections[open.number], &round);
            }
        }
        machine.work();
        let answers = machine.answers();
        if let Some(open) = self.open.iter_mut().find(|open| open.frozen_since.is_none()) {
            open.answer(&answers);
        }
        self.open.retain(|open| state.connections[open.number].over.is_none());
        state.ticks += 1;
        let late = finish_by.is_some_and(|by| Instant::now() > by);
        Ok(late || (state.stopping && self.open.is_empty() && !machine.is_busy()))
    }

    fn open_door(&mut self) -> io::Result<()> {
        if self.began.elapsed() < Duration::from_millis(self.plan.refuses_ms) {
            return Ok(());
        }
        let Some(socket) = self.closed.take() else { return Ok(()) };
        listen(&socket, BACKLOG)?;
        let door = TcpListener::from(socket);
        door.set_nonblocking(true)?;
        self.door = Some(door);
        Ok(())
    }

    fn let_in(&mut self, connections: &mut Vec<Connection>) -> io::Result<()> {
        let Some(door) = &self.door else { return Ok(()) };
        loop {
            let stream = match door.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let refused = self.plan.one_at_a_time && !self.open.is_empty();
            let number = connections.len();
            connections.push(Connection { bytes_read: 0, over: refused.then_some(Over::Refused) });
            if !refused {
                stream.set_nonblocking(true)?;
                self.open.push(Open::new(number, stream, self.plan.connection(number)));
            }
        }
    }

    fn mind_the_paper<M: Machine>(&mut self, machine: &mut M) {
        if self.plan.paper_out_at.is_some_and(|at| self.bytes >= at) {
            self.plan.paper_out_at = None;
            machine.paper_out();
        }
        if !machine.is_out_of_paper() {
            self.paper_out_since = None;
            return;
        }
        let since = self.paper_out_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= Duration::from_millis(self.plan.refill_after_ms) {
            machine.refill();
        }
    }
}

/// What a connection has to know of the server in one round.
struct Round {
    holds_ms: u64,
    stopping: bool,
    /// Bytes until the paper ends.
    until_paper_out: u64,
}

// === impl Open ===

impl Open {
    fn new(number: usize, stream: TcpStream, behaviour: Behaviour) -> Open {
        let mut garbage = match behaviour.answers {
            Answers::Garbage(seed) => Some(StdRng::seed_from_u64(seed)),
            _ => None,
        };
        // Something may lie on the line before anything was asked.
        let answers = garbage.as_mut().map(noise).unwrap_or_default();
        Open {
            number,
            stream,
            behaviour,
            since: Instant::now(),
            held: Vec::new(),
            read: 0,
            frozen_since: None,
            answers,
            answered: 0,
            garbage,
        }
    }

    /// Reads, gives to the printer, and says how many bytes it took.
    fn serve<M: Machine>(&mut self, machine: &mut M, connection: &mut Connection, round: &Round) -> u64 {
        if let Some(since) = self.frozen_since {
            if round.stopping || since.elapsed() >= Duration::from_millis(round.holds_ms) {
                connection.over = Some(Over::Frozen);
                machine.line_lost();
            }
            return 0;
        }
        let over = if self.held.is_empty() { self.read(round.stopping) } else { None };
        connection.bytes_read = self.read;
        let most = self.held.len().min(usize::try_from(round.until_paper_out).unwrap_or(usize::MAX));
        let taken = machine.take(&self.held[..most]);
        self.held.drain(..taken);
        if over.is_some() {
            connection.over = over;
            machine.line_lost();
        } else if self.held.is_empty() {
            self.fail(machine, connection);
        }
        taken as u64
    }

    fn read(&mut self, stopping: bool) -> Option<Over> {
        let mut room = CHUNK_BYTES as u64;
        if let End::ClosesAfter(bytes) | End::FreezesAfter(bytes) = self.behaviour.end {
            room = room.min(bytes.saturating_sub(self.read));
        }
        if let (Some(rate), false) = (self.behaviour.bytes_a_second, stopping) {
            let due = self.since.elapsed().as_millis() as u64 * u64::from(rate) / 1_000;
            room = room.min(due.saturating_sub(self.read));
        }
        if room == 0 {
            return None;
        }
        let mut chunk = [0; CHUNK_BYTES];
        match self.stream.read(&mut chunk[..room as usize]) {
            Ok(0) => Some(Over::ByHost),
            Ok(n) => {
                self.held.extend(&chunk[..n]);
                self.read += n as u64;
                None
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
            Err(_) => Some(Over::Reset),
        }
    }

    /// What the plan has for a connection that came so far.
    fn fail<M: Machine>(&mut self, machine: &mut M, connection: &mut Connection) {
        match self.behaviour.end {
            End::ClosesAfter(bytes) if self.read >= bytes => {
                connection.over = Some(Over::Closed);
                machine.line_lost();
            }
            End::FreezesAfter(bytes) if self.read >= bytes => self.frozen_since = Some(Instant::now()),
            _ => {}
        }
    }

    fn answer(&mut self, answers: &[u8]) {
        match (self.behaviour.answers, &mut self.garbage) {
            (Answers::SilentAfter(bytes), _) => {
                let left = usize::try_from(bytes.saturating_sub(self.answered)).unwrap_or(usize::MAX);
                self.answers.extend(&answers[..answers.len().min(left)]);
            }
            (_, Some(rng)) if !answers.is_empty() => {
                self.answers.extend(noise(rng));
                self.answers.extend(answers);
                self.answers.extend(noise(rng));
            }
            _ => self.answers.extend(answers),
        }
        self.answered += answers.len() as u64;
        self.answers.truncate(ANSWERS_MAX);
        if let Ok(written) = self.stream.write(&self.answers) {
            self.answers.drain(..written);
        }
    }
}

/// A few bytes that mean nothing.
fn noise(rng: &mut StdRng) -> Vec<u8> {
    let length = rng.random_range(0..4);
    (0..length).map(|_| rng.random()).collect()
}

#[cfg(test)]
mod tests;
