//! Printers and displays made from their manuals: judges of the drivers, so they share nothing with any of them. Fed
//! with bytes, they have paper or a screen to look at and a list of what they did not understand; `network` and
//! `serial` put them behind a socket or a line, with faults. Knows neither drivers nor hosts.

mod code_page;
pub mod fgl;
pub mod judges;
pub mod network;
pub mod plan;
pub mod pole;
pub mod receipt;
pub mod serial;
pub mod zpl;

/// A device as its line sees it.
pub trait Machine: Send {
    /// Takes from the front of these bytes what it has room for, and says how many that were.
    fn take(&mut self, bytes: &[u8]) -> usize;

    /// Works off what it took, as far as it is able to.
    fn work(&mut self);

    /// Does it hold bytes it is able to work off now?
    fn is_busy(&self) -> bool;

    /// What it says, each byte once.
    fn answers(&mut self) -> Vec<u8>;

    /// The paper ends here. A display has none.
    fn paper_out(&mut self) {}

    /// Does it wait for paper?
    fn is_out_of_paper(&self) -> bool {
        false
    }

    /// New paper, the cover closed, everything put right that a person can.
    fn refill(&mut self) {}

    /// The line was cut: a device that resets its interface then forgets the command it was in.
    fn line_lost(&mut self) {}
}
