//! Customer displays of 2 x 20 characters, fed with bytes as a serial line brings them: what they show, and every byte
//! they have no command for. One `Pole` speaks one `Dialect`. Knows no driver and no line.
//!
//! From the makers' manuals: Epson DM-D110 (pp. 49, 52, 66), Posiflex PD-300 (pp. 3-4), Partner CD5220, Logic Controls
//! (AEDEX, ADM787/788, UTC), DSP-800. Where a manual leaves open what a display does, it does the strict thing.

mod epson;
mod lines;
mod screen;
mod string_mode;
mod utc;

pub use screen::{COLUMNS, LINES, Screen, Scrolling};

use crate::Machine;

/// Which set of commands a display understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Epson DM-D.
    Epson,
    /// Posiflex PD-300: most of Epson's, and a PST mode in which none of it works.
    Pd300,
    /// Partner CD5220, with its string mode.
    Cd5220,
    /// AEDEX and EMAX: whole lines behind `!#`.
    Aedex,
    /// ADM787 and ADM788.
    Adm,
    /// UTC standard.
    UtcStandard,
    /// UTC enhanced.
    UtcEnhanced,
    /// DSP-800: frames of `04 01 … 17`.
    Dsp800,
}

/// A command longer than this is none: nothing a display understands comes near.
const COMMAND_BYTES_MAX: usize = 1_024;

/// What a dialect makes of the bytes it holds.
enum Extent {
    /// The command goes on.
    More,
    /// These bytes are a command, or a character to show.
    Whole,
    /// They are none.
    Unknown,
}

/// A display.
pub struct Pole {
    dialect: Dialect,
    screen: Screen,
    /// Bytes of a command that has not ended.
    pending: Vec<u8>,
    mode: Mode,
    errors: Vec<String>,
}

/// What a display is in, besides showing characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Everything works.
    Normal,
    /// CD5220 after `ESC Q`: only `ESC Q`, CLR and CAN work.
    Strings,
    /// PD-300 after `ESC = 4`.
    Pst,
    /// Epson after `ESC = 1`: the printer is spoken to, not the display.
    Deselected,
}

// === impl Pole ===

impl Pole {
    /// As switched on.
    pub fn new(dialect: Dialect) -> Pole {
        Pole { dialect, screen: Screen::new(), pending: Vec::new(), mode: Mode::Normal, errors: Vec::new() }
    }

    /// What is to be seen.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// What it was sent that it does not understand, in order.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Is a command begun that has not ended?
    pub fn is_in_command(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes bytes from the line.
    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.pending.push(*byte);
            self.look();
        }
    }

    fn look(&mut self) {
        match self.extent() {
            Extent::More if self.pending.len() < COMMAND_BYTES_MAX => {}
            Extent::Whole => {
                let command = std::mem::take(&mut self.pending);
                if let Err(error) = self.obey(&command) {
                    self.errors.push(format!("{}: {error}", hex(&command)));
                }
            }
            Extent::More | Extent::Unknown => {
                let command = std::mem::take(&mut self.pending);
                self.errors.push(format!("{}: no command of {:?}", hex(&command), self.dialect));
            }
        }
    }

    fn extent(&self) -> Extent {
        let bytes = &self.pending;
        match (self.dialect, self.mode) {
            (_, Mode::Pst) => epson::pst_extent(bytes),
            (Dialect::Epson | Dialect::Pd300, _) => epson::extent(self.dialect, bytes),
            (Dialect::Cd5220, _) => string_mode::extent(bytes),
            (Dialect::Aedex, _) => lines::aedex_extent(bytes),
            (Dialect::Adm, _) => lines::adm_extent(bytes),
            (Dialect::UtcStandard, _) => utc::extent(bytes, utc::Set::Standard),
            (Dialect::UtcEnhanced, _) => utc::extent(bytes, utc::Set::Enhanced),
            (Dialect::Dsp800, _) => lines::dsp800_extent(bytes),
        }
    }

    fn obey(&mut self, command: &[u8]) -> Result<(), String> {
        match (self.dialect, self.mode) {
            (_, Mode::Pst) => epson::obey_pst(&mut self.screen, &mut self.mode, command),
            (Dialect::Epson | Dialect::Pd300, _) => {
                epson::obey(self.dialect, &mut self.screen, &mut self.mode, command)
            }
            (Dialect::Cd5220, _) => string_mode::obey(&mut self.screen, &mut self.mode, command),
            (Dialect::Aedex, _) => lines::obey_aedex(&mut self.screen, command),
            (Dialect::Adm, _) => lines::obey_adm(&mut self.screen, command),
            (Dialect::UtcStandard | Dialect::UtcEnhanced, _) => utc::obey(&mut self.screen, command),
            (Dialect::Dsp800, _) => lines::obey_dsp800(&mut self.screen, command),
        }
    }
}

impl Machine for Pole {
    fn take(&mut self, bytes: &[u8]) -> usize {
        self.feed(bytes);
        bytes.len()
    }

    fn work(&mut self) {}

    fn is_busy(&self) -> bool {
        false
    }

    fn answers(&mut self) -> Vec<u8> {
        // Nobody's display of this kind answers.
        Vec::new()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

/// Is it a character to show?
fn is_character(byte: u8) -> bool {
    byte >= 0x20
}

/// Brightness of 1 to 4.
fn brightness(screen: &mut Screen, n: u8) -> Result<(), String> {
    if !(1..=4).contains(&n) {
        return Err(format!("brightness {n} is not 1 to 4"));
    }
    screen.brightness = n;
    Ok(())
}

/// `ESC t n` and its like.
fn code_page(screen: &mut Screen, n: u8) -> Result<(), String> {
    screen.page = crate::code_page::page_of_number(n).ok_or(format!("there is no code page {n}"))?;
    Ok(())
}

/// The text of a line command: at most `most` characters, none of them a control byte.
fn line_text(bytes: &[u8], most: usize) -> Result<&[u8], String> {
    if bytes.len() > most {
        return Err(format!("{} characters do not fit into {most}", bytes.len()));
    }
    match bytes.iter().find(|byte| !is_character(**byte)) {
        Some(byte) => Err(format!("{byte:02X} is no character")),
        None => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
