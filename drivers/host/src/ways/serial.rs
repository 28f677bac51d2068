//! A serial line: 8 data bits, one stop bit, exclusively ours. Knows no device.
//!
//! `serialport` sets and locks the line, but leaves it blocking, and a blocking write of a line whose device says
//! stop (CTS low) never returns. So bytes go through a second, non-blocking opening of the same node. It is made
//! first: a line that is exclusive cannot be opened again.

use super::{Refused, Transport, fault, hung_up, ready, refused};
use driver_abi::Fault;
use driver_frames::{Flow, Serial};
use rustix::event::PollFlags;
use rustix::io::Errno;
use serialport::{ClearBuffer, DataBits, FlowControl, Parity, SerialPort, StopBits, TTYPort};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// How often the kernel is asked whether its buffer is empty.
const SETTLE_STEP: Duration = Duration::from_millis(5);

/// An open line.
pub(super) struct SerialLine {
    /// Settings, locks, and what is known of the kernel's buffer.
    port: TTYPort,
    /// The bytes.
    node: File,
}

/// Opens and locks a line.
pub(super) fn open(settings: &Serial) -> Result<SerialLine, Refused> {
    use rustix::fs::OFlags;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let node = File::options().read(true).write(true).custom_flags(flags).open(&settings.path);
    // The lock is met here, or below by root, whom it does not keep from opening.
    let busy = |error: &dyn Display| (Fault::Busy, format!("{error}; another program has this line"));
    let node = node.map_err(|error| match refused(&error) {
        (Fault::Busy, _) => busy(&error),
        refused => refused,
    })?;
    let builder = serialport::new(&settings.path, settings.baud)
        .data_bits(DataBits::Eight)
        .stop_bits(StopBits::One)
        .parity(match settings.parity {
            'e' => Parity::Even,
            'o' => Parity::Odd,
            _ => Parity::None,
        })
        .flow_control(match settings.flow {
            Flow::None => FlowControl::None,
            Flow::Hardware => FlowControl::Hardware,
            Flow::Software => FlowControl::Software,
        });
    let port = TTYPort::open(&builder).map_err(|error| match error.kind() {
        // The node was there a moment ago: what fails is the lock.
        serialport::ErrorKind::NoDevice => busy(&error),
        serialport::ErrorKind::Io(_) | serialport::ErrorKind::Unknown => (Fault::Io, error.to_string()),
        serialport::ErrorKind::InvalidInput => (Fault::Config, error.to_string()),
    })?;
    // What came before this opening answers nobody's question.
    let _ = port.clear(ClearBuffer::Input);
    Ok(SerialLine { port, node })
}

impl Transport for SerialLine {
    fn write_some(&mut self, bytes: &[u8], step: Duration) -> Result<usize, Fault> {
        ready(self.node.as_fd(), PollFlags::OUT, step)?;
        match self.node.write(bytes) {
            Ok(0) => Err(Fault::Timeout),
            Ok(n) => Ok(n),
            Err(error) => Err(unplugged(&error)),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        ready(self.node.as_fd(), PollFlags::IN, step)?;
        match self.node.read(buffer) {
            // The end of a file: the line was hung up.
            Ok(0) => Err(Fault::Gone),
            Ok(n) => Ok(n),
            Err(error) => Err(unplugged(&error)),
        }
    }

    /// Asked, never waited for with `tcdrain`: that returns when the device wants, or not at all.
    fn settle(&mut self, step: Duration) -> Result<(), Fault> {
        match self.port.bytes_to_write() {
            Ok(0) => Ok(()),
            Ok(_) => {
                std::thread::sleep(step.min(SETTLE_STEP));
                Err(Fault::Timeout)
            }
            Err(_) => Err(Fault::Gone),
        }
    }

    /// Otherwise the rest of a document would come before the next one, and closing the line would wait for it.
    fn abandon(&mut self) {
        let _ = self.port.clear(ClearBuffer::Output);
    }

    fn is_alive(&mut self) -> bool {
        !hung_up(self.node.as_fd())
    }
}

/// EIO is how a line says that it was pulled out.
fn unplugged(error: &io::Error) -> Fault {
    match Errno::from_io_error(error) {
        Some(Errno::IO) => Fault::Gone,
        _ => fault(error),
    }
}
