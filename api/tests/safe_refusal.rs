//! The proof that a refusal never opens a gate: every reply we can send, read by models of the readers' firmware.
//!
//! The models are written from the readers' reply tables and share no code with the renderer. `Dw200` follows the
//! DW200 script (hexadecimal codes, 0 to 8 are success, JSON in the third part); `Older` the RTX200A and M350 manuals
//! (0000 is success); `Sloppy` is nobody's firmware but the worst one could be: it looks for the words anywhere.

mod reply_support;

use api::profile::{Profile, Profiles, render};
use engine::catalog::{CardFormat, Device, DeviceStatus, Direction, FailPolicy};
use engine::decision::{Answer, Fact, REASONS, Reason, ScanKind, Verdict};
use reply_support::{answered, fact_of, reply, venue};

// === the readers ===

/// What a reader does with a reply.
#[derive(Clone, Debug, PartialEq)]
enum Effect {
    /// The relay fires.
    Opens,
    /// Failure tone and lamp.
    Fails,
    /// The same with our text on the screen.
    FailsWithText(String),
    /// The script stops; nothing moves, but nobody is told anything.
    Throws,
    /// It fetches new firmware from an address in the reply.
    Updates,
    /// It sends its settings away.
    Discloses,
}

/// Bits of the setting `awifi_s`; bit 6 is the relay. The factory setting.
const AWIFI_S: u32 = 1089;
const RELAY: u32 = 1 << 6;

/// `parseInt(text, 16)` of the script: leading digits count, the rest is ignored.
fn parse_int_16(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let digits: String = text.chars().take_while(char::is_ascii_hexdigit).take(15).collect();
    u64::from_str_radix(&digits, 16).ok()
}

fn relay() -> Effect {
    if AWIFI_S & RELAY != 0 { Effect::Opens } else { Effect::Fails }
}

fn dw200(reply: &str) -> Effect {
    let Some(rest) = reply.strip_prefix("code=") else { return Effect::Fails };
    let parts: Vec<&str> = rest.split("&&").collect();
    match parse_int_16(parts[0]) {
        Some(0) if parts.get(1) == Some(&"desc=json") => dw200_json(parts.get(2).copied()),
        Some(0..=8) => relay(),
        Some(0x00FF | 0x03FF) => Effect::Updates,
        Some(0x01FF) => Effect::Discloses,
        Some(0x02FF) => dw200_text(&parts[1..]),
        Some(_) | None => Effect::Fails,
    }
}

fn dw200_json(part: Option<&str>) -> Effect {
    let Some(Ok(json)) = part.map(serde_json::from_str::<serde_json::Value>) else { return Effect::Throws };
    match json.get("resultCode") {
        None => relay(),
        Some(code) if code == "0000" => relay(),
        Some(_) => Effect::Fails,
    }
}

fn dw200_text(parts: &[&str]) -> Effect {
    let value = |nth: usize, name: &str| {
        let value = parts.get(nth)?.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"')?;
        (!value.contains('"')).then(|| value.to_owned())
    };
    match (value(0, "msg"), value(1, "play"), value(2, "msgTimeout"), parts.len()) {
        (Some(text), Some(_), Some(_), 3) => Effect::FailsWithText(text),
        _ => Effect::Throws,
    }
}

fn older(reply: &str) -> Effect {
    if reply.starts_with("code=0000") { Effect::Opens } else { Effect::Fails }
}

fn sloppy(reply: &str) -> Effect {
    let low = reply.to_ascii_lowercase();
    if low.contains("url=") || low.contains("md5=") {
        return Effect::Updates;
    }
    let opens = |at: usize| {
        let code: String = low[at + 5..].chars().take_while(char::is_ascii_hexdigit).collect();
        u64::from_str_radix(&code, 16).is_ok_and(|code| code <= 8)
    };
    if low.match_indices("code=").any(|(at, _)| opens(at)) { Effect::Opens } else { Effect::Fails }
}

/// A device that reads our own JSON opens for one word only.
fn json_device(reply: &str) -> Effect {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(reply) else { return Effect::Fails };
    if value["device_action"]["unlock_door"] == true { Effect::Opens } else { Effect::Fails }
}

/// A model of a reader.
type Reader = fn(&str) -> Effect;

/// Every reader with its name.
const READERS: [(&str, Reader); 4] =
    [("dw200", dw200), ("older", older), ("sloppy", sloppy), ("json", json_device)];

// === the claims ===

/// A refusal: no reader of any kind, rightly set up or not, opens or does anything but fail.
fn stays_shut(reply: &str, profile: &Profile) {
    for (name, reads) in READERS {
        let effect = reads(reply);
        assert!(
            matches!(effect, Effect::Fails | Effect::FailsWithText(_)),
            "{name} {effect:?} on {} {reply:?}",
            profile.name()
        );
    }
}

/// An admission: the readers the profile is for open, the others never do harm.
fn opens(reply: &str, profile: &Profile) {
    for (name, reads) in READERS {
        let effect = reads(reply);
        let meant = (name == "json") == profile.is_json();
        let good = match meant {
            true => effect == Effect::Opens,
            false => effect == Effect::Fails,
        };
        assert!(good, "{name} {effect:?} on {} {reply:?}", profile.name());
    }
}

fn profiles() -> Profiles {
    Profiles::load(None).expect("the built-in profiles are sound")
}

fn rendered(render: impl Fn(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    render(&mut out);
    String::from_utf8(out).expect("every reply is UTF-8")
}

/// Everything that is not an admission, with this text wherever text from outside can stand.
fn every_refusal(profile: &Profile, text: &str, give: impl Fn(&str)) {
    let catalog = venue(text);
    for reason in REASONS {
        for kind in [ScanKind::Validate, ScanKind::Test, ScanKind::Offline] {
            for shows_name in [true, false] {
                let answer = answered(Verdict::Deny(reason), fact_of(reason, text), text);
                give(&reply(profile, &Answer { kind, ..answer }, &catalog, text, shows_name));
            }
        }
    }
    for status in [400, 401, 403, 404, 405, 408, 409, 411, 413, 414, 415, 417, 429, 431, 500, 501, 503, 505] {
        give(&rendered(|out| render::fault(profile, status, text, text, out)));
    }
    for policy in [FailPolicy::Closed, FailPolicy::Open] {
        give(&rendered(|out| render::unavailable(profile, policy, out)));
    }
    give(&rendered(|out| render::heartbeat(profile, out)));
}

fn every_admission(profile: &Profile, text: &str, give: impl Fn(&str)) {
    let catalog = venue(text);
    for attention in std::iter::once(None).chain(REASONS.map(Some)) {
        for direction in [Direction::Entry, Direction::Exit] {
            let answer = answered(Verdict::Admit { attention }, Fact::None, text);
            let answer = Answer { direction, overridden: attention, ..answer };
            give(&reply(profile, &answer, &catalog, text, true));
            give(&reply(profile, &Answer { ticket: None, ..answer }, &catalog, text, false));
        }
    }
}

#[test]
fn no_refusal_fault_or_heartbeat_opens_any_reader() {
    for (_, profile) in profiles().iter() {
        every_refusal(profile, "John Doe", |reply| stays_shut(reply, profile));
    }
}

#[test]
fn every_admission_opens_the_readers_its_profile_is_for() {
    for (_, profile) in profiles().iter() {
        every_admission(profile, "John Doe", |reply| opens(reply, profile));
    }
}

#[test]
fn a_refusal_shows_its_reason_on_the_screen() {
    let profiles = profiles();
    let profile = profiles.get(profiles.id_of("vguang"));
    let answer = answered(Verdict::Deny(Reason::AlreadyUsed), fact_of(Reason::AlreadyUsed, ""), "");
    let reply = reply(profile, &answer, &venue("ENTRANCE_01"), "s", true);
    assert_eq!(dw200(&reply), Effect::FailsWithText("Already used at ENTRANCE_01 at 19:00".to_owned()));
}

#[test]
fn a_refusal_that_is_empty_or_cut_off_after_its_code_never_opens() {
    for (_, profile) in profiles().iter() {
        every_refusal(profile, "John Doe", |reply| {
            for end in (0..reply.len()).filter(|end| reply.is_char_boundary(*end)) {
                let cut = &reply[..end];
                assert_ne!(json_device(cut), Effect::Opens, "{cut:?}");
                // A code that is cut short is another code: `code=02ff` would be `code=0`. A reader acts on whole
                // replies only (Content-Length tells it); the model of one that does not is beyond any template.
                let code_cut =
                    reply.starts_with("code=") && ("code=".len() + 1.."code=0009".len()).contains(&end);
                if !code_cut {
                    assert!(
                        !matches!(dw200(cut), Effect::Opens | Effect::Updates | Effect::Discloses),
                        "{cut:?}"
                    );
                    assert_eq!(older(cut), Effect::Fails, "{cut:?}");
                }
            }
        });
    }
}

// === garbage ===

/// A small generator of its own, so that a seed gives the same cases for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

const PIECES: [&str; 40] = [
    "\"",
    "'",
    "\\",
    "\\\"",
    "&",
    "&&",
    "&&&",
    "code=",
    "code=0000",
    "CODE=0001",
    "code=00ff",
    "url=",
    "url=http://x/f",
    "md5=0",
    "desc=json",
    "{\"resultCode\":\"0000\"}",
    "}",
    "{",
    "msg=\"",
    "play=\"1\"",
    "msgTimeout=\"3000\"",
    "\"unlock_door\":true",
    "\u{0}",
    "\n",
    "\r\n",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "é",
    "😀",
    "👩‍👩‍👧‍👦",
    "a",
    "John",
    " ",
    "0",
    "co",
    "de=",
    "\u{feff}",
];

fn garbage(random: &mut Random) -> String {
    let pieces = match random.below(10) {
        0 => 0,
        1 => 60 + random.below(60),
        _ => 1 + random.below(12),
    };
    let mut text: String = (0..pieces).map(|_| PIECES[random.below(PIECES.len())]).collect();
    text.truncate(text.floor_char_boundary(255));
    text
}

#[test]
fn no_name_title_or_message_can_turn_a_refusal_into_an_admission_or_a_command() {
    let seed = 0x5AFE_0000_0000_0001;
    println!("seed {seed:#x}");
    let (mut random, profiles) = (Random(seed), profiles());
    let mut cases = 0;
    while cases < 6_000 {
        let text = garbage(&mut random);
        let catalog = venue(&text);
        let reason = REASONS[random.below(REASONS.len())];
        let attention = REASONS.get(random.below(40)).copied();
        for (_, profile) in profiles.iter() {
            let denial = answered(Verdict::Deny(reason), fact_of(reason, &text), &text);
            let sound = [
                reply(profile, &denial, &catalog, &text, true),
                rendered(|out| render::fault(profile, 400, &text, &text, out)),
            ];
            sound.iter().for_each(|reply| shut_despite(reply, profile));
            let admission = answered(Verdict::Admit { attention }, Fact::None, &text);
            opens_despite(&reply(profile, &admission, &catalog, &text, true), profile);
            cases += 1;
        }
    }
}

/// Our own JSON may quote anything, and is whole JSON: only its own readers, and those who look at the beginning,
/// are asked. The text form is read by all.
fn shut_despite(reply: &str, profile: &Profile) {
    if !profile.is_json() {
        return stays_shut(reply, profile);
    }
    assert!(serde_json::from_str::<serde_json::Value>(reply).is_ok(), "{reply:?}");
    for reads in [dw200, older, json_device] {
        assert_eq!(reads(reply), Effect::Fails, "{reply:?}");
    }
}

fn opens_despite(reply: &str, profile: &Profile) {
    if !profile.is_json() {
        return opens(reply, profile);
    }
    assert_eq!(json_device(reply), Effect::Opens, "{reply:?}");
    assert_eq!((dw200(reply), older(reply)), (Effect::Fails, Effect::Fails), "{reply:?}");
}

// === heartbeats ===

fn device(heartbeat_code: Option<&str>) -> Device {
    Device {
        name: "KQT300_800".to_owned(),
        gate: None,
        profile: "vguang".to_owned(),
        key_hashes: Vec::new(),
        number: Some("800".to_owned()),
        status: DeviceStatus::Active,
        rate_per_minute: None,
        card_format: Some(CardFormat::HexLe),
        heartbeat_code: heartbeat_code.map(str::to_owned),
        direction: None,
        sources: Vec::new(),
        shows_name: true,
        repeat_window_ms: 3_000,
        config_version: 1,
        settings: std::collections::BTreeMap::new(),
    }
}

#[test]
fn a_heartbeat_is_told_from_a_code() {
    let profiles = profiles();
    let profile = profiles.get(profiles.id_of("vguang"));
    let heartbeat = |own: Option<&str>, body: &str| {
        let mut scratch = api::body::Scratch::default();
        let fields = api::body::parse_request(body.as_bytes(), &mut scratch).unwrap();
        profile.is_heartbeat(&device(own), fields.code.unwrap_or(""))
    };
    assert!(heartbeat(Some("HB"), "vgdecoderesult=HB&&devicenumber=800&&otherparams="));
    assert!(heartbeat(Some("HB"), "vgdecoderesult=www.vguang.cn&&devicenumber=800"));
    assert!(heartbeat(None, "www.vguang.cn\r\n"));
    assert!(heartbeat(Some("HB"), r#"{"vgdecoderesult":"HB"}"#));
    assert!(!heartbeat(Some("HB"), "vgdecoderesult=HB2&&devicenumber=800"));
    assert!(!heartbeat(None, "vgdecoderesult=HB&&devicenumber=800"));
    assert!(!profile.is_heartbeat(&device(Some("")), ""));
    let json = profiles.get(profiles.id_of("json-v1"));
    assert!(!json.is_heartbeat(&device(None), "www.vguang.cn"));
}

// === the models themselves ===

#[test]
fn the_model_of_the_dw200_does_what_its_table_says() {
    assert_eq!(dw200("code=0000"), Effect::Opens);
    assert_eq!(dw200(r#"code=0000&&desc=json&&{"resultCode":"0000","msg":"x"}"#), Effect::Opens);
    assert_eq!(dw200(r#"code=0000&&desc=json&&{"resultCode":"0001"}"#), Effect::Fails);
    assert_eq!(dw200(r#"code=0000&&desc=json&&{"msg":"a&&b"}"#), Effect::Throws);
    (1..=8).for_each(|code| assert_eq!(dw200(&format!("code={code:04x}")), Effect::Opens));
    assert_eq!(dw200("code=0009"), Effect::Fails);
    assert_eq!(dw200("code=02ff"), Effect::Throws);
    let text = r#"code=02ff&&msg="No"&&play="2"&&msgTimeout="3000""#;
    assert_eq!(dw200(text), Effect::FailsWithText("No".to_owned()));
    assert_eq!(dw200("code=00ff&&url=http://x&&md5=1"), Effect::Updates);
    assert_eq!(dw200("code=01ff"), Effect::Discloses);
    assert_eq!(dw200(""), Effect::Fails);
    assert_eq!(sloppy(r#"msg="code=0001""#), Effect::Opens);
}
