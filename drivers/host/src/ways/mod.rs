//! The ways to a device, opened: one `Transport` for each. The only place that knows sockets, serial lines and device
//! nodes. Knows no deadline longer than one step and no document.

use crate::line::Lost;
use driver_abi::Fault;
use driver_frames::Way;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

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

/// An open way. Every wait is at most `step`; `Timeout` says that nothing happened in it.
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

    /// A request to a USB device's control end-point.
    ///
    /// # Errors
    /// `Unsupported` on other ways.
    fn control_in(&mut self, request: ControlIn, buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        let _ = (request, buffer, step);
        Err(Fault::Unsupported)
    }

    /// May it still be used?
    fn is_alive(&mut self) -> bool {
        true
    }
}

/// Opens a way.
///
/// # Errors
/// What is in the way, in words.
pub fn open(way: &Way, most: Duration) -> Result<Box<dyn Transport>, Lost> {
    match way {
        Way::Tcp(address) => Ok(Box::new(open_tcp(address, most)?)),
        Way::File(path) => {
            let file = File::options().create(true).append(true).open(path);
            Ok(Box::new(Appended(file.map_err(|error| lost(way, &error))?)))
        }
        Way::Serial(_) | Way::Usb { .. } | Way::Lp(_) => {
            Err(Lost { fault: Fault::Unsupported, text: format!("{way}: this way is not built in") })
        }
    }
}

fn lost(way: &Way, error: &io::Error) -> Lost {
    Lost { fault: fault(error), text: format!("{way}: {error}") }
}

/// What an error of the system is to a driver.
fn fault(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Fault::Timeout,
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Fault::Gone,
        io::ErrorKind::ResourceBusy => Fault::Busy,
        _ => Fault::Io,
    }
}

// === TCP ===

impl Transport for TcpStream {
    fn write_some(&mut self, bytes: &[u8], step: Duration) -> Result<usize, Fault> {
        self.set_write_timeout(Some(step)).map_err(|error| fault(&error))?;
        match self.write(bytes) {
            Ok(0) => Err(Fault::Gone),
            Ok(n) => Ok(n),
            Err(error) => Err(fault(&error)),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        self.set_read_timeout(Some(step)).map_err(|error| fault(&error))?;
        match self.read(buffer) {
            Ok(0) => Err(Fault::Gone),
            Ok(n) => Ok(n),
            Err(error) => Err(fault(&error)),
        }
    }

    fn is_alive(&mut self) -> bool {
        // A printer that dropped an idle connection says so here, and not with half a document lost.
        let alive = self.set_nonblocking(true).is_ok()
            && match self.peek(&mut [0]) {
                Ok(n) => n > 0,
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            };
        alive && self.set_nonblocking(false).is_ok()
    }
}

fn open_tcp(address: &str, most: Duration) -> Result<TcpStream, Lost> {
    let told = |error: &io::Error| Lost { fault: fault(error), text: format!("tcp://{address}: {error}") };
    let addresses = address.to_socket_addrs().map_err(|error| told(&error))?;
    let mut last = Lost { fault: Fault::Gone, text: format!("tcp://{address}: no such host") };
    for address in addresses {
        match TcpStream::connect_timeout(&address, most) {
            Ok(stream) => {
                // The last bytes of a document are not to wait for more.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = told(&error),
        }
    }
    Err(last)
}

// === File ===

/// A file that bytes are appended to.
struct Appended(File);

impl Transport for Appended {
    fn write_some(&mut self, bytes: &[u8], _step: Duration) -> Result<usize, Fault> {
        self.0.write_all(bytes).map_err(|error| fault(&error))?;
        Ok(bytes.len())
    }

    fn read_some(&mut self, _buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        std::thread::sleep(step);
        Err(Fault::Timeout)
    }
}
