//! Encodings of lists: a byte order mark decides, else the name given, else it is UTF-8. What does not fit is told with
//! its line; nothing is replaced unseen. Knows no rows.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};

const NOT_UTF8: &str = "not UTF-8; save the list as UTF-8, or name its encoding with --encoding windows-1252 (in the API encoding=windows-1252)";
const IS_UTF8: &str =
    "this line is UTF-8, and the list is read as windows-1252; save the whole list in one encoding";
const NOT_WINDOWS: &str = "has bytes that windows-1252 does not have; save the list as UTF-8";
const BROKEN: &str = "has characters that are broken in the list's encoding";
const NUL: &str = "has a NUL character; a list in UTF-16 without a byte order mark needs its encoding named, such as utf-16le";
const MARK_INSIDE: &str = "has a byte order mark within; were two files joined?";

/// How the bytes of lines become text.
#[derive(Clone, Copy, Debug)]
pub struct Decoder(&'static Encoding);

/// The input with what has to be converted converted, and how its lines become text.
///
/// # Errors
/// It cannot be read, or nobody knows the encoding.
pub(crate) fn open(
    input: impl Read + 'static,
    named: Option<&str>,
) -> Result<(Box<dyn BufRead>, Decoder), String> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let head = input.fill_buf().map_err(|error| format!("cannot read the list: {error}"))?;
    let marked = Encoding::for_bom(head);
    let named = match named {
        Some(name) => Some(Encoding::for_label(name.as_bytes()).ok_or_else(|| {
            format!("unknown encoding '{name}', use for example utf-8, utf-16le or windows-1252")
        })?),
        None => None,
    };
    let encoding = marked.map(|(encoding, _)| encoding).or(named).unwrap_or(UTF_8);
    let decoder = Decoder(encoding);
    if encoding == UTF_8 || encoding == WINDOWS_1252 {
        input.consume(marked.map_or(0, |(_, len)| len));
        return Ok((Box::new(input), decoder));
    }
    let converted = encoding_rs_io::DecodeReaderBytesBuilder::new().encoding(Some(encoding)).build(input);
    Ok((Box::new(BufReader::with_capacity(1 << 16, converted)), decoder))
}

/// Is there an encoding of this name?
pub fn is_known(name: &str) -> bool {
    Encoding::for_label(name.as_bytes()).is_some()
}

/// The encoding a list is probably in, by its beginning; `whole`: it is not cut off.
pub fn guess(head: &[u8], whole: bool) -> &'static str {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return encoding.name();
    }
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let mostly = |count: usize| count > head.len() / 4;
    match std::str::from_utf8(head) {
        _ if mostly(zeros(1)) => "UTF-16LE",
        _ if mostly(zeros(0)) => "UTF-16BE",
        Ok(_) => "UTF-8",
        Err(error) if !whole && error.error_len().is_none() => "UTF-8",
        Err(_) => "windows-1252",
    }
}

impl Decoder {
    /// The encoding's name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// A line as text.
    ///
    /// # Errors
    /// What of it is no text in this encoding, or has no place in a list.
    pub fn text(self, line: &[u8]) -> Result<Cow<'_, str>, String> {
        let text = if self.0 == WINDOWS_1252 { windows(line)? } else { utf8(line)? };
        let problem = if self.0 != UTF_8 && text.contains(char::REPLACEMENT_CHARACTER) {
            BROKEN
        } else if memchr::memchr(0, text.as_bytes()).is_some() {
            NUL
        } else if !text.is_ascii() && text.contains('\u{feff}') {
            MARK_INSIDE
        } else {
            return Ok(text);
        };
        Err(problem.to_owned())
    }
}

fn utf8(line: &[u8]) -> Result<Cow<'_, str>, String> {
    std::str::from_utf8(line).map(Cow::Borrowed).map_err(|_| NOT_UTF8.to_owned())
}

fn windows(line: &[u8]) -> Result<Cow<'_, str>, String> {
    if !line.is_ascii() && std::str::from_utf8(line).is_ok() {
        return Err(IS_UTF8.to_owned());
    }
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(line);
    // What the code page does not have, the decoder makes a control character of.
    let unknown = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    if !text.is_ascii() && text.contains(unknown) { Err(NOT_WINDOWS.to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_guessed_by_marks_zeros_and_what_is_no_utf8() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        assert_eq!(guess("code\nZoë".as_bytes(), true), "UTF-8");
        assert_eq!(guess(b"\xef\xbb\xbfcode", true), "UTF-8");
        assert_eq!(guess(&"Zoë".as_bytes()[..3], false), "UTF-8");
        assert_eq!(guess(&"Zoë".as_bytes()[..3], true), "windows-1252");
        assert_eq!(guess(b"Zo\xeb;x", true), "windows-1252");
        assert_eq!(guess(&wide("code,type\n"), true), "UTF-16LE");
        assert_eq!(guess(&wide("\u{feff}code"), true), "UTF-16LE");
    }

    #[test]
    fn a_line_of_another_encoding_is_told_and_never_replaced() {
        let windows = Decoder(WINDOWS_1252);
        assert_eq!(windows.text(b"Zo\xeb \x80").unwrap(), "Zoë €");
        assert!(windows.text("Zoë".as_bytes()).unwrap_err().contains("is UTF-8"));
        assert!(windows.text(b"Zo\x81").unwrap_err().contains("does not have"));
        let utf8 = Decoder(UTF_8);
        assert!(utf8.text(b"Zo\xeb").unwrap_err().contains("--encoding"));
        assert!(utf8.text(b"a\0b").unwrap_err().contains("NUL"));
        assert!(utf8.text("a\u{feff}b".as_bytes()).unwrap_err().contains("byte order mark"));
        assert_eq!(utf8.text("a\u{fffd}".as_bytes()).unwrap(), "a\u{fffd}", "it stands in the list");
        assert!(Decoder(encoding_rs::UTF_16LE).text("a\u{fffd}".as_bytes()).is_err());
    }
}
