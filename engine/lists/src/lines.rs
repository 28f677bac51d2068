//! Lines and CSV records of a bounded length: what is longer is told and passed over without being held. Knows no column.

use memchr::{memchr, memchr2};
use std::io::{self, BufRead};

/// Longest line, and longest record over several lines, that is read, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Quotes that are never closed, before a list is given up: each costs reading up to `LINE_BYTES_MAX` again.
const UNCLOSED_MAX: u32 = 1_000;

/// Lines, ended by LF, CR LF or CR, counted as an editor counts them.
pub(crate) struct Lines {
    input: Box<dyn BufRead>,
    /// Text that is read again before the rest of the input, and how far that went.
    back: (Vec<u8>, usize),
    number: u64,
    /// The input's last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
}

/// What came of reading a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Got {
    Line,
    /// There is more of this line.
    TooLong,
    End,
}

/// Records of a list: a line each, or several where a quoted field goes over them.
pub(crate) struct Records {
    lines: Lines,
    /// The last record, without its line's end.
    pub(crate) text: Vec<u8>,
    /// What separates fields; `None`: quotes mean nothing, a record is a line.
    delimiter: Option<u8>,
    unclosed: u32,
    given_up: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    AfterQuote,
}

// === impl Lines ===

impl Lines {
    pub(crate) fn new(input: Box<dyn BufRead>) -> Lines {
        Lines { input, back: (Vec::new(), 0), number: 0, after_cr: false }
    }

    /// Appends the next line without its end to `line`, which then has at most some `LINE_BYTES_MAX` and a buffer.
    fn read(&mut self, line: &mut Vec<u8>) -> io::Result<Got> {
        let began = line.len();
        loop {
            let again = self.back.1 < self.back.0.len();
            let buffer = if again { &self.back.0[self.back.1..] } else { self.input.fill_buf()? };
            if buffer.is_empty() {
                let got = if line.len() > began { Got::Line } else { Got::End };
                self.number += u64::from(got == Got::Line);
                return Ok(got);
            }
            if !again && std::mem::take(&mut self.after_cr) && buffer[0] == b'\n' {
                self.consume(again, 1);
                continue;
            }
            let room = (LINE_BYTES_MAX + 1).saturating_sub(line.len()).min(buffer.len());
            let end = memchr2(b'\n', b'\r', &buffer[..room]);
            line.extend_from_slice(&buffer[..end.unwrap_or(room)]);
            let is_cr = end.is_some_and(|end| buffer[end] == b'\r');
            self.consume(again, end.map_or(room, |end| end + 1));
            if end.is_some() {
                self.after_cr |= is_cr && !again;
                self.number += 1;
                return Ok(Got::Line);
            }
            if line.len() > LINE_BYTES_MAX {
                return Ok(Got::TooLong);
            }
        }
    }

    /// Passes over the rest of a line, however long it is.
    fn skip(&mut self) -> io::Result<()> {
        self.number += 1;
        loop {
            let again = self.back.1 < self.back.0.len();
            let buffer = if again { &self.back.0[self.back.1..] } else { self.input.fill_buf()? };
            let (end, len) = (memchr2(b'\n', b'\r', buffer), buffer.len());
            let is_cr = end.is_some_and(|end| buffer[end] == b'\r');
            self.consume(again, end.map_or(len, |end| end + 1));
            if end.is_some() || len == 0 {
                self.after_cr |= is_cr && !again;
                return Ok(());
            }
        }
    }

    fn consume(&mut self, again: bool, count: usize) {
        if again {
            self.back.1 += count;
        } else {
            self.input.consume(count);
        }
    }

    /// Text that was read is read again, as what follows the line of this number.
    fn put_back(&mut self, text: &[u8], number: u64) {
        let mut back = text.to_vec();
        back.extend_from_slice(&self.back.0[self.back.1..]);
        self.back = (back, 0);
        self.number = number;
    }
}

// === impl Records ===

impl Records {
    /// Of a list whose records are lines, until [`Records::with_delimiter`].
    pub(crate) fn new(input: Box<dyn BufRead>) -> Records {
        Records { lines: Lines::new(input), text: Vec::new(), delimiter: None, unclosed: 0, given_up: false }
    }

    /// From now on fields are separated so, and may be quoted.
    pub(crate) fn with_delimiter(&mut self, delimiter: u8) {
        self.delimiter = Some(delimiter);
    }

    /// The last record is read again.
    pub(crate) fn again(&mut self, line: u64) {
        self.text.push(b'\n');
        let text = std::mem::take(&mut self.text);
        self.lines.put_back(&text, line - 1);
    }

    /// Reads the next record that is not blank into `text`; gives the line it begins at, or what is wrong there.
    pub(crate) fn next(&mut self) -> Option<(u64, Result<(), String>)> {
        if self.given_up {
            return None;
        }
        loop {
            self.text.clear();
            let got = self.lines.read(&mut self.text);
            let line = self.lines.number;
            match got {
                Err(error) => {
                    self.given_up = true;
                    return Some((line + 1, Err(format!("cannot read: {error}"))));
                }
                Ok(Got::End) => return None,
                Ok(Got::TooLong) => return Some((line + 1, self.pass_over())),
                Ok(Got::Line) if self.text.iter().all(u8::is_ascii_whitespace) => {}
                Ok(Got::Line) => return Some((line, self.rest_of_record(line))),
            }
        }
    }

    fn pass_over(&mut self) -> Result<(), String> {
        if let Err(error) = self.lines.skip() {
            self.given_up = true;
            return Err(format!("cannot read: {error}"));
        }
        Err(format!("longer than {LINE_BYTES_MAX} bytes"))
    }

    /// Reads on while a quote is open. One that is never closed costs its own line only.
    fn rest_of_record(&mut self, line: u64) -> Result<(), String> {
        let Some(delimiter) = self.delimiter else { return Ok(()) };
        let (first_end, mut place) = (self.text.len(), scan(Place::FieldStart, &self.text, delimiter));
        while place == Place::Quoted {
            let from = self.text.len();
            self.text.push(b'\n');
            match self.lines.read(&mut self.text) {
                Ok(Got::Line) => place = scan(place, &self.text[from..], delimiter),
                Err(error) => {
                    self.given_up = true;
                    return Err(format!("cannot read: {error}"));
                }
                Ok(Got::TooLong | Got::End) => {
                    self.lines.put_back(&self.text[first_end + 1..], line);
                    self.unclosed += 1;
                    self.given_up = self.unclosed > UNCLOSED_MAX;
                    let rest = if self.given_up { "; the rest of the list is not read" } else { "" };
                    return Err(format!("a quote (\") is opened here and never closed{rest}"));
                }
            }
        }
        Ok(())
    }
}

fn scan(mut place: Place, text: &[u8], delimiter: u8) -> Place {
    if place != Place::Quoted && memchr(b'"', text).is_none() {
        return Place::Plain;
    }
    for byte in text {
        place = match (place, *byte) {
            (Place::FieldStart, b'"') | (Place::AfterQuote, b'"') => Place::Quoted,
            (Place::Quoted, b'"') => Place::AfterQuote,
            (Place::Quoted, _) => Place::Quoted,
            (_, byte) if byte == delimiter => Place::FieldStart,
            _ => Place::Plain,
        };
    }
    place
}

/// Gives each field of a record to `each`, unquoted and without blanks around it; how many there are.
pub(crate) fn fields(record: &str, delimiter: u8, mut each: impl FnMut(usize, &str)) -> usize {
    let mut count = 0;
    if memchr(b'"', record.as_bytes()).is_none() {
        for field in record.split(char::from(delimiter)) {
            each(count, field.trim());
            count += 1;
        }
        return count;
    }
    let (mut field, mut place) = (Vec::new(), Place::FieldStart);
    let mut end = |field: &mut Vec<u8>| {
        // Only ASCII was taken away.
        each(count, std::str::from_utf8(field).expect("parts of a text between ASCII are text").trim());
        field.clear();
        count += 1;
    };
    for byte in record.bytes() {
        place = match (place, byte) {
            (Place::FieldStart, b'"') => Place::Quoted,
            (Place::Quoted, b'"') => Place::AfterQuote,
            (Place::AfterQuote, b'"') => {
                field.push(b'"');
                Place::Quoted
            }
            (Place::FieldStart | Place::Plain | Place::AfterQuote, byte) if byte == delimiter => {
                end(&mut field);
                Place::FieldStart
            }
            (place, byte) => {
                field.push(byte);
                if place == Place::Quoted { Place::Quoted } else { Place::Plain }
            }
        };
    }
    end(&mut field);
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn records(text: &str) -> Vec<String> {
        let mut records = Records::new(Box::new(Cursor::new(text.as_bytes().to_vec())));
        records.with_delimiter(b',');
        let mut shown = Vec::new();
        while let Some((line, record)) = records.next() {
            let text = String::from_utf8(records.text.clone()).unwrap();
            shown.push(match record {
                Ok(()) => format!("{line} {text}"),
                Err(problem) => format!("{line} {problem}"),
            });
        }
        shown
    }

    fn split(record: &str) -> Vec<String> {
        let mut all = Vec::new();
        fields(record, b',', |_, field| all.push(field.to_owned()));
        all
    }

    #[test]
    fn records_end_with_their_lines_however_lines_end() {
        assert_eq!(records("a,b\nc,d"), ["1 a,b", "2 c,d"]);
        assert_eq!(records("a\r\nb\r\n\r\nc"), ["1 a", "2 b", "4 c"]);
        assert_eq!(records("a\rb\r"), ["1 a", "2 b"]);
        assert_eq!(records("a,\"x\ny\"\nb"), ["1 a,\"x\ny\"", "3 b"]);
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_own_line_only() {
        let long = "z\n".repeat(LINE_BYTES_MAX);
        for rest in ["", long.as_str()] {
            let shown = records(&format!("a\n\"b\nc,1\nd\n{rest}"));
            assert_eq!(shown[0], "1 a");
            assert!(shown[1].starts_with("2 a quote"), "{}", shown[1]);
            assert_eq!(shown[2..4], ["3 c,1", "4 d"]);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_passed_over() {
        let shown = records(&format!("a\n{}\nb\n", "x".repeat(3 * LINE_BYTES_MAX)));
        assert_eq!(shown, ["1 a", "2 longer than 65536 bytes", "3 b"]);
        let just = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(records(&format!("{just}\nb"))[1], "2 b");
    }

    #[test]
    fn a_list_of_nothing_but_open_quotes_is_given_up() {
        let line = format!("\"{}\n", "\n".repeat(5));
        let shown = records(&format!("{}\"", line.replace('"', "a,\"x").repeat(3_001)));
        assert!(shown.len() < 20_000);
    }

    #[test]
    fn fields_are_what_spreadsheets_write() {
        assert_eq!(split("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(split("\"a,\"\"b\"\"\",,\"\""), ["a,\"b\"", "", ""]);
        assert_eq!(split("5\" disc,\"x\"y,é"), ["5\" disc", "xy", "é"]);
        assert_eq!(split(""), [""]);
    }
}
