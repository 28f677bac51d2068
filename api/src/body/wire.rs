//! The readers' own text form, in every variant seen on real devices, and the bare code. Knows no JSON.
//!
//! ```text
//! documented      vgdecoderesult=X&&devicenumber=N[&&otherparams=…]
//! single &        vgdecoderesult=X&devicenumber=N
//! misspelt        vgdecoderresult=…
//! no separators   vgdecoderesultXdevicenumberN[otherparams]
//! bare            X
//! ```
//!
//! X is what somebody put before a lens and may hold any of these words. It ends at the *last* device number, so a
//! printed code can never say which device scanned it.

use super::fields::{Field, Fields, Scalar, trimmed};
use super::{BodyError, Wire};

/// Longest body in the text form, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 4 * 1024;

const KEYS: [&str; 2] = ["vgdecoderesult", "vgdecoderresult"];

/// The fields of a body that is not JSON. Nothing is URL-decoded: the readers do not encode.
pub(super) fn fields(body: &[u8]) -> Result<Fields<'_>, BodyError> {
    if body.len() > TEXT_BYTES_MAX {
        return Err(BodyError::whole(format!("has {} bytes, {TEXT_BYTES_MAX} is the most", body.len())));
    }
    let text = std::str::from_utf8(body).map_err(|_| {
        BodyError::whole("not UTF-8; set the reader to send codes as text and card numbers as hexadecimal")
    })?;
    let text = trimmed(text);
    let parts = split(text);
    let mut fields = Fields::of(parts.wire);
    fields.set(Field::ReaderCode, Scalar::Text(parts.code))?;
    if let Some(number) = parts.number {
        fields.set(Field::DeviceNumber, Scalar::Text(number.trim()))?;
    }
    Ok(fields)
}

struct Parts<'a> {
    wire: Wire,
    code: &'a str,
    number: Option<&'a str>,
}

fn split(text: &str) -> Parts<'_> {
    let start = text.trim_start_matches(['\r', '\n', ' ']);
    let Some(rest) = KEYS.iter().find_map(|key| start.strip_prefix(key)) else {
        return Parts { wire: Wire::Bare, code: text, number: None };
    };
    match rest.strip_prefix('=') {
        Some(rest) => separated(rest),
        None => unseparated(rest),
    }
}

fn separated(rest: &str) -> Parts<'_> {
    let (code, number) = match rest.rsplit_once("&devicenumber=") {
        Some((code, number)) => (one_ampersand_less(code), Some(until(number, "&"))),
        None => match rest.rsplit_once("&otherparams=") {
            Some((code, _)) => (one_ampersand_less(code), None),
            None => (rest, None),
        },
    };
    Parts { wire: Wire::Text, code, number }
}

/// The separator is `&&`, on some readers `&`.
fn one_ampersand_less(code: &str) -> &str {
    code.strip_suffix('&').unwrap_or(code)
}

fn unseparated(rest: &str) -> Parts<'_> {
    let (code, number) = match rest.rsplit_once("devicenumber") {
        Some((code, number)) => (code, Some(until(number, "otherparams"))),
        None => (rest, None),
    };
    Parts { wire: Wire::Text, code, number }
}

fn until<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or(text, |(before, _)| before)
}
