//! What an ESC/POS printer does for each command. Knows meanings; `extent` knows lengths.

use super::extent::{Extent, extent};
use super::paper::{Align, Barcode, Cut, Mark, Picture, Printed, Qr};
use super::{Act, COMMAND_BYTES_MAX, Kick, ReceiptPrinter, codes};
use crate::code_page::page_of_number;

/// A QR code holds at most so many digits; nothing stored is longer.
const QR_BYTES_MAX: usize = 7_089;

type Obeyed = Result<(), String>;

impl ReceiptPrinter {
    /// Looks at what is gathered of a command, and does it when it is whole.
    pub(super) fn interpret(&mut self) {
        match extent(&self.pending) {
            Extent::More if self.pending.len() < COMMAND_BYTES_MAX => {}
            Extent::More => {
                self.pending.clear();
                self.error(format!("a command of more than {COMMAND_BYTES_MAX} bytes"));
            }
            Extent::Unknown(why) => {
                let bytes = std::mem::take(&mut self.pending);
                self.error(format!("{}: {why}", shown(&bytes)));
            }
            Extent::Whole => {
                let bytes = std::mem::take(&mut self.pending);
                if let Err(why) = self.obey(&bytes) {
                    self.error(format!("{}: {why}", shown(&bytes)));
                }
            }
        }
    }

    fn obey(&mut self, bytes: &[u8]) -> Obeyed {
        match bytes {
            [0x1b, rest @ ..] => self.escape(rest),
            [0x1d, rest @ ..] => self.group(rest),
            [0x1c, b'.'] => Ok(()),
            [0x1c, ..] => Err("Kanji is not emulated".to_owned()),
            // Obeyed when it came in.
            [0x10, ..] => Ok(()),
            [b'\n'] => {
                self.end_line(self.head.spacing_dots);
                Ok(())
            }
            [b'\r'] => Ok(()),
            [b'\t'] => {
                self.head.tab();
                Ok(())
            }
            [0x00..=0x1f] => Err("no command".to_owned()),
            [byte] => {
                let full = self.head.show(*byte);
                self.push_printed(full);
                Ok(())
            }
            _ => Err("no command".to_owned()),
        }
    }

    // --- Lines ---

    fn end_line(&mut self, feed_dots: u32) {
        let printed = self.head.end_line(feed_dots);
        self.push_printed(printed);
    }

    fn push_printed(&mut self, printed: Vec<Printed>) {
        if printed.is_empty() {
            return;
        }
        self.acts.extend(printed.into_iter().map(Act::Print));
        self.acts.extend(std::mem::take(&mut self.head.answers).into_iter().map(Act::Answer));
    }

    fn print_mark(&mut self, mark: Mark, height_dots: u32) {
        self.push_printed(vec![Printed { mark, align: self.head.align, height_dots }]);
    }

    /// Some commands are obeyed only where a line begins.
    fn at_line_start(&self) -> Obeyed {
        match self.head.is_in_line() {
            true => Err("in the middle of a line it does nothing".to_owned()),
            false => Ok(()),
        }
    }

    // --- ESC ---

    fn escape(&mut self, command: &[u8]) -> Obeyed {
        match command {
            [b'@'] => self.initialise(),
            [b'!', n] => self.mode(*n),
            [b'E' | b'G', n] => self.head.style.bold = n & 1 != 0,
            [b'-', n] => self.head.style.underline = one_of(*n, 2)? != 0,
            [b'M', n] => self.head.style.font = one_of(*n, 1)?,
            [b'{', n] => self.head.style.upside_down = n & 1 != 0,
            [b'a', n] => {
                let align = [Align::Left, Align::Middle, Align::Right][usize::from(one_of(*n, 2)?)];
                self.at_line_start()?;
                self.head.align = align;
            }
            [b'd', n] => self.feed_lines(*n),
            [b'J', n] => self.end_line(u32::from(*n)),
            [b'2'] => self.head.spacing_dots = 30,
            [b'3', n] => self.head.spacing_dots = u32::from(*n),
            [b't', n] => self.head.page = page_of_number(*n).ok_or(format!("there is no code page {n}"))?,
            [b'R', n] if *n > 17 => return Err(format!("there is no country {n}")),
            [b'R', 0] | [b' ', 0] | [b'V', 0 | b'0'] | [b'r', 0 | b'0'] | [b'T', 0] => {}
            [b'U', _] | [b'c', b'3' | b'4' | b'5', _] | [b'=', 1] => {}
            [b'D', tabs @ .., 0] => self.set_tabs(tabs)?,
            [b'$', low, high] => self.head.place(dots(*low, *high))?,
            [b'*', mode, low, high, data @ ..] => {
                self.columns(*mode, dots(*low, *high), data)?;
            }
            [b'p', pin, on, _off] => {
                let pin = one_of(*pin, 1)?;
                self.acts.push_back(Act::Kick(Kick { pin, on_ms: u32::from(*on) * 2 }));
            }
            [b'i'] => self.cut_here(Cut::Full)?,
            [b'm'] => self.cut_here(Cut::Partial)?,
            // A buzzer, by its makers' two ways.
            [b'B', 1..=9, 1..=9] | [b'(', b'A', ..] => {}
            _ => return Err("not emulated".to_owned()),
        }
        Ok(())
    }

    /// `ESC @`: settings as at power-on, the line forgotten. What was printed and ASB stay.
    fn initialise(&mut self) {
        let answers = std::mem::take(&mut self.head.answers);
        self.head = super::Head::new(self.model.width_dots);
        // A question about a line that is no more is answered all the same: nothing of it is left to print.
        self.acts.extend(answers.into_iter().map(Act::Answer));
    }

    fn mode(&mut self, n: u8) {
        let style = &mut self.head.style;
        style.font = n & 1;
        style.bold = n & 0x08 != 0;
        style.height = if n & 0x10 != 0 { 2 } else { 1 };
        style.width = if n & 0x20 != 0 { 2 } else { 1 };
        style.underline = n & 0x80 != 0;
    }

    fn feed_lines(&mut self, lines: u8) {
        if lines == 0 {
            if self.head.is_in_line() {
                self.end_line(0);
            }
            return;
        }
        for _ in 0..lines {
            self.end_line(self.head.spacing_dots);
        }
    }

    fn set_tabs(&mut self, tabs: &[u8]) -> Obeyed {
        if tabs.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("tabs have to rise".to_owned());
        }
        self.head.tabs = Some(tabs.to_vec());
        Ok(())
    }

    /// `ESC *`: columns of 8 or 24 dots, from left to right, the top dot first.
    fn columns(&mut self, mode: u8, columns: u32, data: &[u8]) -> Obeyed {
        let (bytes, scale) = match mode {
            0 => (1, (2, 3)),
            1 => (1, (1, 3)),
            32 => (3, (2, 1)),
            _ => (3, (1, 1)),
        };
        let row_bytes = (columns as usize).div_ceil(8);
        let mut dots = vec![0; row_bytes * bytes * 8];
        for (x, column) in data.chunks(bytes).enumerate() {
            for y in (0..bytes * 8).filter(|y| column[y / 8] & (0x80 >> (y % 8)) != 0) {
                dots[y * row_bytes + x / 8] |= 0x80 >> (x % 8);
            }
        }
        self.head.show_columns(Picture { row_bytes, dots, scale }, columns)
    }

    // --- GS ---

    fn group(&mut self, command: &[u8]) -> Obeyed {
        match command {
            [b'!', n] => {
                if n & 0x88 != 0 {
                    return Err("no size".to_owned());
                }
                self.head.style.width = (n >> 4) + 1;
                self.head.style.height = (n & 0x0f) + 1;
            }
            [b'B', n] => self.head.style.invert = n & 1 != 0,
            [b'L', low, high] => {
                self.at_line_start()?;
                self.head.margin_dots = dots(*low, *high);
            }
            [b'W', low, high] => {
                self.at_line_start()?;
                self.head.area_dots = dots(*low, *high);
            }
            [b'h', n] if *n > 0 => self.head.barcode_height = *n,
            [b'w', n @ 2..=6] => self.head.barcode_module = *n,
            [b'H', n] => self.head.barcode_text = one_of(*n, 3)?,
            [b'f', n] => drop(one_of(*n, 1)?),
            [b'b', _] => {}
            [b'k', kind @ 0..=6, data @ .., 0] => self.barcode(*kind, data)?,
            [b'k', kind, _length, data @ ..] => self.barcode(*kind, data)?,
            [b'v', b'0', mode, wl, wh, rl, rh, data @ ..] => {
                self.raster(*mode, dots(*wl, *wh), dots(*rl, *rh), data)?;
            }
            [b'V', kind, feed @ ..] => self.cut_by_number(*kind, feed.first().copied().unwrap_or(0))?,
            [b'a', n] => self.set_asb(*n),
            [b'r', n @ (1 | 2 | b'1' | b'2')] => self.acts.push_back(Act::Tell(*n)),
            [b'I', n] => self.identify(*n)?,
            [b'(', b'k', _, _, b'1', function, data @ ..] => self.qr(*function, data)?,
            [b'(', b'H', 6, 0, 0x30, 0x30, tag @ ..] => self.process_id(tag)?,
            _ => return Err("not emulated".to_owned()),
        }
        Ok(())
    }

    fn barcode(&mut self, kind: u8, data: &[u8]) -> Obeyed {
        self.at_line_start()?;
        let head = &self.head;
        let template = Barcode {
            symbology: "",
            data: String::new(),
            height: head.barcode_height,
            module: head.barcode_module,
            text: head.barcode_text,
        };
        let code = codes::fitting(kind, data, head.width_dots(), template)?;
        let texts = u32::from(code.text & 1) + u32::from(code.text >> 1);
        let height = u32::from(code.height) + 24 * texts;
        self.print_mark(Mark::Barcode(code), height);
        Ok(())
    }

    fn raster(&mut self, mode: u8, row_bytes: u32, rows: u32, data: &[u8]) -> Obeyed {
        let scale = [(1, 1), (2, 1), (1, 2), (2, 2)][usize::from(one_of(mode, 3)?)];
        self.at_line_start()?;
        if row_bytes == 0 || rows == 0 {
            return Err("a picture of nothing".to_owned());
        }
        let picture = Picture { row_bytes: row_bytes as usize, dots: data.to_vec(), scale };
        self.print_mark(Mark::Picture(picture), rows * scale.1);
        let width = self.head.width_dots();
        if row_bytes * 8 * scale.0 > width.next_multiple_of(8) {
            return Err(format!("{} dots are wider than the line of {width}", row_bytes * 8 * scale.0));
        }
        Ok(())
    }

    /// 0 and 1 cut where the paper is; 'A' and 'B' feed to the cutter first.
    fn cut_by_number(&mut self, kind: u8, feed: u8) -> Obeyed {
        let cut = if matches!(kind, 0 | b'0' | b'A') { Cut::Full } else { Cut::Partial };
        if matches!(kind, b'A' | b'B') {
            self.at_line_start()?;
            self.print_mark(Mark::Feed, self.model.cutter_dots + u32::from(feed));
        }
        self.cut_here(cut)
    }

    fn cut_here(&mut self, cut: Cut) -> Obeyed {
        self.at_line_start()?;
        self.acts.push_back(Act::Cut(cut));
        Ok(())
    }

    /// `GS ( k` with `cn` = 49.
    fn qr(&mut self, function: u8, data: &[u8]) -> Obeyed {
        match (function, data) {
            (65, [model @ (b'1' | b'2'), 0]) => self.head.qr_model = model - b'0',
            (67, [module @ 1..=16]) => self.head.qr_module = *module,
            (69, [correction @ b'0'..=b'3']) => self.head.qr_correction = correction - b'0',
            (80, [b'0', data @ ..]) if !data.is_empty() && data.len() <= QR_BYTES_MAX => {
                self.head.qr_data = data.to_vec();
            }
            (81, [b'0']) => return self.print_qr(),
            _ => return Err("no function of a QR code".to_owned()),
        }
        Ok(())
    }

    fn print_qr(&mut self) -> Obeyed {
        self.at_line_start()?;
        let head = &self.head;
        if head.qr_data.is_empty() {
            return Err("no QR code is stored: nothing printed".to_owned());
        }
        let modules = codes::qr_modules(&head.qr_data, head.qr_correction)
            .ok_or(format!("{} bytes do not fit into a QR code: nothing printed", head.qr_data.len()))?;
        let side = modules * u32::from(head.qr_module);
        if side > head.width_dots() {
            let width = head.width_dots();
            return Err(format!(
                "a QR code of {side} dots is wider than the line of {width}: nothing printed"
            ));
        }
        let qr = Qr {
            data: head.qr_data.clone(),
            module: head.qr_module,
            correction: head.qr_correction,
            model: head.qr_model,
        };
        self.print_mark(Mark::Qr(qr), side);
        Ok(())
    }

    /// `GS ( H` function 48: answered when everything before it is on the paper, a line that is not ended too.
    fn process_id(&mut self, tag: &[u8]) -> Obeyed {
        if !self.model.process_ids {
            return Err("this model knows no process IDs".to_owned());
        }
        if tag.iter().any(|byte| !(0x20..=0x7e).contains(byte)) {
            return Err("a process ID is of 20h to 7Eh".to_owned());
        }
        let answer = [&[0x37, 0x22], tag, &[0x00]].concat();
        match self.head.is_in_line() {
            true => self.head.answers.push(answer),
            false => self.acts.push_back(Act::Answer(answer)),
        }
        Ok(())
    }
}

fn dots(low: u8, high: u8) -> u32 {
    u32::from(low) + 256 * u32::from(high)
}

/// A number that may be written as itself or as its digit.
fn one_of(n: u8, most: u8) -> Result<u8, String> {
    let number = if n >= b'0' { n - b'0' } else { n };
    if number > most { Err(format!("{n} is out of its range")) } else { Ok(number) }
}

/// The head of a command, for people.
fn shown(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 12;
    let hex: Vec<String> = bytes.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02X}")).collect();
    let more = if bytes.len() > SHOWN_MAX { " …" } else { "" };
    format!("{}{more}", hex.join(" "))
}
