//! The command sets of pole displays, as data: one table each, with the manual its bytes are from. Knows no model, no
//! settings and no text.
//!
//! A set lists only what the driver sends. What a manual has besides (windows, own glyphs, clocks, native scrolling) is
//! left out on purpose: a picture that the host draws cell by cell heals by itself, a text that a device moves does not.
//! Futaba and Noritake modes are not here: no manual of them was at hand.

/// How one place of the screen is reached.
#[derive(Clone, Copy, Debug)]
pub enum Placing {
    /// These bytes, then the column and the line, both from 1 on.
    ColumnLine(&'static [u8]),
    /// `before`, then one byte: `first` for the top left cell and one more for each cell from there, then `after`.
    Cell {
        /// What opens the command.
        before: &'static [u8],
        /// The byte of the first cell.
        first: u8,
        /// What ends the command.
        after: &'static [u8],
    },
    /// Only whole lines: what opens each of the two, and what ends it.
    Line {
        /// What opens the upper and the lower line.
        before: [&'static [u8]; 2],
        /// What ends a line.
        after: &'static [u8],
    },
}

/// Who blinks, and how it is said.
#[derive(Clone, Copy, Debug)]
pub enum Blinking {
    /// Nothing can.
    None,
    /// The whole screen: these bytes, then half a period in 50 ms; 0 ends it. 255 would switch the screen off.
    Screen(&'static [u8]),
    /// Each line, with the period of the device: to begin and to end it on the two lines.
    Lines {
        /// Begins it on the upper and the lower line.
        on: [&'static [u8]; 2],
        /// Ends it there.
        off: [&'static [u8]; 2],
    },
    /// Whatever is written from here on: a change means that everything is written again.
    Cells {
        /// Begins it.
        on: &'static [u8],
        /// Ends it.
        off: &'static [u8],
    },
}

/// One command set.
#[derive(Clone, Copy, Debug)]
pub struct CommandSet {
    /// As it is written in settings.
    pub name: &'static str,
    /// Ends a command that was left half sent; where there is none it changes nothing that is not drawn again at once.
    pub resync: &'static [u8],
    /// Brings a device that was just reached into a known state. May clear it.
    pub init: &'static [u8],
    /// What a device that was off and on again has to be told before a picture.
    pub modes: &'static [u8],
    /// How a place is reached.
    pub placing: Placing,
    /// Selects a code page: these bytes, then its number on the device. `None`: a switch on the device does.
    pub page: Option<&'static [u8]>,
    /// Empties the screen.
    pub clear: Option<&'static [u8]>,
    /// Brightness 1 to 4.
    pub bright: Option<[&'static [u8]; 4]>,
    /// Blinking.
    pub blinking: Blinking,
    /// Hides and shows the cursor.
    pub cursor: Option<[&'static [u8]; 2]>,
    /// Printable characters that would begin a command in the middle of a text: never sent one after the other.
    pub attention: Option<[u8; 2]>,
}

impl CommandSet {
    /// By its name.
    pub fn find(name: &str) -> Option<&'static CommandSet> {
        ALL.iter().find(|set| set.name == name)
    }

    /// How many lines and how many cells it can reach: (lines, cells), `None` where nothing limits it.
    pub fn reach(&self) -> (Option<usize>, Option<usize>) {
        match self.placing {
            Placing::ColumnLine(_) => (None, None),
            Placing::Cell { .. } => (None, Some(40)),
            Placing::Line { .. } => (Some(2), None),
        }
    }
}

/// All of them.
pub const ALL: &[CommandSet] = &[EPSON, CD5220, CD5220_STRING, AEDEX, ADM, UTC, UTC_ENHANCED, DSP800];

/// Epson DM-D110 specification, pages 49, 52, 66; POS-X XP8200 manual, page 12; Posiflex PD-300 manual, pages 3 and 4.
const EPSON: CommandSet = CommandSet {
    name: "epson",
    // The longest command that is sent has two operands. A carriage return is an operand out of its range there, and
    // else moves the cursor, which nothing relies on.
    resync: b"\r\r",
    init: b"\x1b@",
    // Overwrite mode: in the scrolling modes a full line would move the picture.
    modes: b"\x1f\x01",
    placing: Placing::ColumnLine(b"\x1f\x24"),
    page: Some(b"\x1bt"),
    clear: Some(b"\x0c"),
    bright: Some([b"\x1fX\x01", b"\x1fX\x02", b"\x1fX\x03", b"\x1fX\x04"]),
    blinking: Blinking::Screen(b"\x1fE"),
    cursor: Some([b"\x1fC\x00", b"\x1fC\x01"]),
    attention: None,
};

/// Partner CD5220 manual, table 6-1; POS-X XP8200 manual, page 19; P07303 manual, page 20 (blinking).
///
/// After ESC Q A or ESC Q B ("string mode") a display obeys nothing but ESC Q, CLR and CAN. This table never sends them:
/// it works with cursor addresses, and what another program left is ended by CR and CLR first.
const CD5220: CommandSet = CommandSet {
    name: "cd5220",
    resync: b"\r\r",
    init: b"\x0c\x1b@",
    modes: b"\x1b\x11",
    placing: Placing::ColumnLine(b"\x1bl"),
    // ESC c n differs from maker to maker: a switch or a tool sets the page.
    page: None,
    clear: Some(b"\x0c"),
    bright: Some([b"\x1b*\x01", b"\x1b*\x02", b"\x1b*\x03", b"\x1b*\x04"]),
    blinking: Blinking::Screen(b"\x1fE"),
    cursor: Some([b"\x1b_\x00", b"\x1b_\x01"]),
    attention: None,
};

/// The same manuals, for displays that know no cursor address: only string mode, in which nothing else is obeyed.
const CD5220_STRING: CommandSet = CommandSet {
    name: "cd5220-string",
    resync: b"\x1bQA\r",
    init: b"\x0c\x1b@",
    modes: b"",
    placing: Placing::Line { before: [b"\x1bQA", b"\x1bQB"], after: b"\r" },
    page: None,
    clear: Some(b"\x0c"),
    bright: None,
    blinking: Blinking::None,
    cursor: None,
    attention: None,
};

/// Logic Controls LDX9 manual, page 25; POS-X XP8200 manual, page 16.
///
/// What is no command goes on to a printer behind the display: nothing is sent outside of one. `!#A` is a reset in one
/// manual and a scrolling text in another, so there is no init.
const AEDEX: CommandSet = CommandSet {
    name: "aedex",
    resync: b"!#1\r",
    init: b"",
    modes: b"",
    placing: Placing::Line { before: [b"!#1", b"!#2"], after: b"\r" },
    page: None,
    clear: None,
    bright: None,
    blinking: Blinking::None,
    cursor: None,
    attention: Some(*b"!#"),
};

/// ADM787/788: POS-X EVO-RD4 manual, page 23. SLE1 and SLE2 clear their line and go to its start.
const ADM: CommandSet = CommandSet {
    name: "adm",
    resync: b"\r",
    init: b"\x0c",
    modes: b"",
    placing: Placing::Line { before: [b"\x0e", b"\x0f"], after: b"\r" },
    page: None,
    clear: Some(b"\x0c"),
    bright: None,
    blinking: Blinking::Lines { on: [b"\x111", b"\x112"], off: [b"\x121", b"\x122"] },
    cursor: None,
    attention: None,
};

/// UTC standard ("direct to pole"): UTC 3190 manual, page 8; Posiflex PD-2609UE manual, page 12; brightness from the
/// Logic Controls LDX9 manual, page 18, whose set this one grew from.
const UTC: CommandSet = CommandSet {
    name: "utc",
    resync: b"\r",
    // Reset.
    init: b"\x1f",
    // Normal mode: some start in vertical scroll mode.
    modes: b"\x11",
    placing: Placing::Cell { before: b"\x10", first: 0, after: b"" },
    page: None,
    // RS clears on some, US resets on all, with the cursor and the blinking: neither is worth the bytes saved.
    clear: None,
    bright: Some([b"\x04\x20", b"\x04\x40", b"\x04\x60", b"\x04\xff"]),
    blinking: Blinking::Cells { on: b"\x1c", off: b"\x1d" },
    cursor: Some([b"\x14", b"\x13"]),
    attention: None,
};

/// UTC enhanced ("pass through"): POS-X XP8200 manual, page 16; Posiflex PD-2609UE manual, page 12.
const UTC_ENHANCED: CommandSet = CommandSet {
    name: "utc-enhanced",
    resync: b"\x1buA\r",
    init: b"",
    modes: b"",
    placing: Placing::Line { before: [b"\x1buA", b"\x1buB"], after: b"\r" },
    page: None,
    clear: None,
    bright: None,
    blinking: Blinking::None,
    cursor: None,
    attention: None,
};

/// DSP-800: Tysso VFD-550 manual, pages 18 and 19. The display answers each command with ACK, which nobody reads.
const DSP800: CommandSet = CommandSet {
    name: "dsp800",
    // ETB twice: an operand and an end.
    resync: b"\x17\x17",
    init: b"\x04\x01C\x31\x58\x17",
    modes: b"",
    placing: Placing::Cell { before: b"\x04\x01P", first: 0x31, after: b"\x17" },
    page: None,
    clear: Some(b"\x04\x01C\x31\x58\x17"),
    bright: None,
    blinking: Blinking::None,
    cursor: None,
    attention: None,
};
