//! Replies: a pure function of stored facts, so that the same answer gives the same bytes for as long as it is kept.
//! Knows the two forms of a reply; knows no clock, no HTTP and no rule.

use super::json::{push_bool, push_number, push_text, push_text_or_null};
use super::message::{self, Line};
use super::{Profile, Reply, Sound, Templates};
use crate::body::rfc3339;
use engine::catalog::{Catalog, Direction, FailPolicy};
use engine::decision::{Answer, Reason, ScanKind, TicketFacts, Verdict};

/// What an answer is rendered from.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// The answer, as it was decided or kept.
    pub answer: &'a Answer,
    /// The id under which it is found again; empty: it is not kept.
    pub scan_id: &'a str,
    /// For names and the venue's clock.
    pub catalog: &'a Catalog,
    /// Does the device show the holder's name?
    pub shows_name: bool,
}

/// Appends the reply to a scan. 250 to 420 ns; allocates nothing but the buffer's growth, and a time where one is told.
pub fn answer(profile: &Profile, rendering: &Rendering<'_>, out: &mut Vec<u8>) {
    let answer = rendering.answer;
    let message = message::message(answer, rendering.catalog);
    let display = message::display(answer, &message, rendering.shows_name);
    match &profile.reply {
        Reply::Json => answer_json(rendering, &message, &display, out),
        Reply::Templates(templates) => {
            let template = if answer.verdict.admits() { &templates.allow } else { &templates.deny };
            let sound = templates.sounds.of(sound(answer.verdict));
            template.fill(display.as_str(), sound, &templates.limits, out);
        }
    }
}

/// Appends the reply to a request that is wrong or cannot be served. It never opens.
pub fn fault(profile: &Profile, status: u16, code: &str, message: &str, out: &mut Vec<u8>) {
    fault_with(profile, status, code, message, None, out);
}

/// Appends the reply of a server that cannot decide: neither an admission nor a refusal. A device that understands
/// JSON is told the gate's fail policy; a reader that does not never opens by it.
pub fn unavailable(profile: &Profile, fail_policy: FailPolicy, out: &mut Vec<u8>) {
    fault_with(
        profile,
        503,
        "unavailable",
        "cannot decide now; scan again in a moment",
        Some(fail_policy),
        out,
    );
}

/// Appends the reply to a heartbeat that came as a scan. It says nothing and never opens.
pub fn heartbeat(profile: &Profile, out: &mut Vec<u8>) {
    match &profile.reply {
        Reply::Json => out.extend_from_slice(
            br#"{"status":"heartbeat","access_granted":false,"device_action":{"unlock_door":false,"display_message":null,"sound_alert":null}}"#,
        ),
        Reply::Templates(templates) => {
            templates.heartbeat.fill("", templates.sounds.of(Sound::Success), &templates.limits, out);
        }
    }
}

fn fault_with(
    profile: &Profile,
    status: u16,
    code: &str,
    message: &str,
    policy: Option<FailPolicy>,
    out: &mut Vec<u8>,
) {
    let display = fault_display(status);
    match &profile.reply {
        Reply::Json => fault_json(code, message, display, policy, out),
        Reply::Templates(templates) => fault_text(templates, display, out),
    }
}

fn fault_text(templates: &Templates, display: &str, out: &mut Vec<u8>) {
    templates.error.fill(display, templates.sounds.of(Sound::Error), &templates.limits, out);
}

/// What the guest reads; the message of a fault is for whoever wired the device.
fn fault_display(status: u16) -> &'static str {
    match status {
        429 => "One moment, please scan again",
        401 | 403 => "This reader is not admitted, please ask the staff",
        500.. => "Please wait and scan again",
        _ => "Not readable, please ask the staff",
    }
}

fn sound(verdict: Verdict) -> Sound {
    match verdict {
        Verdict::Admit { attention: None } => Sound::Success,
        Verdict::Admit { attention: Some(_) } => Sound::Warning,
        Verdict::Deny(Reason::AlreadyUsed | Reason::AlreadyInside) => Sound::Warning,
        Verdict::Deny(_) => Sound::Error,
    }
}

fn answer_json(rendering: &Rendering<'_>, message: &Line, display: &Line, out: &mut Vec<u8>) {
    let Rendering { answer, scan_id, catalog, .. } = rendering;
    let admits = answer.verdict.admits();
    out.extend_from_slice(match admits {
        true => br#"{"status":"success","access_granted":true,"message":"#.as_slice(),
        false => br#"{"status":"denied","access_granted":false,"message":"#,
    });
    push_text(message.as_str(), out);
    push_key("reason", out);
    push_text_or_null(answer.verdict.denial().map(Reason::code), out);
    push_key("scan_id", out);
    push_text_or_null(Some(*scan_id).filter(|id| !id.is_empty()), out);
    push_key("direction", out);
    push_text(direction_word(answer.direction), out);
    push_key("gate", out);
    push_text_or_null(message::gate_name(answer.gate, catalog), out);
    push_key("ticket_info", out);
    match &answer.ticket {
        Some(facts) => ticket_json(facts, rendering, out),
        None => out.extend_from_slice(b"null"),
    }
    action_json(admits, Some(display.as_str()), sound(answer.verdict), out);
    additions_json(answer, out);
    out.push(b'}');
}

fn ticket_json(facts: &TicketFacts, rendering: &Rendering<'_>, out: &mut Vec<u8>) {
    let (reference, holder) = (facts.label.reference(), facts.label.holder());
    out.extend_from_slice(br#"{"ticket_id":"#);
    if reference.is_empty() {
        out.push(b'"');
        push_number(u64::from(facts.ticket.0), out);
        out.push(b'"');
    } else {
        push_text(reference, out);
    }
    push_key("customer_name", out);
    push_text_or_null(Some(holder).filter(|holder| rendering.shows_name && !holder.is_empty()), out);
    out.extend_from_slice(br#","valid_until":""#);
    rfc3339::write(facts.valid_until, out);
    out.extend_from_slice(br#"","ticket_type":"#);
    push_text_or_null(rendering.catalog.ticket_type(facts.type_id).map(|kind| kind.name.as_str()), out);
    push_key("remaining_uses", out);
    match facts.remaining {
        Some(remaining) => push_number(u64::from(remaining), out),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// What the plan's answer does not have.
fn additions_json(answer: &Answer, out: &mut Vec<u8>) {
    let attention = match answer.verdict {
        Verdict::Admit { attention } => attention,
        Verdict::Deny(_) => None,
    };
    push_key("attention", out);
    push_text_or_null(attention.map(Reason::code), out);
    push_key("people", out);
    push_number(u64::from(answer.people), out);
    if let Some(overridden) = answer.overridden {
        push_key("overridden", out);
        push_text(overridden.code(), out);
    }
    if answer.kind == ScanKind::Test {
        push_key("test", out);
        push_bool(true, out);
    }
}

fn fault_json(code: &str, message: &str, display: &str, policy: Option<FailPolicy>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"status":"error","error":"#);
    push_text(code, out);
    push_key("message", out);
    push_text(message, out);
    if let Some(policy) = policy {
        push_key("fail_policy", out);
        push_text(if policy == FailPolicy::Open { "open" } else { "closed" }, out);
    }
    action_json(false, Some(display), Sound::Error, out);
    out.push(b'}');
}

fn action_json(unlock: bool, display: Option<&str>, sound: Sound, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","device_action":{"unlock_door":"#);
    push_bool(unlock, out);
    push_key("display_message", out);
    push_text_or_null(display, out);
    push_key("sound_alert", out);
    push_text(sound.name(), out);
    out.push(b'}');
}

fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Entry => "entry",
        Direction::Exit => "exit",
    }
}

fn push_key(key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}
