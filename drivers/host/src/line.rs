//! The line to a device, as a driver uses it: opened when needed, with deadlines, cancelled at once, recorded, and with
//! a count of what left that may have printed. Knows neither drivers nor what bytes mean.

use crate::ways::{self, Transport};
use driver_abi::Fault;
use driver_frames::Way;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A cancel is noticed after so long.
const STEP: Duration = Duration::from_millis(50);
/// Opening a device may take so long.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// The line to one device.
pub struct Line {
    way: Way,
    transport: Option<Box<dyn Transport>>,
    cancelled: Arc<AtomicBool>,
    /// Bytes that left and may have printed, since `begin`.
    printing: u64,
    record: Option<Record>,
}

/// Is a write's content able to print?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// It is.
    Prints,
    /// Questions and initialisation.
    Asks,
}

/// What was told when the line could not be opened or was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What it is to a driver.
    pub fault: Fault,
    /// For people.
    pub text: String,
}

/// Device traffic as text: a line for each write (`>`) and read (`<`), ms since the start, hex.
struct Record {
    file: File,
    began: Instant,
}

// === impl Line ===

impl Line {
    /// A line that is opened when it is needed.
    ///
    /// # Errors
    /// A record that cannot be written.
    pub fn new(way: Way, cancelled: Arc<AtomicBool>, record: Option<&Path>) -> std::io::Result<Line> {
        let record = match record {
            Some(path) => Some(Record {
                file: File::options().create(true).append(true).open(path)?,
                began: Instant::now(),
            }),
            None => None,
        };
        Ok(Line { way, transport: None, cancelled, printing: 0, record })
    }

    /// A line that is open already, over what the caller made: a scripted device.
    pub fn over(transport: Box<dyn Transport>, way: Way, cancelled: Arc<AtomicBool>) -> Line {
        Line { way, transport: Some(transport), cancelled, printing: 0, record: None }
    }

    /// Opens the line if it is not. `true`: it is new, and what was believed of the device is void.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open(&mut self) -> Result<bool, Lost> {
        if let Some(transport) = &mut self.transport
            && transport.is_alive()
        {
            return Ok(false);
        }
        self.close();
        self.transport = Some(ways::open(&self.way, OPEN_MAX)?);
        Ok(true)
    }

    /// Closes it: the next `open` begins anew.
    pub fn close(&mut self) {
        self.transport = None;
    }

    /// Is it open?
    pub fn is_open(&self) -> bool {
        self.transport.is_some()
    }

    /// Closes it where its way wants that between documents: many network printers take one connection only.
    pub fn rest(&mut self) {
        if matches!(self.way, Way::Tcp(_)) {
            self.close();
        }
    }

    /// A document begins.
    pub fn begin(&mut self) {
        self.printing = 0;
    }

    /// Bytes of this document that left and may have printed.
    pub fn printing(&self) -> u64 {
        self.printing
    }

    /// The way to it.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Writes all or fails, with how much left.
    ///
    /// # Errors
    /// The fault and the bytes that left before it.
    pub fn write(&mut self, bytes: &[u8], content: Content, timeout: Duration) -> Result<(), (Fault, usize)> {
        let until = Instant::now() + timeout;
        let mut written = 0;
        while written < bytes.len() {
            let step = self.step(until).map_err(|fault| (fault, written))?;
            let transport = self.transport.as_mut().ok_or((Fault::Gone, written))?;
            match transport.write_some(&bytes[written..], step) {
                Ok(n) => {
                    if content == Content::Prints {
                        self.printing += n as u64;
                    }
                    self.note('>', &bytes[written..written + n]);
                    written += n;
                }
                Err(Fault::Timeout) => {}
                Err(fault) => return Err((self.lost(fault), written)),
            }
        }
        Ok(())
    }

    /// Waits for the first byte, then takes what is there.
    ///
    /// # Errors
    /// `Timeout` where nothing came.
    pub fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, Fault> {
        let until = Instant::now() + timeout;
        loop {
            let step = self.step(until)?;
            let transport = self.transport.as_mut().ok_or(Fault::Gone)?;
            match transport.read_some(buffer, step) {
                Ok(n) => {
                    self.note('<', &buffer[..n]);
                    return Ok(n);
                }
                Err(Fault::Timeout) => {}
                Err(fault) => return Err(self.lost(fault)),
            }
        }
    }

    /// A request to a USB device's control end-point.
    ///
    /// # Errors
    /// `Unsupported` on other ways.
    pub fn control_in(
        &mut self,
        request: ways::ControlIn,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> Result<usize, Fault> {
        self.step(Instant::now() + timeout)?;
        self.transport.as_mut().ok_or(Fault::Gone)?.control_in(request, buffer, timeout)
    }

    /// The next piece of a wait: short, so that a cancel is noticed.
    fn step(&self, until: Instant) -> Result<Duration, Fault> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Fault::Cancelled);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Fault::Timeout) } else { Ok(left.min(STEP)) }
    }

    fn lost(&mut self, fault: Fault) -> Fault {
        if matches!(fault, Fault::Io | Fault::Gone) {
            self.close();
        }
        fault
    }

    fn note(&mut self, direction: char, bytes: &[u8]) {
        if let Some(record) = &mut self.record {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            // What cannot be recorded is printed all the same.
            let _ = writeln!(record.file, "{direction} {} {hex}", record.began.elapsed().as_millis());
        }
    }
}
