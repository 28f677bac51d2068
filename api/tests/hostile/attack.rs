//! An attack, with good devices beside it: whatever the attackers send, a real scan is answered in time, exactly what
//! the devices sent is decided, and the memory of the process stays under its bound.

use crate::client::{connect, read_responses};
use crate::memory::MemoryWatch;
use crate::service::alone;
use crate::venue::{GOOD_GATE, GOOD_KEY, STAFF, VALIDATE, Venue, post};
use api::http::Limits;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bound for a good device while others attack.
const GOOD_P99_MAX: Duration = Duration::from_millis(50);
/// How much the process (attackers included) may grow during one attack.
const GROWTH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// An attack that is over sooner is made again.
const ATTACK_LASTS: Duration = Duration::from_millis(500);
/// Four, so that both workers have one: the kernel chooses the listener.
pub const GOOD_DEVICES: usize = 4;
/// Fewer scans than this say nothing about a percentile.
const GOOD_SCANS_MIN: usize = 100;

/// Runs `attack` while good devices go on, again and again until it has lasted; then checks their latency, what was
/// decided for them, the peak memory of the process, and that no handler panicked.
pub fn under_attack(name: &str, limits: Limits, attack: impl FnMut(&Venue)) {
    under_attack_within(GROWTH_BYTES_MAX, name, limits, attack);
}

/// The same with another bound for the memory.
pub fn under_attack_within(
    growth_bytes_max: usize,
    name: &str,
    limits: Limits,
    mut attack: impl FnMut(&Venue),
) {
    let _alone = alone();
    let venue = Venue::open(2, limits);
    let memory = MemoryWatch::start();
    let good = GoodDevices::start(venue.addr(), GOOD_DEVICES);
    let began = Instant::now();
    while began.elapsed() < ATTACK_LASTS {
        attack(&venue);
    }
    let growth = memory.finish();
    let latencies = good.finish();
    let p99 = latencies[latencies.len() * 99 / 100];
    println!("{name}: {} good scans, p99 {p99:?}, growth {} KiB", latencies.len(), growth / 1024);
    assert!(latencies.len() > GOOD_SCANS_MIN, "{name}: only {} good scans", latencies.len());
    assert!(p99 <= GOOD_P99_MAX, "{name}: p99 of good devices is {p99:?}");
    assert!(growth <= growth_bytes_max, "{name}: memory grew by {growth} bytes");
    assert_eq!(
        venue.decided(GOOD_GATE),
        (latencies.len() as u64, 0),
        "{name}: each good scan once, nothing else"
    );
    assert_eq!(venue.server.stats().panics, 0, "{name}");
    venue.close();
}

// === impl GoodDevices ===

/// Honest devices, one scan at a time each, measuring how long every answer takes.
struct GoodDevices {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Duration>>>,
}

impl GoodDevices {
    fn start(addr: SocketAddr, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let device = |number| {
            let (stop, stream) = (Arc::clone(&stop), connect(addr));
            std::thread::spawn(move || good_device(stream, number, &stop))
        };
        Self { threads: (0..count).map(device).collect(), stop }
    }

    /// Latencies of all scans, ascending.
    fn finish(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Release);
        let joined =
            self.threads.into_iter().flat_map(|thread| thread.join().expect("a good device is served"));
        let mut latencies: Vec<Duration> = joined.collect();
        latencies.sort_unstable();
        latencies
    }
}

fn good_device(mut stream: TcpStream, number: usize, stop: &AtomicBool) -> Vec<Duration> {
    stream.set_nodelay(true).unwrap();
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let scan_id = format!("{number}-{}", latencies.len());
        let body = format!(r#"{{"api_key":"{GOOD_KEY}","qr_data":"{STAFF}","scan_id":"{scan_id}"}}"#);
        let request = post(VALIDATE, "", body.as_bytes());
        let sent = Instant::now();
        stream.write_all(&request).unwrap();
        let answer = read_responses(&mut stream, 1);
        latencies.push(sent.elapsed());
        let value: serde_json::Value = serde_json::from_slice(&answer[0].body).unwrap();
        assert_eq!((answer[0].status, &value["access_granted"]), (200, &true.into()), "{value}");
        assert_eq!(value["scan_id"], scan_id);
        std::thread::sleep(Duration::from_millis(2));
    }
    latencies
}
