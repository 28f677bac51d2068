//! Clients that begin a request and send a byte of it now and then, as a reader on a dying radio does, or somebody who wants
//! to hold connections. Their requests are never whole, so no answer admits anybody; what counts is what they cost others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use super::file::Slow;
use super::plan::Setting;
use crate::connection::{Connection, Received};
use crate::limits;
use crate::poller::{Interest, Poller};
use crate::reply::status_of;

/// All slow clients of a run.
#[derive(Debug, Default)]
pub struct SlowCrowd {
    clients: Vec<Client>,
    groups: Vec<SlowSummary>,
    due: BinaryHeap<Reverse<(Duration, usize)>>,
    begin: Option<Instant>,
}

#[derive(Debug)]
struct Client {
    group: usize,
    connection: Option<Connection>,
    sent_count: usize,
    every: Duration,
    until: Duration,
}

/// What is told of a group of slow clients.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SlowSummary {
    /// Its name.
    pub name: String,
    /// How many at the same time.
    pub clients: u32,
    /// Connections they opened.
    pub opened: u64,
    /// Connections the server ended.
    pub ended: u64,
    /// Connections that could not be opened.
    pub refused: u64,
    /// Bytes they sent.
    pub bytes: u64,
    /// Answers by HTTP status: 408 is the right one.
    pub by_status: BTreeMap<u16, u64>,
}

/// What they send, from its first byte; at its end they begin another header, so that the head never ends.
const HEAD: &[u8] = b"POST /api/access/validate HTTP/1.1\r\nHost: gate\r\nX-Slow: ";

// === impl SlowCrowd ===

impl SlowCrowd {
    /// The clients of these groups. They begin spread over the time between two bytes.
    pub fn new(slow: &[Slow], setting: Setting) -> SlowCrowd {
        let mut crowd = SlowCrowd::default();
        for (group, slow) in slow.iter().enumerate() {
            let count = setting.scaled(slow.clients);
            let every = Duration::from_secs_f64(slow.byte_every_s);
            crowd.groups.push(SlowSummary { name: slow.name.clone(), clients: count, ..Default::default() });
            for n in 0..count {
                let first = setting.run_time(slow.from_s) + every * n / count;
                crowd.due.push(Reverse((first, crowd.clients.len())));
                let until = setting.run_time(slow.to_s);
                crowd.clients.push(Client { group, connection: None, sent_count: 0, every, until });
            }
        }
        crowd
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// When the next byte is due; nothing before the first step.
    pub fn next_due(&self) -> Option<Instant> {
        let Reverse((at, _)) = self.due.peek()?;
        Some(self.begin? + *at)
    }

    /// Sends every byte that is due.
    pub fn step(
        &mut self,
        now: Instant,
        begin: Instant,
        addr: SocketAddr,
        poller: &Poller,
        first_token: usize,
    ) -> Result<()> {
        self.begin = Some(begin);
        while self.due.peek().is_some_and(|Reverse((at, _))| begin + *at <= now) {
            let Some(Reverse((at, place))) = self.due.pop() else { break };
            let client = &mut self.clients[place];
            if at >= client.until {
                client.connection = None;
                continue;
            }
            self.due.push(Reverse((at + client.every, place)));
            let group = &mut self.groups[client.group];
            if client.connection.is_none() {
                let Ok(connection) = Connection::begin(addr) else {
                    group.refused += 1;
                    continue;
                };
                let token = (first_token + place) as u64;
                poller.add(&connection, token, Interest::Read).context("watch a slow client")?;
                group.opened += 1;
                (client.connection, client.sent_count) = (Some(connection), 0);
            }
            let Some(connection) = &mut client.connection else { continue };
            connection.request = vec![HEAD.get(client.sent_count).copied().unwrap_or(b'x')];
            client.sent_count += 1;
            group.bytes += 1;
            if connection.send().is_err() {
                group.ended += 1;
                client.connection = None;
            }
        }
        Ok(())
    }

    /// The server says something to a client, or ends it.
    pub fn serve(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let Some(connection) = &mut client.connection else { return };
        let group = &mut self.groups[client.group];
        match connection.receive() {
            Received::Nothing => return,
            Received::Bytes if connection.received().len() < limits::STATUS_LINE_BYTES => return,
            Received::Bytes => {
                let status = status_of(connection.received()).unwrap_or_default();
                *group.by_status.entry(status).or_default() += 1;
            }
            Received::End => {}
        }
        group.ended += 1;
        client.connection = None;
    }

    /// All of them hang up.
    pub fn leave(&mut self) {
        self.clients.iter_mut().for_each(|client| client.connection = None);
    }

    /// What is told of each group.
    pub fn summaries(&self) -> Vec<SlowSummary> {
        self.groups.clone()
    }
}
