//! A file that bytes are appended to. Knows no device: nothing is ever answered.

use super::{Refused, Transport, fault, ready, refused};
use driver_abi::Fault;
use rustix::event::PollFlags;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// An open file, or a pipe with a name.
pub(super) struct Appended(File);

/// Opens it, or makes it.
pub(super) fn open(path: &str) -> Result<Appended, Refused> {
    // A pipe that nobody reads is refused (ENXIO) instead of waited for.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().create(true).append(true).custom_flags(nonblocking).open(path);
    file.map(Appended).map_err(|error| refused(&error))
}

impl Transport for Appended {
    fn write_some(&mut self, bytes: &[u8], step: Duration) -> Result<usize, Fault> {
        ready(self.0.as_fd(), PollFlags::OUT, step)?;
        match self.0.write(bytes) {
            Ok(0) => Err(Fault::Io),
            Ok(n) => Ok(n),
            Err(error) => Err(fault(&error)),
        }
    }

    fn read_some(&mut self, _buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        std::thread::sleep(step);
        Err(Fault::Timeout)
    }
}
