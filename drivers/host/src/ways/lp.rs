//! The kernel's printer node, `/dev/usb/lp0`. Knows nothing of USB beyond it: `control_in` needs the way `usb`.

use super::{Refused, Transport, fault, hung_up, ready, refused};
use driver_abi::Fault;
use rustix::event::PollFlags;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// usblp tells that bytes can be read also where the printer sent an empty packet; it is not asked faster than this.
const EMPTY_WAIT: Duration = Duration::from_millis(10);

/// The open node; the kernel opens it once only, and says EBUSY to the second.
pub(super) struct Lp(File);

/// Opens the node without ever waiting for it.
pub(super) fn open(path: &str) -> Result<Lp, Refused> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).write(true).custom_flags(nonblocking).open(path);
    file.map(Lp).map_err(|error| refused(&error))
}

impl Transport for Lp {
    fn write_some(&mut self, bytes: &[u8], step: Duration) -> Result<usize, Fault> {
        ready(self.0.as_fd(), PollFlags::OUT, step)?;
        match self.0.write(bytes) {
            Ok(0) => Err(Fault::Timeout),
            Ok(n) => Ok(n),
            Err(error) => Err(fault(&error)),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        ready(self.0.as_fd(), PollFlags::IN, step)?;
        match self.0.read(buffer) {
            Ok(0) => {
                std::thread::sleep(step.min(EMPTY_WAIT));
                Err(Fault::Timeout)
            }
            Ok(n) => Ok(n),
            Err(error) => Err(fault(&error)),
        }
    }

    /// usblp takes the next write when the one before it has reached the printer.
    fn settle(&mut self, step: Duration) -> Result<(), Fault> {
        ready(self.0.as_fd(), PollFlags::OUT, step)
    }

    fn is_alive(&mut self) -> bool {
        !hung_up(self.0.as_fd())
    }
}
