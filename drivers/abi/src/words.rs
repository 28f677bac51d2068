//! The ABI's numbers as types: faults, outcomes, status bits, kinds. Unknown numbers from outside become the careful
//! choice, never a panic.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Prints documents.
    Printer,
    /// Shows lines.
    Display,
}

impl Kind {
    /// The header's number.
    pub fn number(self) -> u32 {
        match self {
            Kind::Printer => 1,
            Kind::Display => 2,
        }
    }

    /// `None` for a kind this host does not know.
    pub fn from_number(number: u32) -> Option<Kind> {
        [Kind::Printer, Kind::Display].into_iter().find(|kind| kind.number() == number)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Printer => "printer",
            Kind::Display => "display",
        })
    }
}

/// A request to a USB device's control end-point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlIn {
    /// bmRequestType.
    pub request_type: u8,
    /// bRequest.
    pub request: u8,
    /// wValue.
    pub value: u16,
    /// wIndex.
    pub index: u16,
}

/// How far a document came. Only `None` may be tried again without asking a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// Nothing that prints left the driver.
    None,
    /// All bytes left; the device cannot or did not confirm.
    Sent,
    /// The device said that it is physically finished.
    Confirmed,
    /// It broke in the middle: may have printed.
    Unknown,
}

impl Done {
    /// The header's number.
    pub fn number(self) -> u32 {
        match self {
            Done::None => 0,
            Done::Sent => 1,
            Done::Confirmed => 2,
            Done::Unknown => 3,
        }
    }

    /// A number nobody knows means that nobody knows what printed.
    pub fn from_number(number: u32) -> Done {
        match number {
            0 => Done::None,
            1 => Done::Sent,
            2 => Done::Confirmed,
            _ => Done::Unknown,
        }
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $words:literal;)*) => {
        /// Why a call was not well.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Fault] = &[$(Fault::$name),*];

            /// The header's number: below 0.
            pub fn number(self) -> i32 {
                match self {
                    $(Fault::$name => $number,)*
                }
            }

            /// For people.
            pub fn words(self) -> &'static str {
                match self {
                    $(Fault::$name => $words,)*
                }
            }
        }
    };
}

faults! {
    /// An op that cannot be, a buffer that cannot be.
    Invalid = -1, "the document cannot be";
    /// This device cannot do it.
    Unsupported = -2, "the device cannot do this";
    /// The time given was not enough.
    Timeout = -3, "the device did not answer in time";
    /// The way to the device failed; it may work again.
    Io = -4, "the way to the device failed";
    /// The device is not there.
    Gone = -5, "the device is not there";
    /// Somebody else has the device.
    Busy = -6, "another program has the device";
    /// The host asked to stop.
    Cancelled = -7, "cancelled";
    /// The device answered what it must not.
    Protocol = -8, "the device answered something it must not";
    /// No memory.
    NoMemory = -9, "no memory";
    /// The driver caught its own panic.
    Panic = -10, "the driver panicked";
    /// The driver's own mistake.
    Internal = -11, "the driver failed";
    /// The settings are wrong.
    Config = -12, "the driver's settings are wrong";
    /// No paper.
    PaperOut = -20, "out of paper";
    /// The cover is open.
    CoverOpen = -21, "the cover is open";
    /// The cutter is stuck.
    Cutter = -22, "the cutter is stuck";
    /// Paper jam.
    Jam = -23, "paper jam";
    /// Too hot.
    Overheat = -24, "too hot";
    /// Off-line.
    Offline = -25, "the device is off-line";
}

impl Fault {
    /// From the header's number: `Ok` for 0, `Internal` for a number nobody knows.
    ///
    /// # Errors
    /// The fault, for every number that is not 0.
    pub fn check(number: i32) -> Result<(), Fault> {
        if number == 0 {
            return Ok(());
        }
        Err(Fault::ALL.iter().copied().find(|fault| fault.number() == number).unwrap_or(Fault::Internal))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Fault {}

/// What is known of a device: the header's bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status(pub u32);

impl Status {
    /// Ready.
    pub const ONLINE: Status = Status(1);
    /// Paper near its end.
    pub const PAPER_LOW: Status = Status(1 << 1);
    /// No paper.
    pub const PAPER_OUT: Status = Status(1 << 2);
    /// The cover is open.
    pub const COVER_OPEN: Status = Status(1 << 3);
    /// The cutter is stuck.
    pub const CUTTER: Status = Status(1 << 4);
    /// Paper jam.
    pub const JAM: Status = Status(1 << 5);
    /// The cash drawer is open.
    pub const DRAWER_OPEN: Status = Status(1 << 6);
    /// Too hot.
    pub const HOT: Status = Status(1 << 7);
    /// It is at work.
    pub const BUSY: Status = Status(1 << 8);
    /// The device tells nothing.
    pub const UNKNOWN: Status = Status(1 << 30);

    const WORDS: [(Status, &'static str); 10] = [
        (Status::ONLINE, "online"),
        (Status::PAPER_LOW, "paper low"),
        (Status::PAPER_OUT, "out of paper"),
        (Status::COVER_OPEN, "cover open"),
        (Status::CUTTER, "cutter stuck"),
        (Status::JAM, "paper jam"),
        (Status::DRAWER_OPEN, "drawer open"),
        (Status::HOT, "too hot"),
        (Status::BUSY, "busy"),
        (Status::UNKNOWN, "tells nothing"),
    ];

    /// Are all bits of `other` in it?
    pub fn has(self, other: Status) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other`.
    #[must_use]
    pub fn with(self, other: Status) -> Status {
        Status(self.0 | other.0)
    }

    /// Without the bits of `other`.
    #[must_use]
    pub fn without(self, other: Status) -> Status {
        Status(self.0 & !other.0)
    }

    /// What keeps it from printing, the gravest first.
    pub fn fault(self) -> Option<Fault> {
        if self.has(Status::UNKNOWN) {
            return None;
        }
        let graves = [
            (Status::COVER_OPEN, Fault::CoverOpen),
            (Status::PAPER_OUT, Fault::PaperOut),
            (Status::CUTTER, Fault::Cutter),
            (Status::JAM, Fault::Jam),
            (Status::HOT, Fault::Overheat),
        ];
        let grave = graves.into_iter().find(|(bit, _)| self.has(*bit)).map(|(_, fault)| fault);
        grave.or((!self.has(Status::ONLINE)).then_some(Fault::Offline))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> =
            Status::WORDS.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, word)| *word).collect();
        f.write_str(if words.is_empty() { "off-line" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({self})")
    }
}
