//! Reply templates: text with placeholders, and what a message may be within one. Knows no reason and no firmware.
//!
//! ```text
//! {msg|json}    the message as a JSON string, quotes included
//! {msg|plain}   the message between double quotes that the template has
//! {sound}       the device's name of the sound
//! ```
//! A brace before anything but a small letter is only a brace, so JSON can be written as it is.

use super::json;

/// What no message may hold, in any profile: the words by which the readers tell commands apart.
const NEVER: [&str; 4] = ["&&", "code=", "url=", "md5="];
/// Longest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 1_024;
/// Longest message a profile may ask for, in bytes.
const MESSAGE_BYTES_MAX: usize = 512;

/// A template that was read and found well formed.
#[derive(Clone, Debug)]
pub(super) struct Template {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Literal(String),
    MessageJson,
    MessagePlain,
    Sound,
}

/// What a message is cut down to.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) message_bytes: usize,
    pub(super) ascii: bool,
    pub(super) forbid: Vec<String>,
}

// === impl Template ===

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// An unknown placeholder, or a message where it could be more than a message.
    pub(super) fn parse(text: &str) -> Result<Template, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("has {} bytes, {TEMPLATE_BYTES_MAX} is the most", text.len()));
        }
        let template = Template { segments: segments(text)? };
        template.check_places()?;
        Ok(template)
    }

    /// A placeholder never stands where a command is read, and a plain message only between quotes.
    fn check_places(&self) -> Result<(), String> {
        let mut before = "";
        let mut command_over = false;
        for (nth, segment) in self.segments.iter().enumerate() {
            if let Segment::Literal(text) = segment {
                command_over = command_over || !text.starts_with("code=") || text.contains("&&");
                before = text;
                continue;
            }
            if nth == 0 || !command_over {
                return Err(
                    "a placeholder stands before the first &&, where the reader looks for its command".into(),
                );
            }
            let after = match self.segments.get(nth + 1) {
                Some(Segment::Literal(text)) => text,
                _ => "",
            };
            let quoted = before.ends_with('"') && after.starts_with('"');
            match segment {
                Segment::MessagePlain if !quoted => {
                    return Err("{msg|plain} must stand alone between double quotes".into());
                }
                Segment::MessageJson if before.ends_with('"') || after.starts_with('"') => {
                    return Err("{msg|json} brings its own quotes; leave yours out".into());
                }
                _ => before = "",
            }
        }
        Ok(())
    }

    /// Appends the reply. No allocation but the buffer's growth.
    pub(super) fn fill(&self, message: &str, sound: &str, limits: &Limits, out: &mut Vec<u8>) {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Segment::Sound => out.extend_from_slice(sound.as_bytes()),
                Segment::MessageJson => {
                    out.push(b'"');
                    limits.harmless(message, |character| json::escape_char(character, out));
                    out.push(b'"');
                }
                Segment::MessagePlain => limits.harmless(message, |character| push_plain(character, out)),
            }
        }
    }
}

/// Between double quotes nothing may end them, and nobody knows what the reader makes of a backslash.
fn push_plain(character: char, out: &mut Vec<u8>) {
    let character = match character {
        '"' => '\'',
        '\\' => '/',
        other => other,
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn segments(text: &str) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, tail) = rest.split_at(at);
        literal.push_str(before);
        if !tail[1..].starts_with(|character: char| character.is_ascii_lowercase()) {
            literal.push('{');
            rest = &tail[1..];
            continue;
        }
        let (name, after) = tail[1..]
            .split_once('}')
            .ok_or("a placeholder is not closed; write {msg|json}, {msg|plain} or {sound}")?;
        let segment = match name {
            "msg|json" => Segment::MessageJson,
            "msg|plain" => Segment::MessagePlain,
            "sound" => Segment::Sound,
            _ => {
                return Err(format!(
                    "unknown placeholder {{{name}}}; there are {{msg|json}}, {{msg|plain}} and {{sound}}"
                ));
            }
        };
        if !literal.is_empty() {
            segments.push(Segment::Literal(std::mem::take(&mut literal)));
        }
        segments.push(segment);
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        segments.push(Segment::Literal(literal));
    }
    Ok(segments)
}

// === impl Limits ===

impl Limits {
    /// Are the limits themselves within reason?
    pub(super) fn check(&self) -> Result<(), String> {
        if !(8..=MESSAGE_BYTES_MAX).contains(&self.message_bytes) {
            return Err(format!("limits.msg_bytes must be 8 to {MESSAGE_BYTES_MAX}"));
        }
        let good = |text: &String| {
            (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match self.forbid.iter().find(|text| !good(text)) {
            Some(text) => {
                Err(format!("limits.forbid holds '{text}'; each is 1 to 16 visible ASCII characters"))
            }
            None => Ok(()),
        }
    }

    /// Gives a message's characters, harmless: no control character, nothing forbidden, no longer than the limit.
    ///
    /// A forbidden word becomes one space. As none holds a space, what is left of it can form no other.
    fn harmless(&self, message: &str, mut give: impl FnMut(char)) {
        let mut room = self.message_bytes;
        let mut rest = message;
        while let Some(mut character) = rest.chars().next() {
            let mut len = character.len_utf8();
            if let Some(word) = self.forbidden(rest) {
                (character, len) = (' ', word);
            } else if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
                character = ' ';
            } else if self.ascii && !character.is_ascii() {
                character = '?';
            }
            if character.len_utf8() > room {
                return;
            }
            room -= character.len_utf8();
            give(character);
            rest = &rest[len..];
        }
    }

    /// The length of the forbidden word this text begins with, in whatever letters.
    fn forbidden(&self, text: &str) -> Option<usize> {
        let begins = |word: &str| {
            text.as_bytes().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        NEVER
            .into_iter()
            .chain(self.forbid.iter().map(String::as_str))
            .find(|word| begins(word))
            .map(str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(message_bytes: usize) -> Limits {
        Limits { message_bytes, ascii: false, forbid: vec!["<".to_owned()] }
    }

    fn filled(template: &str, message: &str, limits: &Limits) -> String {
        let mut out = Vec::new();
        Template::parse(template).unwrap().fill(message, "7", limits, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_is_harmless_wherever_it_stands() {
        let check = |message: &str, plain: &str, json: &str| {
            assert_eq!(filled(r#"m="{msg|plain}""#, message, &limits(40)), format!("m=\"{plain}\""));
            assert_eq!(filled(r#"{"m":{msg|json}}"#, message, &limits(40)), format!("{{\"m\":\"{json}\"}}"));
        };
        check("Welcome!", "Welcome!", "Welcome!");
        check(r#"a"b\c"#, "a'b/c", r#"a\"b\\c"#);
        check("a&&b&&&c&d", "a b &c&d", "a b &c&d");
        check("x CoDe=0000 url=http", "x  0000  http", "x  0000  http");
        check("co&&de=1", "co de=1", "co de=1");
        check("a\0b\nc\u{85}d\u{2028}e<f", "a b c d e f", "a b c d e f");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(filled(r#"m="{msg|plain}""#, "ééééé", &limits(9)), "m=\"éééé\"");
        assert_eq!(filled(r#"m="{msg|plain}""#, &"😀".repeat(99), &limits(8)), "m=\"😀😀\"");
        let ascii = Limits { message_bytes: 8, ascii: true, forbid: Vec::new() };
        assert_eq!(filled(r#"m="{msg|plain}""#, "Zürich 😀!", &ascii), "m=\"Z?rich ?\"");
    }

    #[test]
    fn a_template_with_a_mistake_is_refused_with_a_reason() {
        for (template, reason) in [
            ("code=02ff&&{name}", "unknown placeholder {name}"),
            ("code=02ff&&{msg}", "unknown placeholder {msg}"),
            ("code=02ff&&{msg|plain", "not closed"),
            ("{msg|json}", "before the first &&"),
            ("code={sound}&&x", "before the first &&"),
            ("code=0{sound}", "before the first &&"),
            ("code=02ff&&msg={msg|plain}", "between double quotes"),
            (r#"code=02ff&&msg="{msg|plain}x""#, "between double quotes"),
            (r#"code=02ff&&msg="{msg|json}""#, "brings its own quotes"),
        ] {
            let error = Template::parse(template).unwrap_err();
            assert!(error.contains(reason), "{template}: {error}");
        }
    }
}
