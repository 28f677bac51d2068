//! Text as cells of a display: one byte of a code page each, none of which is a command. Knows no line and no width.
//!
//! Best effort, in this order: the letter itself; the letter without its marks or in plainer form (`ř` as `r`, `“` as
//! `"`); '?'. Every character takes one cell, also one that would be wide. Text from right to left keeps its logical
//! order: no display here has a page with such letters, so they are '?' anyway.

use driver_sdk::Host;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Texts become cells in one code page.
pub struct Encoder {
    host: Host,
    page: u32,
    attention: Option<[u8; 2]>,
    /// What says that a line was cut.
    ellipsis: u8,
}

/// A text in cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    /// One byte a cell, none a control code.
    pub cells: Vec<u8>,
    /// How many characters are shown as '?' though they are others.
    pub lost: usize,
}

impl Encoder {
    /// For a page by its number. `attention`: two characters that must not follow each other. `None`: the host does
    /// not have this page.
    pub fn new(host: Host, page: u32, attention: Option<[u8; 2]>) -> Option<Encoder> {
        let ellipsis = match host.encode(page, "…")? {
            (bytes, 0) if bytes.len() == 1 => bytes[0],
            _ => b'.',
        };
        Some(Encoder { host, page, attention, ellipsis })
    }

    /// A text in cells.
    pub fn cells(&self, text: &str) -> Cells {
        let clean = clean(text);
        let (mut cells, mut lost) = match self.exact(&clean) {
            Some(bytes) => (bytes, 0),
            None => self.one_by_one(&clean),
        };
        for cell in &mut cells {
            // The host never gives one; a display must not depend on it.
            if *cell < 0x20 || *cell == 0x7f {
                *cell = b'?';
                lost += 1;
            }
        }
        if let Some([first, second]) = self.attention {
            for at in 1..cells.len() {
                if cells[at - 1] == first && cells[at] == second {
                    cells[at] = b' ';
                }
            }
        }
        Cells { cells, lost }
    }

    /// Cells cut or padded to a line of `columns`.
    pub fn fit(&self, mut cells: Vec<u8>, columns: usize) -> Vec<u8> {
        if cells.len() > columns {
            cells.truncate(columns);
            if let Some(last) = cells.last_mut() {
                *last = self.ellipsis;
            }
        }
        cells.resize(columns, b' ');
        cells
    }

    fn exact(&self, text: &str) -> Option<Vec<u8>> {
        self.host.encode(self.page, text).filter(|(_, lossy)| *lossy == 0).map(|(bytes, _)| bytes)
    }

    fn one_by_one(&self, text: &str) -> (Vec<u8>, usize) {
        let (mut cells, mut lost) = (Vec::with_capacity(text.len()), 0);
        let mut buffer = [0; 4];
        for character in text.chars() {
            let plainer = || self.exact(&plainer(character)).filter(|bytes| !bytes.is_empty());
            match self.exact(character.encode_utf8(&mut buffer)).or_else(plainer) {
                Some(bytes) => cells.extend(bytes),
                None => {
                    cells.push(b'?');
                    lost += 1;
                }
            }
        }
        (cells, lost)
    }
}

/// Composed, with spaces for what only separates, and without what is not seen or could be a command.
fn clean(text: &str) -> String {
    let shown = |character: char| match character {
        _ if character.is_control() || character.is_whitespace() => Some(' '),
        // Soft hyphen, zero width, direction, joiners, byte order mark.
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => None,
        // A mark that was not composed belongs to the cell before it.
        _ if is_combining_mark(character) => None,
        _ => Some(character),
    };
    text.nfc().filter_map(shown).collect()
}

/// The same character with less to it; the character itself where there is nothing to take away.
fn plainer(character: char) -> String {
    let plain = match character {
        '‘' | '’' | '‚' | '′' => "'",
        '“' | '”' | '„' | '″' => "\"",
        '‹' => "<",
        '›' => ">",
        '«' | '»' => "\"",
        '‐'..='―' | '−' => "-",
        '•' => "*",
        'Ł' => "L",
        'ł' => "l",
        'Đ' => "D",
        'đ' => "d",
        'Ø' => "O",
        'ø' => "o",
        'ı' => "i",
        'Œ' => "OE",
        'œ' => "oe",
        'Æ' => "AE",
        'æ' => "ae",
        'ẞ' => "SS",
        'ß' => "ss",
        _ => return character.nfkd().filter(|part| !is_combining_mark(*part)).collect(),
    };
    plain.to_owned()
}
