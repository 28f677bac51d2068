//! The line to a device, as a driver uses it: opened when needed, with deadlines, cancelled at once, recorded, and with
//! a count of what left that may have printed. Knows neither drivers nor what bytes mean.

use crate::patience::Patience;
use crate::record::{Recorder, What};
use crate::ways::{self, Transport};
use driver_abi::Fault;
use driver_frames::Way;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Opening a device may take so long.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// The line to one device.
pub struct Line {
    way: Way,
    transport: Option<Box<dyn Transport>>,
    /// How many times it was opened.
    openings: usize,
    cancelled: Arc<AtomicBool>,
    /// The call under way has its end here, however long a driver wants to wait. `None`: wherever the driver says.
    until: Option<Instant>,
    /// Bytes that left and may have printed, since `begin`.
    printing: u64,
    /// Has anything left since `begin`?
    touched: bool,
    /// A write broke off: the device may be in the middle of a command, and is to be reset before the next one.
    torn: bool,
    /// Why it was lost, until somebody asks.
    lost: Option<Lost>,
    record: Option<Recorder>,
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

// === impl Line ===

impl Line {
    /// A line that is opened when it is needed. What goes over it is written to the file `record`.
    ///
    /// # Errors
    /// A record that cannot be written.
    pub fn new(way: Way, cancelled: Arc<AtomicBool>, record: Option<&Path>) -> io::Result<Line> {
        let record = record.map(Recorder::open).transpose()?;
        Ok(Line { record, ..Line::closed(way, cancelled) })
    }

    fn closed(way: Way, cancelled: Arc<AtomicBool>) -> Line {
        Line {
            way,
            transport: None,
            openings: 0,
            cancelled,
            until: None,
            printing: 0,
            touched: false,
            torn: false,
            lost: None,
            record: None,
        }
    }

    /// A document begins.
    pub fn begin(&mut self) {
        self.printing = 0;
        self.touched = false;
    }

    /// A call begins that is over after so long.
    pub fn within(&mut self, timeout: Duration) {
        self.until = Some(Instant::now() + timeout);
    }

    /// What is left of the call's time; without end where none was set.
    pub fn left(&self) -> Duration {
        self.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
    }

    /// A line that is open already, over what the caller made: a scripted device.
    pub fn over(transport: Box<dyn Transport>, way: Way, cancelled: Arc<AtomicBool>) -> Line {
        Line { transport: Some(transport), ..Line::closed(way, cancelled) }
    }

    /// Opens the line if it is not. `true`: it is new, and what was believed of the device is void.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open(&mut self) -> Result<bool, Lost> {
        if let Some(transport) = &mut self.transport
            && !self.torn
            && transport.is_alive()
        {
            return Ok(false);
        }
        self.close();
        let patience = Patience::new(Instant::now() + OPEN_MAX.min(self.left()), &self.cancelled);
        if let Err(over) = patience.step() {
            return Err(Lost { fault: over, text: format!("{}: {over}", self.way) });
        }
        self.transport = Some(ways::open(&self.way, self.openings, patience)?);
        self.openings += 1;
        self.note(|| What::Opened);
        Ok(true)
    }

    /// Closes it: the next `open` begins anew.
    pub fn close(&mut self) {
        self.transport = None;
        self.torn = false;
    }

    /// Is it open?
    pub fn is_open(&self) -> bool {
        self.transport.is_some()
    }

    /// Closes it where its way wants that between documents: many network printers take one connection only.
    pub fn rest(&mut self) {
        if matches!(self.way, Way::Tcp(_))
            && let Some(transport) = &mut self.transport
        {
            transport.part();
            self.close();
        }
    }

    /// Bytes of this document that left and may have printed.
    pub fn printing(&self) -> u64 {
        self.printing
    }

    /// The way to it.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Why it was lost since this was asked the last time.
    pub fn take_lost(&mut self) -> Option<Lost> {
        self.lost.take()
    }

    /// Where a record plays the device: what of it was not played.
    pub fn leftover(&self) -> Option<String> {
        self.transport.as_ref()?.leftover()
    }

    /// Writes all or fails, with how much left.
    ///
    /// # Errors
    /// The fault and the bytes that left before it.
    pub fn write(&mut self, bytes: &[u8], content: Content, timeout: Duration) -> Result<(), (Fault, usize)> {
        let until = Instant::now() + timeout.min(self.left());
        let mut written = 0;
        while written < bytes.len() {
            match self.write_some(&bytes[written..], until) {
                Ok(n) => {
                    if content == Content::Prints {
                        self.printing += n as u64;
                    }
                    self.touched = true;
                    self.note(|| What::Left(bytes[written..written + n].to_vec()));
                    written += n;
                }
                Err(fault) => return Err((self.broken_off(fault), written)),
            }
        }
        Ok(())
    }

    fn write_some(&mut self, bytes: &[u8], until: Instant) -> Result<usize, Fault> {
        loop {
            let step = Patience::new(until, &self.cancelled).step()?;
            match self.transport.as_mut().ok_or(Fault::Gone)?.write_some(bytes, step) {
                Err(Fault::Timeout) => {}
                // More than was given is a mistake of ours, and must not become a longer document.
                outcome => return outcome.map(|n| n.min(bytes.len())),
            }
        }
    }

    /// Waits for the first byte, then takes what is there.
    ///
    /// # Errors
    /// `Timeout` where nothing came.
    pub fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, Fault> {
        let until = Instant::now() + timeout.min(self.left());
        loop {
            let step = Patience::new(until, &self.cancelled).step()?;
            match self.transport.as_mut().ok_or(Fault::Gone)?.read_some(buffer, step) {
                Ok(n) => {
                    self.note(|| What::Came(buffer[..n].to_vec()));
                    return Ok(n);
                }
                Err(Fault::Timeout) => {}
                Err(fault) => return Err(self.lose(fault)),
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
        let patience = Patience::new(Instant::now() + timeout.min(self.left()), &self.cancelled);
        patience.step()?;
        let transport = self.transport.as_mut().ok_or(Fault::Gone)?;
        match transport.control_in(request, buffer, patience) {
            Ok(n) => {
                self.note(|| What::Asked(request, buffer[..n].to_vec()));
                Ok(n)
            }
            // A device that does not know a request refuses it, and is used on.
            Err(Fault::Gone) => Err(self.lose(Fault::Gone)),
            Err(fault) => Err(fault),
        }
    }

    /// Waits until everything written has left this machine, as far as the way knows.
    ///
    /// # Errors
    /// Why it did not within this time.
    pub fn settle(&mut self, timeout: Duration) -> Result<(), Fault> {
        let until = Instant::now() + timeout;
        loop {
            let step = Patience::new(until, &self.cancelled).step();
            // Asked at least once: a document may be out though its time is just over.
            let look = step.unwrap_or(Duration::ZERO);
            match self.transport.as_mut().ok_or(Fault::Gone)?.settle(look) {
                Ok(()) => return Ok(()),
                Err(Fault::Timeout) => {
                    step.map_err(|over| self.broken_off(over))?;
                }
                Err(fault) => return Err(self.lose(fault)),
            }
        }
    }

    /// A document does not come to its end: what waits to leave is thrown away, lest it comes before the next one.
    fn broken_off(&mut self, fault: Fault) -> Fault {
        if self.touched
            && let Some(transport) = &mut self.transport
        {
            self.torn = true;
            transport.abandon();
        }
        self.lose(fault)
    }

    fn lose(&mut self, fault: Fault) -> Fault {
        if matches!(fault, Fault::Io | Fault::Gone)
            && let Some(transport) = self.transport.take()
        {
            let words = transport.trouble().unwrap_or_else(|| fault.to_string());
            self.lost = Some(Lost { fault, text: format!("{}: {words}", self.way) });
            self.note(|| What::Lost(fault));
            self.close();
        }
        fault
    }

    fn note(&mut self, what: impl FnOnce() -> What) {
        if let Some(record) = &mut self.record {
            record.note(&what());
        }
    }
}
