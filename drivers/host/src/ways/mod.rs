//! The ways to a device, opened: one `Transport` for each, one file for each. The only place that knows sockets,
//! serial lines, USB and device nodes. Knows no deadline longer than one step and no document.

mod control;
mod file;
mod lp;
mod replay;
mod serial;
mod tcp;
mod unsent;
mod usb;

use crate::line::Lost;
use crate::patience::Patience;
pub use driver_abi::ControlIn;
use driver_abi::Fault;
use driver_frames::Way;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// An open way. Every wait is at most `step`, or as long as `patience`; `Timeout` says that nothing happened in it.
pub trait Transport: Send {
    /// Gives some bytes to the device: at least one.
    ///
    /// # Errors
    /// `Timeout`: none was taken.
    fn write_some(&mut self, bytes: &[u8], step: Duration) -> Result<usize, Fault>;

    /// Takes bytes from the device: at least one.
    ///
    /// # Errors
    /// `Timeout`: there was none.
    fn read_some(&mut self, buffer: &mut [u8], step: Duration) -> Result<usize, Fault>;

    /// A request to a USB device's control end-point. Waited for in whole, for one that is repeated begins anew.
    ///
    /// # Errors
    /// `Unsupported` on other ways; what ended the patience.
    fn control_in(
        &mut self,
        request: ControlIn,
        buffer: &mut [u8],
        patience: Patience<'_>,
    ) -> Result<usize, Fault> {
        let _ = (request, buffer, patience);
        Err(Fault::Unsupported)
    }

    /// Has everything that was given left this machine, as far as this way is able to know?
    ///
    /// # Errors
    /// `Timeout`: not yet.
    fn settle(&mut self, step: Duration) -> Result<(), Fault> {
        let _ = step;
        Ok(())
    }

    /// What was given and has not left yet is not to leave any more.
    fn abandon(&mut self) {}

    /// The document is done with and nothing follows for now: the way is closed next, in a manner that loses nothing.
    fn part(&mut self) {}

    /// May it still be used?
    fn is_alive(&mut self) -> bool {
        true
    }

    /// More than the fault says of why it was lost, for people.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Where a record plays the device: what of it was not played, for people.
    fn leftover(&self) -> Option<String> {
        None
    }
}

/// Opens a way. `opening` is how many times it was opened before: a record is played opening by opening.
///
/// # Errors
/// What is in the way, in words.
pub fn open(way: &Way, opening: usize, patience: Patience<'_>) -> Result<Box<dyn Transport>, Lost> {
    Ok(match way {
        Way::Tcp(address) => Box::new(tcp::open(address, patience)?),
        Way::Serial(settings) => Box::new(serial::open(settings).map_err(|error| lost(way, error))?),
        Way::Usb { vendor, product, serial } => {
            Box::new(usb::open(*vendor, *product, serial.as_deref()).map_err(|error| lost(way, error))?)
        }
        Way::Lp(path) => Box::new(lp::open(path).map_err(|error| lost(way, error))?),
        Way::File(path) => Box::new(file::open(path).map_err(|error| lost(way, error))?),
        Way::Replay(path) => Box::new(replay::open(path, opening).map_err(|error| lost(way, error))?),
    })
}

/// Why a way cannot be opened: the fault and words for people.
type Refused = (Fault, String);

fn lost(way: &Way, (fault, words): Refused) -> Lost {
    Lost { fault, text: format!("{way}: {words}") }
}

fn refused(error: &io::Error) -> Refused {
    (fault(error), error.to_string())
}

/// What an error of the system is to a driver.
fn fault(error: &io::Error) -> Fault {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN | Errno::INTR) => Fault::Timeout,
        Some(
            Errno::NOENT
            | Errno::NXIO
            | Errno::NODEV
            | Errno::PIPE
            | Errno::CONNREFUSED
            | Errno::CONNRESET
            | Errno::CONNABORTED
            | Errno::NOTCONN
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH
            // Of a socket: nobody confirmed what was sent for so long. A wait that is over is EAGAIN.
            | Errno::TIMEDOUT,
        ) => Fault::Gone,
        Some(Errno::BUSY) => Fault::Busy,
        _ => Fault::Io,
    }
}

/// Waits at most `step` for a node to take or give bytes.
fn ready(node: BorrowedFd<'_>, wanted: PollFlags, step: Duration) -> Result<(), Fault> {
    let mut look = [PollFd::from_borrowed_fd(node, wanted)];
    let step = Timespec::try_from(step).map_err(|_| Fault::Internal)?;
    match poll(&mut look, Some(&step)) {
        Ok(0) | Err(Errno::INTR) => Err(Fault::Timeout),
        // Also where it is hung up: the write or the read that follows says how.
        Ok(_) => Ok(()),
        Err(error) => Err(fault(&error.into())),
    }
}

/// Is a node still connected to something?
fn hung_up(node: BorrowedFd<'_>) -> bool {
    let mut look = [PollFd::from_borrowed_fd(node, PollFlags::IN)];
    let polled = poll(&mut look, Some(&Timespec::default()));
    polled.is_err() || look[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
}
