//! How soon a device hears of what is changed at the desk, while others scan: from before the request is sent until the device
//! has read it on its stream, between all that others scan. Knows two changes of a gate, and a stream's lines.

use super::{Desk, House};
use crate::store::pace::Spread;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// The gate that is opened and released: nobody scans there.
const GATE: &str = "ENTRANCE_03";
/// Key of its device.
const DEVICE_KEY: &str = "demo-key-003";
/// What does not come in this time does not come.
const HEAR_MAX: Duration = Duration::from_secs(5);
/// Between two changes.
const PAUSE: Duration = Duration::from_millis(20);
const CHANGES: [(&str, &str); 2] = [("emergency-open", "emergency_open"), ("release", "release")];

/// How soon a device heard of one kind of change.
#[derive(Debug, Serialize)]
pub struct Reached {
    /// What was changed.
    pub change: &'static str,
    /// How often.
    pub times: usize,
    /// How long it took, in milliseconds.
    pub ms: Spread,
}

/// Opens and releases a gate again and again until `is_over`.
///
/// # Errors
/// The desk or the device is refused; a change is not heard of.
pub fn measure(house: &House, is_over: &AtomicBool) -> Result<Vec<Reached>> {
    let (tell, heard) = channel();
    let stream = stream(house.server.device_addr)?;
    let has_heard_all = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| listen(stream, &tell, &has_heard_all));
        let times = change(house, &heard, is_over);
        has_heard_all.store(true, Ordering::Relaxed);
        // Whoever listens looks at that with the next line.
        CHANGES.iter().try_for_each(|(change, _)| ask(&house.desk(), change))?;
        listening.join().expect("a listener that panics ends the program")?;
        let kinds = CHANGES.into_iter().zip(times?);
        Ok(kinds.map(|((change, _), ms)| Reached { change, times: ms.len(), ms: Spread::of(ms) }).collect())
    })
}

/// Each change is asked for on a thread of its own: its answer waits, up to two seconds, until the store shows it too.
fn change(house: &House, heard: &Receiver<(String, Instant)>, is_over: &AtomicBool) -> Result<[Vec<f64>; 2]> {
    let mut times = [Vec::new(), Vec::new()];
    std::thread::scope(|scope| {
        let mut asked = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            for (nth, (change, action)) in CHANGES.into_iter().enumerate() {
                let desk = house.desk();
                let began = Instant::now();
                asked.push(scope.spawn(move || ask(&desk, change)));
                let at = hear(heard, action).with_context(|| format!("no device heard of {change}"))?;
                times[nth].push(at.duration_since(began).as_secs_f64() * 1e3);
                std::thread::sleep(PAUSE);
            }
        }
        asked.into_iter().try_for_each(|one| one.join().expect("a desk that panics ends the program"))?;
        Ok(times)
    })
}

/// When the device heard of this; what was told before is passed over.
fn hear(heard: &Receiver<(String, Instant)>, action: &str) -> Result<Instant, RecvTimeoutError> {
    loop {
        match heard.recv_timeout(HEAR_MAX)? {
            (told, at) if told == action => return Ok(at),
            _ => {}
        }
    }
}

fn ask(desk: &Desk, change: &str) -> Result<()> {
    desk.send_json(&format!("/api/v1/gates/{GATE}/{change}"), &json!({"reason": "measured"}))?;
    Ok(())
}

/// A device's stream, from now on.
fn stream(addr: SocketAddr) -> Result<impl BufRead + Send> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_recv_body(None).build().into();
    let asked = agent.get(format!("http://{addr}/api/access/stream")).header("X-Api-Key", DEVICE_KEY);
    let mut stream = BufReader::new(asked.call().context("open the stream")?.into_body().into_reader());
    // Its first line says that whatever comes from now on is on it.
    stream.read_line(&mut String::new()).context("read the stream")?;
    Ok(stream)
}

/// Tells each command; others' scans are passed over as they come.
fn listen(mut stream: impl BufRead, tell: &Sender<(String, Instant)>, is_done: &AtomicBool) -> Result<()> {
    let mut line = String::new();
    while !is_done.load(Ordering::Relaxed) {
        line.clear();
        stream.read_line(&mut line).context("read the stream")?;
        let at = Instant::now();
        let Some(data) = line.strip_prefix("data: ").filter(|data| data.contains("\"action\"")) else {
            continue;
        };
        let event: Value = serde_json::from_str(data).context("read an event")?;
        if let Some(action) = event["action"].as_str() {
            let _ = tell.send((action.to_owned(), at));
        }
    }
    Ok(())
}
