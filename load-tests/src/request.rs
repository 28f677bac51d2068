//! The bytes of one `validate` request: built once per code length, then only code, timestamp and `scan_id` are patched
//! in. Knows the wire; knows nothing of whether the code is any good.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use clap::Args;

/// The device the load speaks as.
#[derive(Debug, Clone, Args)]
pub struct Device {
    /// Device id; the demo's bench device has no rate limit
    #[arg(long = "device", default_value = "KQT300_900", help_heading = "Device")]
    pub device_id: String,
    /// The device's key
    #[arg(long = "key", default_value = "demo-key-900", help_heading = "Device")]
    pub api_key: String,
    /// The device's gate
    #[arg(long, default_value = "ENTRANCE_01", help_heading = "Device")]
    pub location: String,
}

/// Writes requests; every one with a `scan_id` that no other request of any run has.
#[derive(Debug)]
pub struct RequestWriter {
    host: String,
    device: Device,
    templates: BTreeMap<usize, Template>,
    /// The part of a scan id that all of this run share.
    run_id: String,
    scan_count: u64,
    timestamp: String,
    timestamp_since: Instant,
    closes: bool,
}

#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    code_at: usize,
    timestamp_at: usize,
    scan_id_at: usize,
}

/// Digits of the counter at the end of a scan id.
const COUNTER_DIGITS: usize = 12;
const VALIDATE: &str = "/api/access/validate";
const HEX: &[u8; 16] = b"0123456789abcdef";

// === impl Device ===

impl Default for Device {
    fn default() -> Device {
        let [device_id, api_key, location] = ["KQT300_900", "demo-key-900", "ENTRANCE_01"].map(str::to_owned);
        Device { device_id, api_key, location }
    }
}

// === impl RequestWriter ===

impl RequestWriter {
    /// A writer for one run.
    pub fn new(host: &str, device: &Device) -> RequestWriter {
        RequestWriter {
            host: host.to_owned(),
            device: device.clone(),
            templates: BTreeMap::new(),
            run_id: run_id(),
            scan_count: 0,
            timestamp: timestamp(),
            timestamp_since: Instant::now(),
            closes: false,
        }
    }

    /// The same, each request on a connection of its own.
    pub fn closing(self) -> RequestWriter {
        RequestWriter { closes: true, ..self }
    }

    /// Replaces `out` by a request for `code` and a new scan. Copies and patches; allocates only for a new code length.
    pub fn write(&mut self, out: &mut Vec<u8>, code: &str, now: Instant) {
        if now.saturating_duration_since(self.timestamp_since) >= Duration::from_secs(1) {
            self.timestamp = timestamp();
            self.timestamp_since = now;
        }
        if !self.templates.contains_key(&code.len()) {
            let template = Template::new(self, code);
            self.templates.insert(code.len(), template);
        }
        let template = &self.templates[&code.len()];
        out.clear();
        out.extend_from_slice(&template.bytes);
        patch(out, template.code_at, code.as_bytes());
        patch(out, template.timestamp_at, self.timestamp.as_bytes());
        patch(out, template.scan_id_at + self.run_id.len(), &counter(self.scan_count));
        self.scan_count += 1;
    }
}

// === impl Template ===

impl Template {
    fn new(writer: &RequestWriter, code: &str) -> Template {
        let RequestWriter { host, device, run_id, timestamp, closes, .. } = writer;
        let Device { device_id, api_key, location } = device;
        let scan_id = format!("{run_id}{}", "0".repeat(COUNTER_DIGITS));
        let body = format!(
            r#"{{"device_id":"{device_id}","qr_data":"{code}","timestamp":"{timestamp}","location":"{location}","api_key":"{api_key}","scan_id":"{scan_id}"}}"#,
        );
        let head = head(host, VALIDATE, "application/json", *closes, body.len());
        let value_at = |name: &str| {
            let field = format!("\"{name}\":\"");
            head.len() + body.find(&field).expect("the body was just written with this field") + field.len()
        };
        Template {
            code_at: value_at("qr_data"),
            timestamp_at: value_at("timestamp"),
            scan_id_at: value_at("scan_id"),
            bytes: [head.as_bytes(), body.as_bytes()].concat(),
        }
    }
}

/// A request in the readers' own format, with the key in front of the path: such a reader can send nothing else.
pub fn reader_request(host: &str, device: &Device, number: &str, code: &str, closes: bool) -> Vec<u8> {
    let body = format!("vgdecoderesult={code}&&devicenumber={number}&&otherparams=");
    let path = format!("/d/{}{VALIDATE}", device.api_key);
    [head(host, &path, "text/html;charset=UTF-8", closes, body.len()).as_bytes(), body.as_bytes()].concat()
}

/// A device's heartbeat.
pub fn heartbeat_request(host: &str, device: &Device) -> Vec<u8> {
    let body = format!(r#"{{"device_id":"{}","api_key":"{}"}}"#, device.device_id, device.api_key);
    let head = head(host, "/api/kqt300/heartbeat", "application/json", false, body.len());
    [head.as_bytes(), body.as_bytes()].concat()
}

/// An upload of offline scans, `rows` as NDJSON.
pub fn offline_request(host: &str, device: &Device, rows: &str) -> Vec<u8> {
    let path = format!("/d/{}/api/access/offline", device.api_key);
    [head(host, &path, "application/x-ndjson", false, rows.len()).as_bytes(), rows.as_bytes()].concat()
}

fn head(host: &str, path: &str, content_type: &str, closes: bool, body_len: usize) -> String {
    let connection = if closes { "Connection: close\r\n" } else { "" };
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\n{connection}Content-Length: {body_len}\r\n\r\n"
    )
}

fn patch(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn counter(mut count: u64) -> [u8; COUNTER_DIGITS] {
    let mut digits = [b'0'; COUNTER_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = HEX[(count & 0xf) as usize];
        count >>= 4;
    }
    digits
}

/// The first 24 characters of an id in the shape of a UUID. Random per run, so that two runs never share a scan.
fn run_id() -> String {
    // The standard library's map seeds are random per process; that is all the randomness an id needs.
    let random = RandomState::new().build_hasher().finish();
    let id = format!(
        "{:08x}-{:04x}-7{:03x}-8{:03x}-",
        random >> 32,
        random >> 16 & 0xffff,
        random >> 4 & 0xfff,
        random & 0xfff
    );
    assert_eq!(id.len(), 24);
    id
}

/// Now, as readers write it: whole seconds, UTC, always 20 characters.
pub fn timestamp() -> String {
    let text = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    assert_eq!(text.len(), 20);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn body_of(request: &[u8]) -> serde_json::Value {
        let text = std::str::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), body.len());
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn requests_carry_their_code_and_a_scan_id_of_their_own() {
        let mut writer = RequestWriter::new("127.0.0.1:8080", &Device::default());
        let (mut request, mut scan_ids) = (Vec::new(), HashSet::new());
        for code in ["DEMO-STD-000001", "DEMO-STAFF-001", "DEMO-STD-000002", "DEMO-STAFF-100"].repeat(20) {
            writer.write(&mut request, code, Instant::now());
            let body = body_of(&request);
            assert_eq!(body["qr_data"], code);
            assert_eq!(body["device_id"], "KQT300_900");
            assert_eq!(body["scan_id"].as_str().unwrap().len(), 36);
            assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
            assert!(scan_ids.insert(body["scan_id"].to_string()));
        }
    }

    #[test]
    fn two_runs_share_no_scan_id() {
        assert_ne!(run_id(), run_id());
    }
}
