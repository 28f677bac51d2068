//! Devices at the gates: they show codes with their own keys, in both formats, and ask again while there is no answer. They
//! know nothing of rules; what they are told becomes a line of the books.

use super::book::Line;
use crate::support::{Client, until};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// A device that works.
pub struct Device {
    pub name: String,
    pub key: String,
    pub gate: &'static str,
    /// It speaks the readers' own format: no ids, no reasons.
    pub is_reader: bool,
    scans: AtomicU32,
}

/// What a reader's answer does not say.
const UNSAID: &str = "unsaid";

impl Device {
    pub fn new(name: &str, key: &str, gate: &'static str, is_reader: bool) -> Device {
        Device { name: name.to_owned(), key: key.to_owned(), gate, is_reader, scans: AtomicU32::new(0) }
    }

    /// Shows a code; it has to be admitted (`None`) or refused for this reason.
    #[track_caller]
    pub fn shows(&self, at: SocketAddr, code: &str, refused: Option<&str>) -> Line {
        let mut line = self.tells(at, code);
        if refused.is_some() && line.refused.as_deref() == Some(UNSAID) {
            line.refused = refused.map(str::to_owned);
        }
        assert_eq!(line.refused.as_deref(), refused, "{line:?}");
        line
    }

    /// Shows a code, whatever comes of it.
    pub fn tells(&self, at: SocketAddr, code: &str) -> Line {
        let scan_id = self.next_id();
        let refused = self.asks(at, code, &scan_id).unwrap();
        self.line(code, scan_id, "validate", refused)
    }

    /// Shows a code to a server that may be gone and come back elsewhere; asks the same again until it is answered.
    pub fn insists(&self, at: &Mutex<SocketAddr>, code: &str) -> Line {
        let scan_id = self.next_id();
        let refused = until("an answer", || {
            let at = *at.lock().unwrap();
            self.asks(at, code, &scan_id).ok()
        });
        self.line(code, scan_id, "validate", refused)
    }

    /// What it showed by itself while it was cut off.
    pub fn showed_green(&self, code: &str) -> Line {
        self.line(code, self.next_id(), "offline", None)
    }

    /// Sends what it showed while it was cut off; what came of each row.
    pub fn uploads(&self, at: SocketAddr, lines: &[Line], when: &str) -> Vec<Value> {
        let row = |line: &Line| {
            json!({"qr_data": line.code, "timestamp": when, "access_granted": true, "scan_id": line.scan_id})
                .to_string()
        };
        let body = lines.iter().map(row).collect::<Vec<_>>().join("\n");
        let answer = self.posts(at, "/api/access/offline", &body).unwrap();
        answer["rows"].as_array().unwrap().clone()
    }

    /// Asks what there is for it to do.
    pub fn beats(&self, at: SocketAddr) -> Value {
        self.posts(at, "/api/kqt300/heartbeat", &json!({"device_id": self.name}).to_string()).unwrap()
    }

    /// Reports people that passed without a ticket.
    pub fn counts(&self, at: SocketAddr, people: i64) {
        self.posts(at, "/api/access/turns", &json!({"people": people}).to_string()).unwrap();
    }

    /// Sends again what it had sent under this id.
    pub fn repeats(&self, at: SocketAddr, code: &str, scan_id: &str) -> Value {
        let body = json!({"qr_data": code, "scan_id": scan_id}).to_string();
        self.posts(at, "/api/access/validate", &body).unwrap()
    }

    fn next_id(&self) -> String {
        let number = self.scans.fetch_add(1, Ordering::Relaxed) + 1;
        if self.is_reader { String::new() } else { format!("{}-{number}", self.name) }
    }

    fn line(&self, code: &str, scan_id: String, kind: &'static str, refused: Option<String>) -> Line {
        Line {
            device: self.name.clone(),
            gate: self.gate.to_owned(),
            scan_id,
            code: code.to_owned(),
            kind,
            refused,
            is_annulled: false,
        }
    }

    /// Why the guest is refused; `None`: the gate opens.
    fn asks(&self, at: SocketAddr, code: &str, scan_id: &str) -> io::Result<Option<String>> {
        if self.is_reader {
            return self.asks_as_reader(at, code);
        }
        let body = json!({"qr_data": code, "scan_id": scan_id}).to_string();
        let told = self.posts(at, "/api/access/validate", &body)?;
        assert_eq!(told["access_granted"], told["device_action"]["unlock_door"], "{told}");
        Ok((told["access_granted"] != true).then(|| told["reason"].as_str().unwrap().to_owned()))
    }

    fn asks_as_reader(&self, at: SocketAddr, code: &str) -> io::Result<Option<String>> {
        let path = format!("/d/{}/api/kqt300/scan", self.key);
        let body = format!("vgdecoderesult={code}&&devicenumber=7&&otherparams=");
        let told = Client::try_to(at)?.request("POST", &path, &[], body.as_bytes())?.text();
        assert!(told.starts_with("code=0000") || told.starts_with("code=02ff"), "{told}");
        Ok((!told.starts_with("code=0000")).then(|| UNSAID.to_owned()))
    }

    fn posts(&self, at: SocketAddr, path: &str, body: &str) -> io::Result<Value> {
        let key = [("X-Api-Key", self.key.as_str())];
        let answer = Client::try_to(at)?.request("POST", path, &key, body.as_bytes())?;
        if answer.status != 200 {
            return Err(io::Error::other(format!("{path}: {}", answer.text())));
        }
        Ok(answer.json())
    }
}
