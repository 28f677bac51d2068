//! Gates under load: scans on a fixed schedule, each answer checked, latency counted from the intended moment; and the
//! machine's own floor on the same schedule. Knows the device port and no database.

use crate::support::{Answer, Client, Server, venue_scan};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const LANES: u64 = 4;
/// Of each lane; all of them make 400 scans a second.
const SCAN_EVERY: Duration = Duration::from_millis(10);
/// After so long a turnstile's controller drops a grant.
const GRANT_DROPPED_AFTER: Duration = Duration::from_secs(5);
/// Tickets there are for each lane: enough for minutes.
const TICKETS_PER_LANE: u64 = 12_000;

/// The machine itself is slow when a bare exchange takes longer.
const MACHINE_SLOW_US: u64 = 4_000;
/// The machine's slow moments are left out in slices of this length.
const SLICE_US: u64 = 50_000;
/// So many slices before and after are left out too: a scan waits for syncs that an exchange may have just missed.
const BESIDE: u64 = 2;

/// Four lanes at one gate, over several windows.
pub struct Gates {
    /// How many scans each lane has made.
    made: [u64; LANES as usize],
    /// How many scans were answered in all.
    answered: AtomicU64,
    /// Beside the node's journal, for the machine's floor.
    beside: File,
}

/// What was measured while something happened.
#[derive(Default)]
pub struct Window {
    /// Of each scan, in microseconds.
    scans_us: Vec<u64>,
    /// Of each scan made while the machine itself was not slow.
    quiet_us: Vec<u64>,
    /// Of each exchange with nobody's code in between, in microseconds.
    floor_us: Vec<u64>,
}

/// When a scan or an exchange was intended, from the window's beginning, and how long it took.
#[derive(Clone, Copy)]
struct Sample {
    at_us: u64,
    took_us: u64,
}

// === impl Window ===

impl Window {
    /// Scans in a slice of time in which the machine itself was slow, or in those beside it, say nothing of gates.
    fn of(scans: &[Sample], floor: &[Sample]) -> Window {
        let slow: BTreeSet<u64> = floor
            .iter()
            .filter(|sample| sample.took_us > MACHINE_SLOW_US)
            .flat_map(|sample| {
                let ended = (sample.at_us + sample.took_us) / SLICE_US;
                (sample.at_us / SLICE_US).saturating_sub(BESIDE)..=ended + BESIDE
            })
            .collect();
        let quiet = scans.iter().filter(|sample| !slow.contains(&(sample.at_us / SLICE_US)));
        let took = |sample: &Sample| sample.took_us;
        Window {
            scans_us: scans.iter().map(took).collect(),
            quiet_us: quiet.map(took).collect(),
            floor_us: floor.iter().map(took).collect(),
        }
    }

    pub fn p99(&self) -> Duration {
        quantile(&self.scans_us, 99)
    }

    /// Of the scans while the machine itself was not slow.
    pub fn quiet_p90(&self) -> Duration {
        quantile(&self.quiet_us, 90)
    }

    pub fn p90(&self) -> Duration {
        quantile(&self.scans_us, 90)
    }

    pub fn floor_p90(&self) -> Duration {
        quantile(&self.floor_us, 90)
    }

    pub fn floor_p99(&self) -> Duration {
        quantile(&self.floor_us, 99)
    }

    pub fn scans(&self) -> usize {
        self.scans_us.len()
    }

    pub fn quiet_scans(&self) -> usize {
        self.quiet_us.len()
    }

    pub fn add(&mut self, other: &Window) {
        self.scans_us.extend(&other.scans_us);
        self.quiet_us.extend(&other.quiet_us);
        self.floor_us.extend(&other.floor_us);
    }
}

fn quantile(latencies_us: &[u64], percent: usize) -> Duration {
    let mut sorted = latencies_us.to_vec();
    sorted.sort_unstable();
    Duration::from_micros(sorted.get(sorted.len() * percent / 100).copied().unwrap_or(0))
}

// === impl Gates ===

impl Gates {
    pub fn new() -> Gates {
        Gates {
            made: [0; LANES as usize],
            answered: AtomicU64::new(0),
            beside: tempfile::tempfile().unwrap(),
        }
    }

    /// The tickets they scan, as CSV.
    pub fn tickets() -> String {
        let code = |lane: u64, number: u64| format!("{},SEAT,\n", code(lane, number));
        (0..LANES).flat_map(|lane| (0..TICKETS_PER_LANE).map(move |number| code(lane, number))).collect()
    }

    /// Scans for as long as something happens. Every scan must get its right decision.
    pub fn scan_while<T>(&mut self, server: &Server, happens: impl FnOnce(&AtomicU64) -> T) -> (T, Window) {
        let (stop, answered, began) = (&AtomicBool::new(false), &self.answered, Instant::now());
        std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES)
                .zip(&mut self.made)
                .map(|(lane, made)| scope.spawn(move || scan_lane(server, lane, made, began, stop, answered)))
                .collect();
            let floor = scope.spawn(|| floor(&self.beside, began, stop));
            let value = {
                // Also when it panics: nobody waits for lanes that do not end.
                let _ends = StopsOnDrop(stop);
                happens(answered)
            };
            let scans: Vec<Sample> = lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect();
            (value, Window::of(&scans, &floor.join().unwrap()))
        })
    }
}

struct StopsOnDrop<'a>(&'a AtomicBool);

impl Drop for StopsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn sample(began: Instant, intended: Instant) -> Sample {
    let at_us = intended.duration_since(began).as_micros() as u64;
    Sample { at_us, took_us: intended.elapsed().as_micros() as u64 }
}

fn code(lane: u64, number: u64) -> String {
    format!("GATE-{lane}-{number:05}")
}

/// What is presented and what must be answered: mostly tickets that are good, every fourth scan one that has just been used,
/// now and then a code nobody knows.
fn presented(lane: u64, number: u64) -> (String, Option<&'static str>) {
    match number % 16 {
        9 => (format!("NOBODY-{lane}-{number}"), Some("unknown_ticket")),
        3 | 7 | 11 | 15 => (code(lane, number - 1), Some("already_used")),
        _ => (code(lane, number), None),
    }
}

fn scan_lane(
    server: &Server,
    lane: u64,
    made: &mut u64,
    began: Instant,
    stop: &AtomicBool,
    answered: &AtomicU64,
) -> Vec<Sample> {
    let mut client = server.client();
    client.patience(GRANT_DROPPED_AFTER);
    let mut samples = Vec::new();
    let mut intended = began + SCAN_EVERY * lane as u32 / LANES as u32;
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(intended.saturating_duration_since(Instant::now()));
        let number = *made;
        assert!(number < TICKETS_PER_LANE, "out of tickets");
        let (code, refused) = presented(lane, number);
        let id = format!("lane{lane}-{number}");
        let answer = client.post("/api/access/validate", &venue_scan(&code, &id));
        samples.push(sample(began, intended));
        check(&answer, refused);
        *made += 1;
        answered.fetch_add(1, Ordering::SeqCst);
        // A guest that went through, and one that did not, so that the journal has both.
        match number % 32 {
            0 => report(&mut client, "/api/access/passed", &id),
            4 => report(&mut client, "/api/access/annul", &id),
            _ => {}
        }
        intended += SCAN_EVERY;
    }
    samples
}

fn check(answer: &Answer, refused: Option<&str>) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let value = answer.json();
    assert_eq!(value["access_granted"], json!(refused.is_none()), "{value}");
    if let Some(reason) = refused {
        assert_eq!(value["reason"], reason, "{value}");
    }
}

fn report(client: &mut Client, path: &str, id: &str) {
    let answer = client.post(path, &format!(r#"{{"scan_id":"{id}","api_key":"key-of-d1"}}"#));
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// What the machine itself takes now: one exchange over the loopback, and one small write that is synced, on the schedule of
/// a lane and with none of our code in between.
fn floor(beside: &File, began: Instant, stop: &AtomicBool) -> Vec<Sample> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut there, _) = listener.accept().unwrap();
    here.set_nodelay(true).unwrap();
    there.set_nodelay(true).unwrap();
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; 256];
            while there.read_exact(&mut bytes).is_ok() {
                beside.write_all_at(&bytes, 0).unwrap();
                beside.sync_data().unwrap();
                there.write_all(&bytes).unwrap();
            }
        });
        let mut intended = began + SCAN_EVERY / 2;
        while !stop.load(Ordering::SeqCst) {
            std::thread::sleep(intended.saturating_duration_since(Instant::now()));
            let mut bytes = [1; 256];
            here.write_all(&bytes).unwrap();
            here.read_exact(&mut bytes).unwrap();
            samples.push(sample(began, intended));
            intended += SCAN_EVERY;
        }
        drop(here);
    });
    samples
}
