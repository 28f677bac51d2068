//! The part of JSON's grammar that the SIMD parser is lenient about: one pass over the bytes before it runs.
//! Knows tokens and depth; how tokens may follow each other, and UTF-8, are the parser's.
//!
//! Why it exists, each with a test: simd-json 0.17 takes an escaped high surrogate without its partner, letters
//! glued to a number of 18 digits and more, and a zero byte after a literal; it refuses integers above 64 bits and
//! exponents above an f64 that JSON allows (unknown fields may hold anything), and has no limit of depth.

use super::BodyError;

/// Deepest nesting of lists and objects.
pub(super) const DEPTH_MAX: usize = 32;
/// What a number too large for the parser is replaced by. No field allows anything near it, and it is never longer
/// than what it replaces.
const OUT_OF_RANGE: &[u8] = b"1e300";
/// Longest number that surely fits.
const PLAIN_NUMBER_BYTES_MAX: usize = 15;

/// Refuses what the parser would wrongly take and rewrites in place what it would wrongly refuse.
pub(super) fn guard(bytes: &mut [u8]) -> Result<(), BodyError> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at)?,
            b'-' | b'0'..=b'9' => at = number_end(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(BodyError::whole(format!("JSON is nested deeper than {DEPTH_MAX} levels")));
                }
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => at += 1,
            _ => at = literal_end(bytes, at)?,
        }
    }
    Ok(())
}

fn broken(at: usize, problem: &str) -> BodyError {
    BodyError::whole(format!("not valid JSON: {problem} at byte {at}"))
}

/// The position after the closing quote.
fn string_end(bytes: &[u8], start: usize) -> Result<usize, BodyError> {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            None => return Err(broken(start, "a text without its closing quote")),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape_end(bytes, at)?,
            Some(0..0x20) => return Err(broken(at, "a control character that is not escaped")),
            Some(_) => at += 1,
        }
    }
}

/// The position after an escape; a surrogate comes with its partner or not at all.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, BodyError> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match (unit(bytes, at), unit(bytes, at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => Ok(at + 12),
            (Some(0xD800..=0xDFFF), _) => Err(broken(at, "half a surrogate pair")),
            (Some(_), _) => Ok(at + 6),
            (None, _) => Err(broken(at, "an escape \\u without four hexadecimal digits")),
        },
        _ => Err(broken(at, "an unknown escape")),
    }
}

/// The value of `\uXXXX` at this position.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let (escape, digits) = bytes.get(at..at + 6)?.split_at(2);
    if escape != b"\\u" {
        return None;
    }
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

/// The position after a number that is exactly one.
fn number_end(bytes: &mut [u8], start: usize) -> Result<usize, BodyError> {
    let wrong = || broken(start, "a malformed number");
    let mut at = start + usize::from(bytes[start] == b'-');
    let whole = digits(bytes, at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return Err(wrong());
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(bytes, at + 1);
        if fraction == 0 {
            return Err(wrong());
        }
        at += 1 + fraction;
    }
    let mut exponent = 0;
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        exponent = digits(bytes, at);
        if exponent == 0 {
            return Err(wrong());
        }
        at += exponent;
    }
    if !ends_token(bytes, at) {
        return Err(wrong());
    }
    if at - start > PLAIN_NUMBER_BYTES_MAX || exponent > 2 {
        let (number, rest) = bytes[start..at].split_at_mut(OUT_OF_RANGE.len());
        number.copy_from_slice(OUT_OF_RANGE);
        rest.fill(b' ');
    }
    Ok(at)
}

/// The position after `true`, `false` or `null`, which must end there.
fn literal_end(bytes: &[u8], start: usize) -> Result<usize, BodyError> {
    let literal = [&b"true"[..], b"false", b"null"].into_iter().find(|word| bytes[start..].starts_with(word));
    match literal.map(|word| start + word.len()) {
        Some(end) if ends_token(bytes, end) => Ok(end),
        _ => Err(broken(start, "neither a text in double quotes nor a number, true, false or null")),
    }
}

fn ends_token(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), None | Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'}'))
}

fn digits(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
}
