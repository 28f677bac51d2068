//! A template's texts: placeholders, their formats, and values made harmless. Knows no layout.
//!
//! ```text
//! {holder}          the value
//! {holder|Guest}    or this, where there is none
//! {time:HH:MM}      a part of a time: YYYY YY MM DD HH MM SS, where MM behind HH are minutes
//! {code:last 4}     its end; {code:first 4} its beginning
//! {venue:upper}     in capitals
//! {{ and }}         the braces themselves
//! ```

use crate::Values;
use crate::limits::{TEXT_CHARS_MAX, VALUE_CHARS_MAX};
use unicode_normalization::UnicodeNormalization;

/// A text with places for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Plain(String),
    Field(Field),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    format: Format,
    /// Instead of a value that is not there.
    otherwise: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Format {
    AsIs,
    Upper,
    First(usize),
    Last(usize),
    Time(Vec<Piece>),
}

/// A piece of a time's format.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Plain(char),
    /// Where it is in `2026-11-25T19:05:00`.
    Digits(std::ops::Range<usize>),
}

// === impl Words ===

impl Words {
    /// A text as it is typed.
    ///
    /// # Errors
    /// What is wrong with a placeholder, or with the text.
    pub fn parse(text: &str) -> Result<Words, String> {
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(format!("a text has at most {TEXT_CHARS_MAX} characters"));
        }
        if let Some(control) = text.chars().find(|character| character.is_control() && *character != '\n') {
            return Err(format!("a text has no control characters, found {control:?}"));
        }
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err("a } without its {: for the brace itself write }}".to_owned());
            }
            let (field, after) =
                rest.split_once('}').ok_or("a { without its }: for the brace itself write {{".to_owned())?;
            if !plain.is_empty() {
                parts.push(Part::Plain(std::mem::take(&mut plain)));
            }
            parts.push(Part::Field(Field::parse(field)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Plain(plain));
        }
        Ok(Words(parts))
    }

    /// Filled in, for people: values are made harmless, a field without a value is named.
    pub fn fill(&self, values: &Values) -> String {
        self.filled(values, harmless)
    }

    /// Filled in for a code that a machine reads: values stay as they are, or it would be another ticket's.
    pub fn fill_exactly(&self, values: &Values) -> String {
        self.filled(values, str::to_owned)
    }

    fn filled(&self, values: &Values, made: fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Plain(text) => text.clone(),
            Part::Field(field) => match (present(values, &field.name), &field.otherwise) {
                (Some(value), _) => field.format.apply(&made(value)),
                (None, Some(otherwise)) => otherwise.clone(),
                (None, None) => format!("({}?)", field.name),
            },
        };
        self.0.iter().map(part).collect()
    }

    /// The names in it; `true`: it cannot do without.
    pub fn fields(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0.iter().filter_map(|part| match part {
            Part::Plain(_) => None,
            Part::Field(field) => Some((field.name.as_str(), field.otherwise.is_none())),
        })
    }
}

/// A value that is there and is not empty.
pub fn present<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    values.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
}

/// Is this a field's name?
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// A value as people may see it on paper: composed, on one line, without characters that steer a device or turn the text
/// around it round, and no longer than a line of paper can bear.
fn harmless(value: &str) -> String {
    let mut characters =
        value.nfc().filter(|character| !steers(*character)).map(|character| match character {
            character if character.is_control() => ' ',
            // Line and paragraph separators.
            '\u{2028}' | '\u{2029}' => ' ',
            character => character,
        });
    let mut kept: String = characters.by_ref().take(VALUE_CHARS_MAX).collect();
    if characters.next().is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

/// Overrides, embeddings and isolates of direction, and what has no width and no meaning on paper.
fn steers(character: char) -> bool {
    matches!(
        character,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{200b}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

// === impl Field ===

impl Field {
    fn parse(text: &str) -> Result<Field, String> {
        let (text, otherwise) = match text.split_once('|') {
            Some((text, otherwise)) => (text, Some(otherwise.to_owned())),
            None => (text, None),
        };
        let (name, format) = match text.split_once(':') {
            Some((name, format)) => (name, Format::parse(format)?),
            None => (text, Format::AsIs),
        };
        if !is_name(name) {
            return Err(format!("{{{name}}}: a field's name has a-z, 0-9 and _, such as {{holder}}"));
        }
        Ok(Field { name: name.to_owned(), format, otherwise })
    }
}

// === impl Format ===

impl Format {
    fn parse(text: &str) -> Result<Format, String> {
        let count = |text: &str| text.trim().parse().ok().filter(|n| (1..=VALUE_CHARS_MAX).contains(n));
        if text == "upper" {
            return Ok(Format::Upper);
        }
        if let Some(n) = text.strip_prefix("first ").and_then(count) {
            return Ok(Format::First(n));
        }
        if let Some(n) = text.strip_prefix("last ").and_then(count) {
            return Ok(Format::Last(n));
        }
        Format::time(text).ok_or_else(|| {
            format!("{text:?} is no format: a time such as HH:MM or YYYY-MM-DD, upper, first 4 or last 4")
        })
    }

    /// `None`: nothing of a time is in it, or a letter that is none of a time's.
    fn time(text: &str) -> Option<Format> {
        const PARTS: [(&str, std::ops::Range<usize>); 6] =
            [("YYYY", 0..4), ("YY", 2..4), ("MM", 5..7), ("DD", 8..10), ("HH", 11..13), ("SS", 17..19)];
        const MINUTES: std::ops::Range<usize> = 14..16;
        let (mut pieces, mut rest, mut hours_before) = (Vec::new(), text, false);
        while let Some(first) = rest.chars().next() {
            match PARTS.iter().find(|(letters, _)| rest.starts_with(letters)) {
                Some((letters, digits)) => {
                    let minutes = *letters == "MM" && hours_before;
                    hours_before = *letters == "HH";
                    pieces.push(Piece::Digits(if minutes { MINUTES } else { digits.clone() }));
                    rest = &rest[letters.len()..];
                }
                None if first.is_alphabetic() => return None,
                None => {
                    pieces.push(Piece::Plain(first));
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        pieces.iter().any(|piece| matches!(piece, Piece::Digits(_))).then_some(Format::Time(pieces))
    }

    fn apply(&self, value: &str) -> String {
        match self {
            Format::AsIs => value.to_owned(),
            Format::Upper => value.to_uppercase(),
            Format::First(n) => value.chars().take(*n).collect(),
            Format::Last(n) => value.chars().skip(value.chars().count().saturating_sub(*n)).collect(),
            Format::Time(pieces) => formatted(value, pieces).unwrap_or_else(|| value.to_owned()),
        }
    }
}

/// `None`: the value is no time (`2026-11-25T19:05:00`, in the venue's own time), or not all of it that is asked for.
fn formatted(value: &str, pieces: &[Piece]) -> Option<String> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'T' => byte == b'T' || byte == b' ',
        shape => byte == *shape,
    };
    let known = value.bytes().zip(SHAPE).take_while(|pair| fits(*pair)).count();
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Plain(character) => out.push(*character),
            Piece::Digits(range) if range.end <= known => out.push_str(&value[range.clone()]),
            Piece::Digits(_) => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let values = [
            ("holder", "Ana {gate} Pérez"),
            ("time", "2026-11-25T19:05:07+01:00"),
            ("code", "TKT-00012345"),
            ("steered", "a\u{202e}b\u{1b}@\nc\u{200b}"),
            ("empty", " "),
        ];
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Words::parse(text).unwrap().fill(&values)
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        for (text, wanted) in [
            ("Hello {holder}!", "Hello Ana {gate} Pérez!"),
            ("{time:HH:MM}", "19:05"),
            ("{time:DD.MM.YYYY HH:MM:SS}", "25.11.2026 19:05:07"),
            ("{time:MM/DD/YY}", "11/25/26"),
            ("…{code:last 4}", "…2345"),
            ("{code:first 3}", "TKT"),
            ("{holder:upper}", "ANA {GATE} PÉREZ"),
            ("{{{code}}}", "{TKT-00012345}"),
            ("{seat}", "(seat?)"),
            ("{seat|no seat}, {empty|none}", "no seat, none"),
            ("{steered}", "ab @ c"),
        ] {
            assert_eq!(filled(text), wanted, "{text}");
        }
        assert_eq!(filled("{code:HH:MM}"), "TKT-00012345", "what is no time stays as it is");
    }

    #[test]
    fn a_mistake_says_what_is_meant() {
        for (text, said) in [
            ("{holder", "a { without its }"),
            ("holder}", "a } without its {"),
            ("{Holder}", "a-z, 0-9 and _"),
            ("{}", "a-z, 0-9 and _"),
            ("{time:hh:mm}", "is no format"),
            ("{code:last}", "\"last\" is no format"),
            ("bell\u{7}", "no control characters"),
        ] {
            let found = Words::parse(text).unwrap_err();
            assert!(found.contains(said), "{text}: {found}");
        }
    }

    #[test]
    fn a_value_is_bounded_for_people_and_exact_for_machines() {
        let words = Words::parse("{code}").unwrap();
        let long = "x".repeat(VALUE_CHARS_MAX + 1);
        let values = Values::from([("code".to_owned(), long.clone())]);
        let shown = words.fill(&values);
        assert_eq!((shown.chars().count(), shown.ends_with("x…")), (VALUE_CHARS_MAX, true));
        assert_eq!(words.fill_exactly(&values), long);
    }
}
