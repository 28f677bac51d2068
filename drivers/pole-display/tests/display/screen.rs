//! Two lines of twenty cells, as the manuals' tables say that they move: what the driver's bytes come to. Written from
//! the manuals, beside the driver's tables and not from them. What no manual knows is noted as an error.

/// What the display understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Epson,
    Cd5220,
    Aedex,
    Adm,
    Utc,
    UtcEnhanced,
    Dsp800,
}

/// A display.
#[derive(Clone, Debug)]
pub struct Screen {
    language: Language,
    cells: [u8; 40],
    at: usize,
    pending: Vec<u8>,
    /// Posiflex's own mode, CD5220's string mode.
    elsewhere: bool,
    /// The next character after the last cell moves everything up.
    scrolls: bool,
    pub page: Option<u8>,
    pub bright: Option<u8>,
    pub blinks: bool,
    pub cursor: bool,
    pub errors: Vec<String>,
}

/// What a command's bytes so far are.
enum Heard {
    More,
    Whole,
    Wrong,
}

use Heard::{More, Whole, Wrong};

// === impl Screen ===

impl Screen {
    /// A display of a command set, in the state of one that was left as badly as it can be.
    pub fn left_badly(set: &str) -> Screen {
        let (language, elsewhere) = match set {
            "epson" => (Language::Epson, true),
            "cd5220" | "cd5220-string" => (Language::Cd5220, true),
            "aedex" => (Language::Aedex, false),
            "adm" => (Language::Adm, false),
            "utc" => (Language::Utc, false),
            "utc-enhanced" => (Language::UtcEnhanced, false),
            "dsp800" => (Language::Dsp800, false),
            other => panic!("{other}"),
        };
        Screen {
            language,
            cells: [b'#'; 40],
            at: 17,
            pending: Vec::new(),
            elsewhere,
            scrolls: true,
            page: None,
            bright: None,
            blinks: !matches!(language, Language::Aedex | Language::UtcEnhanced | Language::Dsp800),
            cursor: true,
            errors: Vec::new(),
        }
    }

    /// The same display after it was off for a moment.
    pub fn off_and_on(set: &str) -> Screen {
        let mut screen = Screen::left_badly(set);
        let _ = screen.clear();
        (screen.blinks, screen.cursor) = (false, true);
        screen
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.pending.push(*byte);
            let command = self.pending.clone();
            let heard = match self.language {
                Language::Epson if self.elsewhere => self.pst(&command),
                Language::Epson => self.epson(&command),
                Language::Cd5220 if self.elsewhere => self.string_mode(&command),
                Language::Cd5220 => self.cd5220(&command),
                Language::Aedex => self.whole_lines(&command, b"!#", b'1'),
                Language::UtcEnhanced => self.whole_lines(&command, b"\x1bu", b'A'),
                Language::Adm => self.adm(&command),
                Language::Utc => self.utc(&command),
                Language::Dsp800 => self.dsp800(&command),
            };
            match heard {
                More => {}
                Whole => self.pending.clear(),
                Wrong => {
                    self.errors.push(command.escape_ascii().to_string());
                    self.pending.clear();
                }
            }
        }
    }

    pub fn line(&self, line: usize) -> &[u8] {
        &self.cells[line * 20..line * 20 + 20]
    }

    fn put(&mut self, cell: u8) -> Heard {
        self.cells[self.at] = cell;
        self.at = (self.at + 1) % 40;
        if self.at == 0 && self.scrolls {
            self.cells.copy_within(20.., 0);
            self.cells[20..].fill(b' ');
            self.at = 20;
        }
        Whole
    }

    fn clear(&mut self) -> Heard {
        self.cells.fill(b' ');
        self.at = 0;
        self.elsewhere = false;
        Whole
    }

    fn go(&mut self, at: usize) -> Heard {
        self.at = at;
        Whole
    }

    fn set<T>(place: &mut T, value: T) -> Heard {
        *place = value;
        Whole
    }

    fn string(&mut self, line: u8, text: &[u8]) -> Heard {
        if text.len() > 20 {
            return Wrong;
        }
        let start = usize::from(line) * 20;
        self.cells[start..start + 20].fill(b' ');
        self.cells[start..start + text.len()].copy_from_slice(text);
        Whole
    }

    /// PD-300 manual, page 4: only its own commands.
    fn pst(&mut self, command: &[u8]) -> Heard {
        match command {
            [0x14] => More,
            [0x14, 0x16] => Self::set(&mut self.elsewhere, false),
            [0x0d] => Whole,
            _ => Wrong,
        }
    }

    fn epson(&mut self, command: &[u8]) -> Heard {
        match *command {
            [0x0c] => self.clear(),
            [0x0d] => self.go(self.at / 20 * 20),
            [0x14 | 0x1b | 0x1f]
            | [0x1b, 0x74 | 0x3d]
            | [0x1f, 0x24 | 0x43 | 0x45 | 0x58]
            | [0x1f, 0x24, _] => More,
            [0x14, 0x16] => Whole,
            [0x1b, 0x3d, 0x04] => Self::set(&mut self.elsewhere, true),
            [0x1b, 0x40] => {
                (self.scrolls, self.page, self.bright, self.blinks, self.cursor) =
                    (false, None, None, false, true);
                self.clear()
            }
            [0x1b, 0x74, n] => Self::set(&mut self.page, Some(n)),
            [0x1f, 0x01] => Self::set(&mut self.scrolls, false),
            [0x1f, 0x24, x @ 1..=20, y @ 1..=2] => self.go(usize::from(y - 1) * 20 + usize::from(x - 1)),
            [0x1f, 0x43, n @ 0..=1] => Self::set(&mut self.cursor, n == 1),
            [0x1f, 0x45, n @ 0..=254] => Self::set(&mut self.blinks, n > 0),
            [0x1f, 0x58, n @ 1..=4] => Self::set(&mut self.bright, Some(n)),
            [cell @ 0x20..=0xff] => self.put(cell),
            _ => Wrong,
        }
    }

    fn cd5220(&mut self, command: &[u8]) -> Heard {
        match *command {
            [0x0c] => self.clear(),
            [0x0d] => self.go(self.at / 20 * 20),
            [0x1b | 0x1f] | [0x1b, 0x6c | 0x2a | 0x5f] | [0x1f, 0x45] | [0x1b, 0x6c, _] => More,
            [0x1b, 0x40] => {
                (self.scrolls, self.bright, self.blinks, self.cursor) = (false, None, false, true);
                self.clear()
            }
            [0x1b, 0x11] => Self::set(&mut self.scrolls, false),
            [0x1b, 0x6c, x @ 1..=20, y @ 1..=2] => self.go(usize::from(y - 1) * 20 + usize::from(x - 1)),
            [0x1b, 0x2a, n @ 1..=4] => Self::set(&mut self.bright, Some(n)),
            [0x1b, 0x5f, n @ 0..=1] => Self::set(&mut self.cursor, n == 1),
            [0x1f, 0x45, n @ 0..=254] => Self::set(&mut self.blinks, n > 0),
            [0x1b, 0x51, ..] => self.whole_lines(command, b"\x1bQ", b'A'),
            [cell @ 0x20..=0xff] => self.put(cell),
            _ => Wrong,
        }
    }

    /// Nothing but strings, CLR and CAN. What is no command is dropped, a lone CR among it.
    fn string_mode(&mut self, command: &[u8]) -> Heard {
        match command {
            [0x0c] => self.clear(),
            [0x0d] => Whole,
            _ => self.whole_lines(command, b"\x1bQ", b'A'),
        }
    }

    fn whole_lines(&mut self, command: &[u8], prefix: &[u8], upper: u8) -> Heard {
        if command.len() <= prefix.len() {
            return if prefix.starts_with(command) { More } else { Wrong };
        }
        let (head, rest) = command.split_at(prefix.len());
        let (line, text) = (rest[0].wrapping_sub(upper), &rest[1..]);
        if head != prefix || line > 1 || text.len() > 21 {
            return Wrong;
        }
        match text {
            [text @ .., 0x0d] => {
                self.elsewhere = self.language == Language::Cd5220;
                self.string(line, text)
            }
            [.., 0..=0x1f] => Wrong,
            // The attention code is heard anywhere.
            _ if self.language == Language::Aedex && text.ends_with(prefix) => Wrong,
            _ => More,
        }
    }

    fn adm(&mut self, command: &[u8]) -> Heard {
        match *command {
            [0x0c] => self.clear(),
            [0x0d] => self.go(self.at / 20 * 20),
            [line @ 0x0e..=0x0f] => {
                self.scrolls = false;
                let _ = self.string(line - 0x0e, b"");
                self.go(usize::from(line - 0x0e) * 20)
            }
            [0x11 | 0x12] => More,
            [on @ 0x11..=0x12, b'1' | b'2'] => Self::set(&mut self.blinks, on == 0x11),
            [cell @ 0x20..=0xff] => self.put(cell),
            _ => Wrong,
        }
    }

    fn utc(&mut self, command: &[u8]) -> Heard {
        match *command {
            [0x1f] => {
                (self.scrolls, self.cursor, self.blinks, self.bright) = (true, true, false, None);
                self.clear()
            }
            [0x0d] => self.go(self.at / 20 * 20),
            [0x11] => Self::set(&mut self.scrolls, false),
            [cursor @ 0x13..=0x14] => Self::set(&mut self.cursor, cursor == 0x13),
            [flash @ 0x1c..=0x1d] => Self::set(&mut self.blinks, flash == 0x1c),
            [0x10 | 0x04] => More,
            [0x10, at @ 0..=0x27] => self.go(at.into()),
            [0x04, n @ (0x20 | 0x40 | 0x60 | 0xff)] => {
                Self::set(&mut self.bright, Some((n >> 5).clamp(1, 4)))
            }
            [cell @ 0x20..=0xff] => self.put(cell),
            _ => Wrong,
        }
    }

    fn dsp800(&mut self, command: &[u8]) -> Heard {
        self.scrolls = false;
        match *command {
            [0x04] | [0x04, 0x01] | [0x04, 0x01, 0x50] | [0x04, 0x01, 0x43] => More,
            [0x04, 0x01, 0x50, 0x31..=0x58] | [0x04, 0x01, 0x43, _] | [0x04, 0x01, 0x43, _, 0x31..=0x58] => {
                More
            }
            [0x04, 0x01, 0x50, at, 0x17] => self.go(usize::from(at - 0x31)),
            [0x04, 0x01, 0x43, from @ 0x31..=0x58, to, 0x17] => {
                self.cells[usize::from(from - 0x31)..=usize::from(to - 0x31)].fill(b' ');
                Whole
            }
            // An end without a beginning is answered with NACK.
            [0x17] => Whole,
            [cell @ 0x20..=0xff] => self.put(cell),
            _ => Wrong,
        }
    }
}
