//! Scan bodies in and replies out, as the device port reads and writes them. Knows the contract's own example; knows
//! no HTTP and no decision.

use api::body::{Presented, Scratch, parse_scan};
use api::profile::{Profiles, Rendering, render};
use engine::catalog::Catalog;
use engine::decision::{Answer, Scan, ScanKind};
use serde::Deserialize;

use crate::venue::{self, Rule};

/// The contract's example, 149 bytes.
pub const EXAMPLE: &[u8] = br#"{"device_id":"KQT300_001","qr_data":"TICKET_QR_CODE_123","timestamp":"2024-01-15T10:30:00Z","location":"ENTRANCE_01","api_key":"device_api_key_here"}"#;
/// The same fields, written so that only the general reader takes them: one character is escaped.
pub const EXAMPLE_ESCAPED: &[u8] = br#"{"device_id":"KQT300_001","qr_data":"TICKET\u005fQR_CODE_123","timestamp":"2024-01-15T10:30:00Z","location":"ENTRANCE_01","api_key":"device_api_key_here"}"#;

const _: () = assert!(EXAMPLE.len() == 149);

/// Bytes of the code in a body, read as the device port reads it. The same `scratch` serves every body.
pub fn parse(body: &[u8], scratch: &mut Scratch) -> usize {
    let scan = parse_scan(body, scratch).expect("the example is a scan");
    match scan.presented {
        Presented::Code(code) | Presented::Card(code) => code.len(),
    }
}

#[derive(Deserialize)]
struct Plain<'a> {
    #[serde(borrow)]
    qr_data: std::borrow::Cow<'a, str>,
    #[expect(dead_code, reason = "read for the comparison, not used")]
    device_id: &'a str,
    #[expect(dead_code, reason = "read for the comparison, not used")]
    timestamp: &'a str,
    #[expect(dead_code, reason = "read for the comparison, not used")]
    location: &'a str,
    #[expect(dead_code, reason = "read for the comparison, not used")]
    api_key: &'a str,
}

/// The same with serde_json and five known fields: no limits, no other spellings, no time read.
pub fn parse_serde_json(body: &[u8]) -> usize {
    serde_json::from_slice::<Plain<'_>>(body).expect("the example is JSON").qr_data.len()
}

/// What simd-json takes along from body to body: it writes into what it reads, so it gets a copy.
#[derive(Default)]
pub struct SimdJson {
    body: Vec<u8>,
    buffers: simd_json::Buffers,
}

// === impl SimdJson ===

impl SimdJson {
    /// The same with simd-json into the same five fields. Its copy of the body is a part of its price.
    pub fn parse(&mut self, body: &[u8]) -> usize {
        self.body.clear();
        self.body.extend_from_slice(body);
        simd_json::serde::from_slice_with_buffers::<Plain<'_>>(&mut self.body, &mut self.buffers)
            .expect("the example is JSON")
            .qr_data
            .len()
    }
}

/// An admission, ready to be written as a reply.
pub struct Reply {
    profiles: Profiles,
    catalog: Catalog,
    answer: Answer,
}

// === impl Reply ===

impl Reply {
    /// The admission of a fresh ticket.
    pub fn admission() -> Reply {
        let state = venue::state(1, Rule::Standard);
        let code = venue::code(0);
        let scan = Scan {
            device: venue::DEVICE_ID,
            gate: venue::GATE_ID,
            code_kind: engine::ticket::CodeKind::Optical,
            code: &code,
            scan_id: None,
            scanned_at: None,
            direction: None,
            people: None,
            kind: ScanKind::Validate,
            overriding: None,
            shown: None,
        };
        let found = state.tickets.find(scan.code_kind, scan.code);
        let answer = engine::decide::decide(&state.view(&scan, found, venue::BEGIN), &scan).answer;
        assert!(answer.verdict.admits());
        let profiles = Profiles::load(None).expect("the built-in profiles are good");
        Reply { profiles, catalog: Catalog::clone(&state.catalog), answer }
    }

    /// Writes the reply in the profile of this name and gives its bytes.
    pub fn render(&self, profile: &str, out: &mut Vec<u8>) -> usize {
        let rendering = Rendering {
            answer: &self.answer,
            scan_id: "00000000-0000-4000-8000-000000000001",
            catalog: &self.catalog,
            shows_name: true,
        };
        out.clear();
        render::answer(self.profiles.get(self.profiles.id_of(profile)), &rendering, out);
        out.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_readers_find_the_same_code() {
        let (mut scratch, mut simd_json) = (Scratch::default(), SimdJson::default());
        let lengths = [
            parse(EXAMPLE, &mut scratch),
            parse(EXAMPLE_ESCAPED, &mut scratch),
            parse_serde_json(EXAMPLE),
            parse_serde_json(EXAMPLE_ESCAPED),
            simd_json.parse(EXAMPLE),
            simd_json.parse(EXAMPLE_ESCAPED),
        ];
        assert_eq!(lengths, ["TICKET_QR_CODE_123".len(); 6]);
    }

    #[test]
    fn the_reply_is_an_admission_in_json() {
        let mut out = Vec::new();
        Reply::admission().render("json", &mut out);
        let reply: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(reply["access_granted"], true);
    }
}
