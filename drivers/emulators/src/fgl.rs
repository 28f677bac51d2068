//! A Boca ticket printer that speaks FGL: fields at places in dots, tickets, one status byte a ticket. From Boca's FGL
//! manual and its table of status bytes. Knows no line and no driver.

use crate::Machine;
use std::collections::VecDeque;

/// Bytes of the receive buffer.
const BUFFER_BYTES: usize = 8_192;
/// A tag is never so long.
const TAG_BYTES_MAX: usize = 64;

/// What the printer says, a byte each.
pub mod says {
    /// A ticket is printed.
    pub const TICKET: u8 = 6;
    /// Out of paper.
    pub const PAPER_OUT: u8 = 16;
    /// New paper is in.
    pub const LOADED: u8 = 12;
    /// Go on sending.
    pub const XON: u8 = 17;
    /// Stop sending.
    pub const XOFF: u8 = 19;
    /// Something that cannot be.
    pub const BAD_DATA: u8 = 20;
    /// A ticket is jammed.
    pub const JAM: u8 = 24;
}

/// A text at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Down, in dots.
    pub row: u32,
    /// To the right, in dots.
    pub column: u32,
    /// Number of the font.
    pub font: u32,
    /// Times as high and as wide.
    pub size: (u32, u32),
    /// What it says.
    pub text: String,
}

/// Columns of 8 dots at a place, from left to right, the top dot is the highest bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graphic {
    /// Down, in dots.
    pub row: u32,
    /// To the right, in dots.
    pub column: u32,
    /// A byte a column.
    pub columns: Vec<u8>,
}

/// One ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticket {
    /// Texts, as they came.
    pub fields: Vec<Field>,
    /// Graphics, as they came.
    pub graphics: Vec<Graphic>,
    /// Was it cut off?
    pub cut: bool,
}

/// A ticket printer.
pub struct FglPrinter {
    buffer: VecDeque<u8>,
    /// A tag from `<` on, or nothing.
    tag: Vec<u8>,
    /// Bytes of a graphic that are still to come.
    graphic_left: usize,
    row: u32,
    column: u32,
    font: u32,
    size: (u32, u32),
    ticket: Ticket,
    /// A ticket that waits for paper.
    waiting: Option<Ticket>,
    printed: Vec<Ticket>,
    paper_out: bool,
    jam_next: bool,
    jammed: bool,
    xoff: bool,
    out: Vec<u8>,
    errors: Vec<String>,
}

impl Default for FglPrinter {
    fn default() -> FglPrinter {
        FglPrinter {
            buffer: VecDeque::new(),
            tag: Vec::new(),
            graphic_left: 0,
            row: 0,
            column: 0,
            font: 3,
            size: (1, 1),
            ticket: Ticket::default(),
            waiting: None,
            printed: Vec::new(),
            paper_out: false,
            jam_next: false,
            jammed: false,
            xoff: false,
            out: Vec::new(),
            errors: Vec::new(),
        }
    }
}

// === impl FglPrinter ===

impl FglPrinter {
    /// As switched on.
    pub fn new() -> FglPrinter {
        FglPrinter::default()
    }

    /// Tickets that came out, in order.
    pub fn tickets(&self) -> &[Ticket] {
        &self.printed
    }

    /// What it was sent that it does not understand, in order.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// The next ticket jams; somebody has to `refill`, and it is not printed again.
    pub fn jam_next(&mut self) {
        self.jam_next = true;
    }

    fn bad(&mut self, what: String) {
        self.errors.push(what);
        self.out.push(says::BAD_DATA);
    }

    fn interpret(&mut self, byte: u8) {
        if self.graphic_left > 0 {
            self.graphic_left -= 1;
            self.ticket.graphics.last_mut().expect("its tag began it").columns.push(byte);
            return;
        }
        match (self.tag.is_empty(), byte) {
            (true, b'<') => self.tag.push(byte),
            (true, b'\r' | b'\n') => {}
            (true, b' '..) => self.text(char::from(byte)),
            (true, _) => self.bad(format!("{byte:02X} is no character")),
            (false, b'>') => {
                let tag = std::mem::take(&mut self.tag);
                let tag = String::from_utf8_lossy(&tag[1..]).into_owned();
                if self.obey(&tag).is_none() {
                    self.bad(format!("<{tag}> is no tag"));
                }
            }
            (false, _) if self.tag.len() == TAG_BYTES_MAX => {
                self.tag.clear();
                self.bad("a tag that does not end".to_owned());
            }
            (false, _) => self.tag.push(byte),
        }
    }

    /// Text stands where the last tags put it; it goes on with the field it follows.
    fn text(&mut self, character: char) {
        let (row, column, font, size) = (self.row, self.column, self.font, self.size);
        match self.ticket.fields.last_mut() {
            Some(field) if (field.row, field.column, field.font, field.size) == (row, column, font, size) => {
                field.text.push(character);
            }
            _ => self.ticket.fields.push(Field { row, column, font, size, text: character.into() }),
        }
    }

    fn obey(&mut self, tag: &str) -> Option<()> {
        let numbers = |text: &str| -> Option<(u32, u32)> {
            let (first, second) = text.split_once(',')?;
            Some((first.parse().ok()?, second.parse().ok()?))
        };
        match tag {
            "p" => self.finish(true),
            "q" => self.finish(false),
            "NR" | "RR" | "RU" | "RL" => {}
            _ => {
                if let Some(place) = tag.strip_prefix("RC") {
                    (self.row, self.column) = numbers(place)?;
                } else if let Some(size) = tag.strip_prefix("HW") {
                    self.size = numbers(size)?;
                } else if let Some(font) = tag.strip_prefix('F') {
                    self.font = font.parse().ok()?;
                } else {
                    self.graphic_left = tag.strip_prefix('G')?.parse().ok().filter(|length| *length > 0)?;
                    let (row, column) = (self.row, self.column);
                    self.ticket.graphics.push(Graphic { row, column, columns: Vec::new() });
                }
            }
        }
        Some(())
    }

    fn finish(&mut self, cut: bool) {
        let ticket = Ticket { cut, ..std::mem::take(&mut self.ticket) };
        (self.row, self.column, self.font, self.size) = (0, 0, 3, (1, 1));
        self.waiting = Some(ticket);
        self.print();
        if self.paper_out && self.waiting.is_some() {
            self.out.push(says::PAPER_OUT);
        }
    }

    fn print(&mut self) {
        if self.paper_out || self.jammed {
            return;
        }
        let Some(ticket) = self.waiting.take() else { return };
        if std::mem::take(&mut self.jam_next) {
            self.jammed = true;
            self.out.push(says::JAM);
            return;
        }
        self.printed.push(ticket);
        self.out.push(says::TICKET);
    }
}

impl Machine for FglPrinter {
    fn take(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(BUFFER_BYTES - self.buffer.len());
        self.buffer.extend(&bytes[..taken]);
        if !self.xoff && self.buffer.len() * 8 > BUFFER_BYTES * 7 {
            self.xoff = true;
            self.out.push(says::XOFF);
        }
        taken
    }

    fn work(&mut self) {
        loop {
            self.print();
            if self.waiting.is_some() || self.jammed {
                break;
            }
            let Some(byte) = self.buffer.pop_front() else { break };
            self.interpret(byte);
        }
        if self.xoff && self.buffer.len() * 2 < BUFFER_BYTES {
            self.xoff = false;
            self.out.push(says::XON);
        }
    }

    fn is_busy(&self) -> bool {
        !self.buffer.is_empty() && self.waiting.is_none() && !self.jammed
    }

    fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn paper_out(&mut self) {
        self.paper_out = true;
        self.out.push(says::PAPER_OUT);
    }

    fn is_out_of_paper(&self) -> bool {
        self.paper_out
    }

    fn refill(&mut self) {
        if self.paper_out {
            self.out.push(says::LOADED);
        }
        (self.paper_out, self.jammed) = (false, false);
        self.print();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(printer: &mut FglPrinter, bytes: &[u8]) -> Vec<u8> {
        assert_eq!(printer.take(bytes), bytes.len());
        printer.work();
        printer.answers()
    }

    #[test]
    fn a_ticket_has_its_fields_where_they_were_put() {
        let mut printer = FglPrinter::new();
        let bytes = b"<RC50,100><F9><HW2,1>Row 3<RC90,100><G3>\x80<p<p>";
        assert_eq!(fed(&mut printer, bytes), [says::TICKET]);
        let [ticket] = printer.tickets() else { panic!("one ticket") };
        let field = Field { row: 50, column: 100, font: 9, size: (2, 1), text: "Row 3".to_owned() };
        assert_eq!(ticket.fields, [field]);
        assert_eq!(ticket.graphics, [Graphic { row: 90, column: 100, columns: b"\x80<p".to_vec() }]);
        assert!(ticket.cut);
        assert_eq!(printer.errors(), &[] as &[String]);
    }

    #[test]
    fn a_ticket_without_paper_waits_and_is_printed_once() {
        let mut printer = FglPrinter::new();
        printer.paper_out();
        assert_eq!(fed(&mut printer, b"A<q>B<p>"), [says::PAPER_OUT, says::PAPER_OUT]);
        assert!(printer.tickets().is_empty());
        printer.refill();
        printer.work();
        assert_eq!(printer.answers(), [says::LOADED, says::TICKET, says::TICKET]);
        assert_eq!(printer.tickets().iter().map(|ticket| ticket.cut).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_jammed_ticket_is_lost() {
        let mut printer = FglPrinter::new();
        printer.jam_next();
        assert_eq!(fed(&mut printer, b"A<p>B<p>"), [says::JAM]);
        printer.refill();
        printer.work();
        assert_eq!(printer.answers(), [says::TICKET]);
        assert_eq!(printer.tickets()[0].fields[0].text, "B");
    }

    #[test]
    fn what_it_does_not_know_is_bad_data() {
        for bytes in [&b"<XY>"[..], b"<RC5>", b"<G0>", b"\x07"] {
            let mut printer = FglPrinter::new();
            assert_eq!(fed(&mut printer, bytes), [says::BAD_DATA], "{bytes:02x?}");
            assert_eq!(printer.errors().len(), 1);
        }
    }
}
