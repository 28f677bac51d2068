//! What a printer's status bytes mean. Pure; knows no line and no question.

use crate::profile::DrawerSense;
use driver_sdk::{Fault, Status};

/// The answers to `DLE EOT` 1 to 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealTime(pub [u8; 4]);

// === impl RealTime ===

impl RealTime {
    /// An answer in which nothing is said: the fixed bits alone.
    pub const NOTHING: u8 = 0x12;

    /// The bits of Epson's "DLE EOT".
    pub fn status(self, drawer: DrawerSense) -> Status {
        let RealTime([printer, offline, error, paper]) = self;
        let bits = [
            (printer & 0x08 == 0, Status::ONLINE),
            (offline & 0x04 != 0, Status::COVER_OPEN),
            (error & 0x08 != 0, Status::CUTTER),
            // Recovers by itself: the head is too hot.
            (error & 0x40 != 0, Status::HOT),
            (paper & 0x60 != 0 || offline & 0x20 != 0, Status::PAPER_OUT),
            (paper & 0x0c != 0, Status::PAPER_LOW),
            (drawer_is_open(printer & 0x04 != 0, drawer), Status::DRAWER_OPEN),
        ];
        collect(&bits)
    }

    /// All four as one number, for who has the manual.
    pub fn native_code(self) -> i32 {
        i32::from_be_bytes(self.0)
    }
}

/// The four bytes of a status that a printer sends by itself: the bits of Epson's "GS a".
pub fn of_asb(block: [u8; 4], drawer: DrawerSense) -> Status {
    let [printer, error, paper, _] = block;
    collect(&[
        (printer & 0x08 == 0, Status::ONLINE),
        (printer & 0x20 != 0, Status::COVER_OPEN),
        (error & 0x08 != 0, Status::CUTTER),
        (error & 0x40 != 0, Status::HOT),
        (paper & 0x0c != 0, Status::PAPER_OUT),
        (paper & 0x03 != 0, Status::PAPER_LOW),
        (drawer_is_open(printer & 0x04 != 0, drawer), Status::DRAWER_OPEN),
    ])
}

/// USB printer class 1.1, `GET_PORT_STATUS`: bit 3 no error, bit 4 selected, bit 5 out of paper.
pub fn of_port(port: u8) -> Status {
    collect(&[
        (port & 0x18 == 0x18 && port & 0x20 == 0, Status::ONLINE),
        (port & 0x20 != 0, Status::PAPER_OUT),
    ])
}

fn collect(bits: &[(bool, Status)]) -> Status {
    bits.iter().filter(|(on, _)| *on).fold(Status(0), |status, (_, bit)| status.with(*bit))
}

fn drawer_is_open(pin_is_high: bool, sense: DrawerSense) -> bool {
    match sense {
        DrawerSense::None => false,
        DrawerSense::High => pin_is_high,
        DrawerSense::Low => !pin_is_high,
    }
}

/// What to do about a fault before anything was printed.
pub fn before(fault: Fault) -> String {
    let what = match fault {
        Fault::PaperOut => "out of paper: put in a new roll",
        Fault::CoverOpen => "the cover is open: close it",
        Fault::Cutter => "the cutter is stuck: switch the printer off, clear it, switch it on",
        Fault::Overheat => "the print head is too hot: wait",
        Fault::Offline => "the printer is off-line: look at its lamps and the feed button",
        Fault::Timeout => "the printer does not answer: is it switched on and plugged in?",
        Fault::Gone => "the printer is not there: is it switched on and plugged in?",
        other => other.words(),
    };
    format!("{what}; nothing was printed")
}

/// What to do about a printer that tells how it is and does not answer in turn.
pub fn stuck() -> String {
    "the printer is busy or stuck in a picture: if it stays so, switch it off and on, and check its profile; \
     nothing was printed"
        .to_owned()
}

/// What to do about a fault that came while a document was printed.
pub fn during(fault: Fault) -> String {
    let what = match fault {
        Fault::Timeout => "the printer took too long",
        Fault::Io | Fault::Gone => "the connection to the printer broke",
        other => other.words(),
    };
    format!("{what} while printing: look whether the receipt came out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_told_as_the_manual_has_them() {
        let online = Status::ONLINE;
        for (bytes, status) in [
            ([0x12, 0x12, 0x12, 0x12], online),
            ([0x16, 0x12, 0x12, 0x12], online),
            ([0x12, 0x12, 0x12, 0x1e], online.with(Status::PAPER_LOW)),
            ([0x1a, 0x32, 0x12, 0x7e], Status::PAPER_OUT.with(Status::PAPER_LOW)),
            ([0x1a, 0x16, 0x12, 0x12], Status::COVER_OPEN),
            ([0x1a, 0x52, 0x1a, 0x12], Status::CUTTER),
            ([0x1a, 0x52, 0x52, 0x12], Status::HOT),
            ([0x1a, 0x12, 0x12, 0x12], Status(0)),
        ] {
            assert_eq!(RealTime(bytes).status(DrawerSense::None), status, "{bytes:02x?}");
        }
        for (block, status) in [
            ([0x10, 0, 0, 0x0f], online),
            ([0x14, 0, 0x03, 0x0f], online.with(Status::PAPER_LOW)),
            ([0x18, 0, 0x0f, 0x0f], Status::PAPER_OUT.with(Status::PAPER_LOW)),
            ([0x38, 0, 0, 0x0f], Status::COVER_OPEN),
            ([0x18, 0x08, 0, 0x0f], Status::CUTTER),
            ([0x18, 0x40, 0, 0x0f], Status::HOT),
        ] {
            assert_eq!(of_asb(block, DrawerSense::None), status, "{block:02x?}");
        }
        assert_eq!(of_port(0x18), online);
        assert_eq!(of_port(0x30), Status::PAPER_OUT);
        assert_eq!(of_port(0x10), Status(0));
    }

    #[test]
    fn a_drawer_s_pin_is_believed_only_where_its_level_is_known() {
        for (byte, sense, open) in [
            (0x16, DrawerSense::None, false),
            (0x16, DrawerSense::High, true),
            (0x12, DrawerSense::High, false),
            (0x12, DrawerSense::Low, true),
        ] {
            let status = RealTime([byte, 0x12, 0x12, 0x12]).status(sense);
            assert_eq!(status.has(Status::DRAWER_OPEN), open, "{byte:02x} {sense:?}");
        }
    }

    #[test]
    fn words_for_people_fit_and_say_what_to_do() {
        for fault in Fault::ALL {
            assert!(before(*fault).len() <= 160, "{}", before(*fault));
            assert!(during(*fault).len() <= 160, "{}", during(*fault));
        }
        assert!(stuck().len() <= 160, "{}", stuck());
        assert_eq!(during(Fault::PaperOut), "out of paper while printing: look whether the receipt came out");
    }
}
