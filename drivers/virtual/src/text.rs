//! A document as lines of text: what people read in a terminal, and tests compare. Knows no settings but the width.

use driver_sdk::{Align, Op};
use unicode_width::UnicodeWidthStr;

/// Lines as they would stand on paper of so many columns; what is no text stands in brackets.
pub fn page(ops: &[Op<'_>], columns: u16) -> String {
    let mut page =
        Lines { columns: columns.into(), out: String::new(), line: String::new(), align: Align::Left };
    for op in ops {
        page.put(op);
    }
    page.end_begun_line();
    page.out
}

struct Lines {
    columns: usize,
    out: String,
    /// The line that is not ended yet.
    line: String,
    align: Align,
}

// === impl Lines ===

impl Lines {
    fn put(&mut self, op: &Op<'_>) {
        match op {
            // Who looks at the file in a terminal is not to be commanded by a guest's name.
            Op::Text(text) => self.line.extend(text.chars().filter(|c| !c.is_control())),
            Op::Newline => self.end_line(),
            Op::Feed(lines) => {
                self.end_begun_line();
                self.out.extend(std::iter::repeat_n('\n', usize::from(*lines)));
            }
            Op::Align(align) => {
                self.end_begun_line();
                self.align = *align;
            }
            Op::Rule { double } => self.whole(&(if *double { "=" } else { "-" }).repeat(self.columns)),
            Op::Qr { data, .. } => self.whole(&format!("[QR {}]", String::from_utf8_lossy(data))),
            Op::Barcode(code) => {
                self.whole(&format!("[{} {}]", format!("{:?}", code.symbology).to_uppercase(), code.data));
            }
            Op::Image { width, height, .. } => self.whole(&format!("[picture {width} x {height}]")),
            Op::Cut(_) => {
                self.end_begun_line();
                self.out.push_str("- - - - - - - -\n");
            }
            Op::Drawer { pin, pulse_ms } => self.whole(&format!("[opens drawer {pin}: {pulse_ms} ms]")),
            Op::Beep(times) => self.whole(&format!("[beeps: {times}]")),
            Op::Place { x, y } => self.whole(&format!("[at {x}, {y}]")),
            // Letters have one look here; a display's ops never come this far.
            Op::Style(_)
            | Op::Clear
            | Op::Line { .. }
            | Op::Scroll { .. }
            | Op::Bright(_)
            | Op::Blink(_)
            | Op::Cursor(_) => {}
        }
    }

    fn whole(&mut self, line: &str) {
        self.end_begun_line();
        self.line.push_str(line);
        self.end_line();
    }

    fn end_line(&mut self) {
        let free = self.columns.saturating_sub(self.line.width());
        let left = match self.align {
            Align::Left => 0,
            Align::Middle => free / 2,
            Align::Right => free,
        };
        if !self.line.is_empty() {
            self.out.extend(std::iter::repeat_n(' ', left));
        }
        self.out.push_str(&self.line);
        self.out.push('\n');
        self.line.clear();
    }

    fn end_begun_line(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}
