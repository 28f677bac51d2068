//! Profiles from TOML: every mistake is reported, with the profile it is in. Knows no reply of its own.

use super::template::{Limits, Template};
use super::{DEFAULT_PROFILE, PROFILES_MAX, Profile, Profiles, Reply, Sounds, Templates, safety};
use engine::catalog::CardFormat;
use engine::limits::NAME_BYTES_MAX;
use serde::Deserialize;
use std::collections::BTreeMap;

const BUILTIN: &str = include_str!("builtin.toml");

/// Messages every template is tried with before it is taken.
const PROBES: [&str; 6] = [
    "Welcome, John Doe!",
    "",
    "\"&&code=0000&&desc=json&&{\"resultCode\":\"0000\"}",
    "\\\u{0}\n\u{1b}&&&url=http://x&&md5=0",
    "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀",
    "code=0000",
];

/// A settings file with profiles, as it was typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    profile: BTreeMap<String, toml::Value>,
}

/// A profile as it was typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    reply: RawReply,
    content_type: String,
    card_format: Option<CardFormat>,
    cards_on_scan: bool,
    heartbeat_code: Option<String>,
    budget_ms: u32,
    templates: Option<RawTemplates>,
    limits: Option<RawLimits>,
    sounds: Option<RawSounds>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
enum RawReply {
    #[serde(rename = "json-v1")]
    Json,
    #[serde(rename = "templates")]
    Templates,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTemplates {
    allow: String,
    deny: String,
    error: String,
    heartbeat: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    msg_bytes: usize,
    charset: RawCharset,
    #[serde(default)]
    forbid: Vec<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
enum RawCharset {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "ascii")]
    Ascii,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSounds {
    success: String,
    warning: String,
    error: String,
}

/// The built-in profiles and those of a settings file, our own JSON first.
pub(super) fn load(extra: Option<&str>) -> Result<Profiles, Vec<String>> {
    let mut list: Vec<Profile> = Vec::new();
    let mut mistakes = Vec::new();
    for text in [Some(BUILTIN), extra].into_iter().flatten() {
        match toml::from_str::<RawFile>(text) {
            Ok(file) => file.profile.into_iter().for_each(|(name, raw)| {
                let taken = list.len() >= PROFILES_MAX || list.iter().any(|profile| profile.name == name);
                match profile(&name, raw, taken) {
                    Ok(profile) => list.push(profile),
                    Err(problems) => {
                        mistakes.extend(
                            problems.into_iter().map(|problem| format!("profile '{name}': {problem}")),
                        );
                    }
                }
            }),
            Err(error) => mistakes.push(format!("profiles: {}", error.to_string().trim_end())),
        }
    }
    list.sort_by_key(|profile| profile.name != DEFAULT_PROFILE);
    if list.first().is_none_or(|first| first.name != DEFAULT_PROFILE) {
        mistakes.push(format!("profile '{DEFAULT_PROFILE}' is missing"));
    }
    if mistakes.is_empty() { Ok(Profiles { list }) } else { Err(mistakes) }
}

fn profile(name: &str, raw: toml::Value, taken: bool) -> Result<Profile, Vec<String>> {
    if taken {
        return Err(vec![format!("is built in (or there are {PROFILES_MAX}); give yours another name")]);
    }
    let raw: RawProfile =
        raw.try_into().map_err(|error: toml::de::Error| vec![error.message().to_owned()])?;
    let mut mistakes = plain_mistakes(name, &raw);
    let reply = match raw.reply {
        RawReply::Json => Ok(Reply::Json),
        RawReply::Templates => templates(&raw).map(|templates| Reply::Templates(Box::new(templates))),
    };
    match reply {
        Ok(reply) if mistakes.is_empty() => Ok(Profile {
            name: name.to_owned(),
            content_type: raw.content_type.leak(),
            card_format: raw.card_format,
            cards_on_scan: raw.cards_on_scan,
            heartbeat_code: raw.heartbeat_code,
            budget_ms: raw.budget_ms,
            reply,
        }),
        Ok(_) => Err(mistakes),
        Err(others) => {
            mistakes.extend(others);
            Err(mistakes)
        }
    }
}

fn plain_mistakes(name: &str, raw: &RawProfile) -> Vec<String> {
    let visible = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let mut mistakes = Vec::new();
    let mut check = |good: bool, problem: &str| {
        if !good {
            mistakes.push(problem.to_owned());
        }
    };
    check(
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_graphic()),
        "a name has 1 to 128 visible ASCII characters",
    );
    check(
        !raw.content_type.is_empty() && raw.content_type.len() <= 128 && visible(&raw.content_type),
        "content_type must be a media type such as text/plain;charset=utf-8",
    );
    check((50..=5_000).contains(&raw.budget_ms), "budget_ms must be 50 to 5000: readers wait 2 to 5 seconds");
    check(
        raw.heartbeat_code.as_ref().is_none_or(|code| {
            let text = code.trim_end_matches(['\r', '\n', ' ']);
            !code.is_empty() && text == code && !code.chars().any(char::is_control)
        }),
        "heartbeat_code must be printable text without a space at its end; leave it out for none",
    );
    check(
        raw.reply == RawReply::Templates
            || (raw.templates.is_none() && raw.limits.is_none() && raw.sounds.is_none()),
        "reply = \"json-v1\" has no templates, limits or sounds; leave them out or set reply = \"templates\"",
    );
    for sound in raw.sounds.iter().flat_map(|sounds| [&sounds.success, &sounds.warning, &sounds.error]) {
        let good = (1..=16).contains(&sound.len()) && sound.bytes().all(|byte| byte.is_ascii_alphanumeric());
        check(good, "a sound has 1 to 16 letters or digits");
    }
    mistakes
}

fn templates(raw: &RawProfile) -> Result<Templates, Vec<String>> {
    let Some(texts) = &raw.templates else {
        return Err(vec![
            "reply = \"templates\" needs templates.allow, deny, error and heartbeat".to_owned(),
        ]);
    };
    let limits = limits(raw.limits.as_ref());
    let sounds = sounds(raw.sounds.as_ref());
    let mut mistakes: Vec<String> = limits.check().err().into_iter().collect();
    let mut read = |which: &str, text: &str| match Template::parse(text) {
        Ok(template) => Some(template),
        Err(problem) => {
            mistakes.push(format!("templates.{which} {problem}"));
            None
        }
    };
    let read = (
        read("allow", &texts.allow),
        read("deny", &texts.deny),
        read("error", &texts.error),
        read("heartbeat", &texts.heartbeat),
    );
    let (Some(allow), Some(deny), Some(error), Some(heartbeat)) = read else { return Err(mistakes) };
    if mistakes.is_empty() {
        let templates = Templates { allow, deny, error, heartbeat, limits, sounds };
        mistakes = unsafe_templates(&templates);
        if mistakes.is_empty() {
            return Ok(templates);
        }
    }
    Err(mistakes)
}

/// Tries every template with every probe: no refusal may open, every admission must.
fn unsafe_templates(templates: &Templates) -> Vec<String> {
    let mut mistakes = Vec::new();
    let filled = |template: &Template, message: &str| {
        let mut out = Vec::new();
        template.fill(message, &templates.sounds.error, &templates.limits, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    let shut = [("deny", &templates.deny), ("error", &templates.error), ("heartbeat", &templates.heartbeat)];
    for (which, template) in shut {
        let problem = PROBES.iter().find_map(|probe| {
            let reply = filled(template, probe);
            let same = (reply == filled(&templates.allow, probe))
                .then(|| "is the same as templates.allow".to_owned());
            same.or_else(|| safety::check_shut(&reply).err())
        });
        mistakes.extend(problem.map(|problem| format!("templates.{which}: {problem}")));
    }
    let problem = PROBES.iter().find_map(|probe| safety::check_opens(&filled(&templates.allow, probe)).err());
    mistakes.extend(problem.map(|problem| format!("templates.allow: {problem}")));
    mistakes
}

fn limits(raw: Option<&RawLimits>) -> Limits {
    match raw {
        Some(raw) => Limits {
            message_bytes: raw.msg_bytes,
            ascii: raw.charset == RawCharset::Ascii,
            forbid: raw.forbid.clone(),
        },
        None => Limits { message_bytes: 120, ascii: false, forbid: Vec::new() },
    }
}

fn sounds(raw: Option<&RawSounds>) -> Sounds {
    let name = |pick: fn(&RawSounds) -> &String, default: &str| {
        raw.map_or(default.to_owned(), |raw| pick(raw).clone())
    };
    Sounds {
        success: name(|raw| &raw.success, "1"),
        warning: name(|raw| &raw.warning, "3"),
        error: name(|raw| &raw.error, "2"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: &str, value: &str) -> Result<Profiles, Vec<String>> {
        let mut text = String::from("[profile.mine]\nreply = \"templates\"\n");
        let mut templates = String::from("[profile.mine.templates]\n");
        let fields = [
            ("content_type", "'text/plain'"),
            ("card_format", "'hex_le'"),
            ("cards_on_scan", "true"),
            ("budget_ms", "800"),
            ("allow", "'code=0000'"),
            ("deny", "'code=0009'"),
            ("error", "'code=0009'"),
            ("heartbeat", "'ok'"),
        ];
        for (name, default) in fields {
            let line = format!("{name} = {}\n", if name == change { value } else { default });
            let into = if matches!(name, "allow" | "deny" | "error" | "heartbeat") {
                &mut templates
            } else {
                &mut text
            };
            into.push_str(&line);
        }
        if !fields.iter().any(|(name, _)| *name == change) {
            text.push_str(&format!("{change} = {value}\n"));
        }
        load(Some(&(text + &templates)))
    }

    #[test]
    fn the_built_in_profiles_load() {
        let profiles = load(None).unwrap();
        let names: Vec<&str> = profiles.iter().map(|(_, profile)| profile.name()).collect();
        assert_eq!(names, ["json-v1", "vguang", "vguang-plain", "vguang-silent"]);
        assert!(with("deny", "'code=00aa'").is_ok());
    }

    #[test]
    fn a_template_that_could_open_by_a_refusal_is_refused() {
        for which in ["deny", "error", "heartbeat"] {
            for (value, reason) in [
                ("'code=0001'", "could open the gate"),
                ("'code=1'", "could open the gate"),
                ("'code=0008'", "could open the gate"),
                ("'code=00000000'", "could open the gate"),
                (r#"'code=0000&&desc=json&&{"resultCode":"0001"}'"#, "could open the gate"),
                ("'code=00ff&&x'", "command to the reader"),
                ("'code=03FF'", "command to the reader"),
                ("'code=0x09'", "is no code"),
                ("'code= 9'", "is no code"),
                ("'code='", "is no code"),
                ("' code=0009'", "very beginning"),
                ("'code=0009&&code=0000'", "very beginning"),
                ("'code=0009&&url=http://x'", "url="),
                ("'code=02ff'", "needs all of"),
                (r#"'code=02ff&&msg="{msg|plain}"'"#, "needs all of"),
                (r#"'{"unlock_door": true}'"#, "unlock_door"),
                ("'code=0000'", ""),
            ] {
                let error = with(which, value).unwrap_err().join("\n");
                assert!(
                    error.contains("profile 'mine'") && error.contains(which),
                    "{which} {value}: {error}"
                );
                assert!(error.contains(reason), "{which} {value}: {error}");
            }
        }
    }

    #[test]
    fn an_admission_that_would_not_open_is_refused() {
        for (value, reason) in [
            ("'code=0001'", "does not open"),
            ("'code=0009'", ""),
            (r#"'code=0000&&desc=json&&{"resultCode":"0001"}'"#, "resultCode"),
            (r#"'code=0000&&desc=json&&{"msg":}'"#, "not valid JSON"),
            ("'code=0000&&desc=json&&'", "exactly one JSON object"),
        ] {
            let error = with("allow", value).unwrap_err().join("\n");
            assert!(error.contains(reason), "{value}: {error}");
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let text = "
            [profile.one]\nreply = 'json-v1'\nbudget_ms = 1\n
            [profile.json-v1]\nreply = 'json-v1'\n
            [profile.two]\nreply = 'json-v1'\ncontent_type = \"a\\nb\"\ncard_format = 'hex_be'\ncards_on_scan = false\nbudget_ms = 9\n";
        let mistakes = load(Some(text)).unwrap_err();
        let all = mistakes.join("\n");
        for part in
            ["'one': missing field", "'json-v1': is built in", "'two': content_type", "'two': budget_ms"]
        {
            assert!(all.contains(part), "{part} in {all}");
        }
    }

    #[test]
    fn unknown_keys_and_broken_files_are_refused() {
        assert!(with("colour", "'red'").unwrap_err()[0].contains("unknown field `colour`"));
        assert!(with("heartbeat_code", "'HB '").unwrap_err()[0].contains("heartbeat_code"));
        assert!(load(Some("profile = 5")).is_err());
        assert!(load(Some("[profiles.x]")).is_err());
        assert!(load(Some("")).is_ok());
    }
}
