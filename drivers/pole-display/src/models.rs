//! The displays that are known, as data: which command sets they speak, which code pages they have and under which
//! numbers. Knows no command's bytes but those of Posiflex's own mode.

/// Posiflex displays come back from their own mode ("PST") to Epson's with this. PD-300 manual, page 4.
pub const PST_TO_EPSON: &[u8] = b"\x14\x16";

/// A display.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// As it is written in settings.
    pub name: &'static str,
    /// The command sets it speaks, as a switch on it chooses; the first is how it leaves the factory.
    pub sets: &'static [&'static str],
    /// Code pages in Epson's mode: the page, and its number on the device.
    pub pages: &'static [(u32, u8)],
    /// The page that is used where none is named, in Epson's mode.
    pub page: u32,
    /// Is its brightness known to obey the command set's command?
    pub brightness: bool,
    /// Has it Posiflex's own mode, in which nothing else works?
    pub pst: bool,
}

impl Model {
    /// By its name.
    pub fn find(name: &str) -> Option<&'static Model> {
        ALL.iter().find(|model| model.name == name)
    }
}

/// All of them. Each has two lines of twenty characters.
pub const ALL: &[Model] = &[
    // Manual of the PD-300 series, pages 3 and 4: `1B 74 n` with 0 or 19, brightness not mentioned.
    Model {
        name: "pd300",
        sets: &["epson"],
        pages: &[(437, 0), (858, 19)],
        page: 858,
        brightness: false,
        pst: true,
    },
    // Command manual of the PD-26xx, PD-23xx and PD-28xx series. 1 is Katakana and 253 a variant of 437: the host has
    // neither.
    Model {
        name: "pd26xx",
        sets: &["epson", "adm", "aedex", "utc", "utc-enhanced"],
        pages: &[(437, 0), (850, 2), (858, 19), (860, 3), (863, 4), (865, 5), (1253, 255), (1257, 254)],
        page: 858,
        brightness: false,
        pst: true,
    },
    // Pages as in Epson's DM-D110 specification, page 52.
    Model {
        name: "generic",
        sets: &["epson", "cd5220", "cd5220-string", "aedex", "adm", "utc", "utc-enhanced", "dsp800"],
        pages: &[
            (437, 0),
            (850, 2),
            (852, 18),
            (858, 19),
            (860, 3),
            (863, 4),
            (865, 5),
            (866, 17),
            (1252, 16),
        ],
        page: 858,
        brightness: true,
        pst: false,
    },
];
