//! A label printer that speaks ZPL: labels of fields between `^XA` and `^XZ`, and `~HS` answered on arrival. From
//! Zebra's ZPL II guide. Draws nothing. Knows no line and no driver.

use crate::Machine;
use std::collections::VecDeque;

/// Bytes of the receive buffer.
const BUFFER_BYTES: usize = 16_384;
/// A command with its data is never so long.
const COMMAND_BYTES_MAX: usize = 65_536;
/// What a field's data may be preceded by and a label may have set; everything else is told as unknown.
const KNOWN: [&str; 21] = [
    "BC", "BQ", "BY", "CF", "CI", "FB", "FR", "FT", "FX", "GB", "GF", "LH", "LL", "LS", "MD", "MM", "MN",
    "MT", "PO", "PR", "PW",
];

/// A field's data and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// To the right, in dots.
    pub x: u32,
    /// Down, in dots.
    pub y: u32,
    /// What it is drawn as: `A…` text, `BQ` a QR code, `BC` a barcode, nothing: text.
    pub drawn_as: String,
    /// With escapes read.
    pub data: String,
}

/// One label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// As they came.
    pub fields: Vec<Field>,
}

/// A label printer.
#[derive(Default)]
pub struct ZplPrinter {
    buffer: VecDeque<u8>,
    /// The last three bytes that came in: `~HS` is seen at once.
    last: [u8; 3],
    /// A command from `^` or `~` on.
    command: Vec<u8>,
    label: Option<Label>,
    field: Field,
    /// The character of `^FH`, while it is in force.
    hex: Option<u8>,
    copies: u32,
    /// Labels that wait to be printed.
    waiting: VecDeque<Label>,
    printed: Vec<Label>,
    paper_out: bool,
    paused: bool,
    head_up: bool,
    ribbon_out: bool,
    out: Vec<u8>,
    errors: Vec<String>,
}

// === impl Label ===

impl Label {
    /// What is in its QR codes. Their data begins with correction and input mode: `QA,`.
    pub fn qr_payloads(&self) -> Vec<&str> {
        let codes = self.fields.iter().filter(|field| field.drawn_as.starts_with("BQ"));
        codes.filter_map(|field| field.data.get(3..)).collect()
    }
}

// === impl ZplPrinter ===

impl ZplPrinter {
    /// As switched on.
    pub fn new() -> ZplPrinter {
        ZplPrinter { copies: 1, ..ZplPrinter::default() }
    }

    /// Labels that came out, in order.
    pub fn labels(&self) -> &[Label] {
        &self.printed
    }

    /// What it was sent that it does not understand, in order.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Somebody presses PAUSE.
    pub fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Somebody opens or closes the print head.
    pub fn set_head_up(&mut self, up: bool) {
        self.head_up = up;
    }

    /// The ribbon ends or is changed.
    pub fn set_ribbon_out(&mut self, out: bool) {
        self.ribbon_out = out;
    }

    fn is_ready(&self) -> bool {
        !(self.paper_out || self.paused || self.head_up || self.ribbon_out)
    }

    /// `~HS`: three strings between STX and ETX.
    fn host_status(&mut self) {
        let flag = u8::from;
        let (paper, pause, head, ribbon) =
            (flag(self.paper_out), flag(self.paused), flag(self.head_up), flag(self.ribbon_out));
        let formats = self.buffer.iter().filter(|byte| **byte == b'^').count().min(999);
        let left = self.waiting.len();
        let lines = [
            format!("030,{paper},{pause},1218,{formats:03},0,0,0,000,0,0,0"),
            format!("000,0,{head},{ribbon},0,2,6,0,{left:08},1,000"),
            "1234,0".to_owned(),
        ];
        for line in lines {
            self.out.push(0x02);
            self.out.extend(line.bytes());
            self.out.extend(b"\x03\r\n");
        }
    }

    fn interpret(&mut self, byte: u8) {
        let begins = matches!(byte, b'^' | b'~');
        if begins && !self.command.is_empty() {
            self.end_command();
        }
        match (begins, self.command.is_empty(), byte) {
            (true, ..) | (false, false, _) => self.command.push(byte),
            (false, true, b'\r' | b'\n') => {}
            (false, true, _) => self.errors.push(format!("{byte:02X} outside of any command")),
        }
        // These have no parameters: nothing is waited for.
        if matches!(self.command.as_slice(), b"^XA" | b"^XZ" | b"^FS" | b"~HS") {
            self.end_command();
        }
        if self.command.len() > COMMAND_BYTES_MAX {
            self.command.clear();
            self.errors.push("a command that does not end".to_owned());
        }
    }

    fn end_command(&mut self) {
        let bytes = std::mem::take(&mut self.command);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Err(why) = self.obey(text.trim_end_matches(['\r', '\n'])) {
            self.errors.push(format!("{text:?}: {why}"));
        }
    }

    fn obey(&mut self, text: &str) -> Result<(), String> {
        match text {
            "~HS" => return Ok(()),
            "~JA" => {
                self.waiting.clear();
                return Ok(());
            }
            "^XA" if self.label.is_none() => {
                (self.label, self.field, self.hex, self.copies) =
                    (Some(Label::default()), Field::default(), None, 1);
                return Ok(());
            }
            "^XA" => return Err("in the middle of a label".to_owned()),
            _ => {}
        }
        let name: String = text.chars().skip(1).take(2).collect();
        let parameters = text.get(3..).unwrap_or("");
        let label = self.label.as_mut().ok_or("outside of any label")?;
        match name.as_str() {
            "XZ" => {
                let label = std::mem::take(label);
                self.label = None;
                self.waiting.extend(std::iter::repeat_n(label, self.copies as usize));
            }
            "PQ" => {
                let copies = parameters.split(',').next().unwrap_or("");
                self.copies =
                    copies.parse().ok().filter(|n| (1..=100).contains(n)).ok_or("no number of copies")?;
            }
            "FO" | "FT" => (self.field.x, self.field.y) = place(parameters).ok_or("no place")?,
            "FH" => self.hex = Some(parameters.bytes().next().unwrap_or(b'_')),
            "FD" => self.field.data = self.unescaped(parameters)?,
            "FS" => {
                let field = std::mem::take(&mut self.field);
                self.hex = None;
                if field.drawn_as.starts_with("BQ") && !is_qr_data(&field.data) {
                    return Err(format!("{:?}: a QR code's data begins as QA,", field.data));
                }
                if !field.data.is_empty() {
                    label.fields.push(field);
                }
            }
            name if name.starts_with('A') || name == "BQ" || name == "BC" => {
                self.field.drawn_as = format!("{name}{parameters}");
            }
            name if KNOWN.contains(&name) => {}
            _ => return Err("no command".to_owned()),
        }
        Ok(())
    }

    /// `^FH` has bytes written as `_41`; text is UTF-8 (`^CI28`).
    fn unescaped(&self, data: &str) -> Result<String, String> {
        let Some(mark) = self.hex else { return Ok(data.to_owned()) };
        let (mut bytes, mut rest) = (Vec::new(), data.as_bytes());
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first != mark {
                bytes.push(*first);
                continue;
            }
            let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(byte.ok_or("an escape that is none")?);
            rest = &tail[2..];
        }
        String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
    }

    fn print(&mut self) {
        while self.is_ready() {
            let Some(label) = self.waiting.pop_front() else { return };
            self.printed.push(label);
        }
    }
}

fn place(parameters: &str) -> Option<(u32, u32)> {
    let mut numbers = parameters.split(',').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Correction, input mode, comma.
fn is_qr_data(data: &str) -> bool {
    let bytes = data.as_bytes();
    matches!(bytes, [b'H' | b'Q' | b'M' | b'L', b'A', b',', _, ..])
}

impl Machine for ZplPrinter {
    fn take(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(BUFFER_BYTES - self.buffer.len());
        for byte in &bytes[..taken] {
            self.buffer.push_back(*byte);
            self.last = [self.last[1], self.last[2], *byte];
            if &self.last == b"~HS" {
                self.host_status();
            }
        }
        taken
    }

    fn work(&mut self) {
        loop {
            self.print();
            if !self.waiting.is_empty() {
                break;
            }
            let Some(byte) = self.buffer.pop_front() else { break };
            self.interpret(byte);
        }
        self.print();
    }

    fn is_busy(&self) -> bool {
        self.is_ready() && !(self.buffer.is_empty() && self.waiting.is_empty())
    }

    fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn paper_out(&mut self) {
        self.paper_out = true;
    }

    fn is_out_of_paper(&self) -> bool {
        self.paper_out
    }

    fn refill(&mut self) {
        (self.paper_out, self.paused, self.head_up, self.ribbon_out) = (false, false, false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(printer: &mut ZplPrinter, bytes: &[u8]) -> String {
        assert_eq!(printer.take(bytes), bytes.len());
        printer.work();
        String::from_utf8(printer.answers()).unwrap()
    }

    #[test]
    fn labels_are_counted_and_their_fields_read() {
        let mut printer = ZplPrinter::new();
        let label =
            b"^XA^CI28^PW812\n^FO20,40^A0N,30,30^FH^FDRow_203 _5e^FS^FO5,6^BQN,2,8^FDQA,T;\\1^FS^PQ2^XZ";
        assert_eq!(fed(&mut printer, label), "");
        assert_eq!(printer.errors(), &[] as &[String]);
        assert_eq!(printer.labels().len(), 2);
        let label = &printer.labels()[0];
        assert_eq!(
            (label.fields[0].x, label.fields[0].y, label.fields[0].data.as_str()),
            (20, 40, "Row 3 ^")
        );
        assert_eq!(label.qr_payloads(), ["T;\\1"]);
    }

    #[test]
    fn the_host_status_tells_paper_pause_head_ribbon_and_labels_left() {
        let mut printer = ZplPrinter::new();
        let idle = fed(&mut printer, b"~HS");
        let lines: Vec<&str> = idle.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.starts_with('\u{2}') && line.ends_with('\u{3}')));
        assert!(lines[0].starts_with("\u{2}030,0,0,"), "{idle:?}");
        printer.paper_out();
        printer.set_head_up(true);
        assert_eq!(fed(&mut printer, b"^XA^FO1,1^FDa^FS^PQ3^XZ"), "");
        let busy = fed(&mut printer, b"~HS");
        assert!(busy.contains("030,1,0,"), "{busy:?}");
        assert!(busy.contains("000,0,1,0,0,2,6,0,00000003,"), "{busy:?}");
        printer.refill();
        printer.work();
        assert_eq!(printer.labels().len(), 3);
    }

    #[test]
    fn what_it_does_not_know_is_told() {
        for (bytes, words) in [
            (&b"^XA^QQ1^XZ"[..], "no command"),
            (b"^FD1^FS", "outside of any label"),
            (b"^XA^FO1,1^BQN,2,8^FDTICKET^FS^XZ", "begins as QA,"),
            (b"^XA^FH^FD_zz^FS^XZ", "an escape that is none"),
            (b"hello", "outside of any command"),
        ] {
            let mut printer = ZplPrinter::new();
            fed(&mut printer, bytes);
            assert!(printer.errors()[0].contains(words), "{bytes:02x?}: {:?}", printer.errors());
        }
    }
}
