//! A device that is only a script: takes bytes as it was told to, answers what common printers answer, or nothing, or
//! garbage, and remembers everything. Knows neither drivers nor what a rule is.

use driver_abi::Fault;
use driver_host::patience::Patience;
use driver_host::ways::{ControlIn, Transport};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// No more of what a driver writes is kept, in bytes; one that writes more is not printing a ticket.
const KEPT_MAX: usize = 32 << 20;
/// Bytes of garbage a device sends before it falls silent.
const GARBAGE_MAX: usize = 4_096;
/// Port status of a USB printer that is well: not in error, selected (printer class 1.02, 4.2.2).
pub const PORT_WELL: u8 = 0x18;
/// Of one that is in error and out of paper.
pub const PORT_PAPER_OUT: u8 = 0x30;

/// IEEE 1284 device id: its length in two bytes, which count themselves, and its text.
const DEVICE_ID: &[u8] = b"\0\x30MFG:Gatehouse;MDL:Script;CMD:NONE;CLS:PRINTER;";

/// How a device takes what is written.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// At once.
    All,
    /// So many bytes a piece.
    Pieces(usize),
    /// So many bytes in all, then the line breaks with this fault.
    Until(usize, Fault),
    /// So many bytes, then it stands still once for so long, then the rest.
    Stalls(usize, Duration),
}

/// What a device says.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// What common printers answer to their questions.
    Answers {
        /// Is there paper?
        paper: bool,
    },
    /// Nothing, ever, and its control end-point does not answer either.
    Nothing,
    /// Bytes by chance, in pieces of at most so many.
    Garbage {
        /// Where the chance begins.
        seed: u64,
        /// The largest piece, in bytes.
        piece: usize,
    },
    /// Reading fails.
    Fails(Fault),
}

/// The wire: how the device behaves from now on, and what came over it.
#[derive(Debug)]
pub struct Wire {
    /// How it takes bytes; `Until` and `Stalls` count in `written`.
    pub takes: Takes,
    /// What it says.
    pub says: Says,
    /// Everything it took.
    pub written: Vec<u8>,
    /// Bytes a driver was given.
    pub read: usize,
    /// Was the device's state asked in a way this script knows?
    pub state_asked: bool,
    /// Calls of the driver after it had been told to give up.
    pub after_cancel: usize,
    answers: VecDeque<u8>,
    garbage: usize,
    stalled: bool,
    chance: StdRng,
}

/// The device.
pub struct Fake {
    /// Over USB there is a control end-point.
    usb: bool,
    wire: Arc<Mutex<Wire>>,
    cancelled: Arc<AtomicBool>,
}

impl Fake {
    /// A device that is well, and its wire, which may be changed at any time.
    pub fn new(usb: bool, cancelled: Arc<AtomicBool>) -> (Fake, Arc<Mutex<Wire>>) {
        let wire = Arc::new(Mutex::new(Wire {
            takes: Takes::All,
            says: Says::Answers { paper: true },
            written: Vec::new(),
            read: 0,
            state_asked: false,
            after_cancel: 0,
            answers: VecDeque::new(),
            garbage: 0,
            stalled: false,
            chance: StdRng::seed_from_u64(0),
        }));
        (Fake { usb, wire: Arc::clone(&wire), cancelled }, wire)
    }

    /// A host's answer once it gives up: whatever is called.
    fn given_up(&self) -> Result<(), Fault> {
        if self.cancelled.load(Ordering::SeqCst) {
            self.wire.lock().after_cancel += 1;
            return Err(Fault::Cancelled);
        }
        Ok(())
    }

    /// A control end-point that does not answer in all that time, unless the host gives up.
    fn no_answer(&self, patience: Patience<'_>) -> Fault {
        loop {
            match patience.step() {
                Err(over) => return over,
                Ok(_) if self.cancelled.load(Ordering::SeqCst) => return Fault::Cancelled,
                Ok(step) => std::thread::sleep(step),
            }
        }
    }

    /// How many of `n` bytes are taken now.
    fn room(&self, n: usize, step: Duration) -> Result<usize, Fault> {
        let mut wire = self.wire.lock();
        let taken = wire.written.len();
        match wire.takes {
            Takes::All => Ok(n),
            Takes::Pieces(piece) => Ok(n.min(piece)),
            // A device that takes nothing more and does not break lets the time go by.
            Takes::Until(most, Fault::Timeout) if taken >= most => {
                drop(wire);
                std::thread::sleep(step);
                Err(Fault::Timeout)
            }
            Takes::Until(most, fault) if taken >= most => Err(fault),
            Takes::Until(most, _) => Ok(n.min(most - taken)),
            Takes::Stalls(most, _) if taken < most => Ok(n.min(most - taken)),
            Takes::Stalls(_, pause) => {
                if !std::mem::replace(&mut wire.stalled, true) {
                    drop(wire);
                    std::thread::sleep(pause);
                    return Err(Fault::Timeout);
                }
                Ok(n)
            }
        }
    }
}

// === impl Wire ===

impl Wire {
    /// From now on the device is like this, and nothing came over the wire yet.
    pub fn set(&mut self, takes: Takes, says: Says) {
        if let Says::Garbage { seed, .. } = says {
            self.chance = StdRng::seed_from_u64(seed);
        }
        (self.takes, self.says) = (takes, says);
        (self.read, self.garbage, self.after_cancel) = (0, 0, 0);
        (self.state_asked, self.stalled) = (false, false);
        self.written.clear();
        self.answers.clear();
    }
}

// === impl Fake ===

impl Transport for Fake {
    fn write_some(&mut self, bytes: &[u8], step: Duration) -> Result<usize, Fault> {
        self.given_up()?;
        let n = self.room(bytes.len(), step)?;
        let mut wire = self.wire.lock();
        if wire.written.len() + n > KEPT_MAX {
            return Err(Fault::Io);
        }
        wire.written.extend_from_slice(&bytes[..n]);
        if let Says::Answers { paper } = wire.says {
            for at in wire.written.len() - n..wire.written.len() {
                let answer = answer(&wire.written[..=at], paper);
                if let Some((answer, about_state)) = answer {
                    wire.answers.extend(answer);
                    wire.state_asked |= about_state;
                }
            }
        }
        Ok(n)
    }

    fn read_some(&mut self, buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        self.given_up()?;
        let mut wire = self.wire.lock();
        match wire.says {
            Says::Fails(fault) => return Err(fault),
            Says::Garbage { piece, .. } if wire.garbage < GARBAGE_MAX => {
                let n = wire.chance.random_range(1..=piece);
                let bytes: Vec<u8> = (0..n).map(|_| wire.chance.random()).collect();
                wire.answers.extend(bytes);
                wire.garbage += n;
            }
            Says::Garbage { .. } | Says::Answers { .. } | Says::Nothing => {}
        }
        let n = buffer.len().min(wire.answers.len());
        for (to, byte) in buffer.iter_mut().zip(wire.answers.drain(..n)) {
            *to = byte;
        }
        wire.read += n;
        drop(wire);
        if n == 0 {
            std::thread::sleep(step);
            return Err(Fault::Timeout);
        }
        Ok(n)
    }

    fn control_in(
        &mut self,
        request: ControlIn,
        buffer: &mut [u8],
        patience: Patience<'_>,
    ) -> Result<usize, Fault> {
        self.given_up()?;
        if !self.usb {
            return Err(Fault::Unsupported);
        }
        let mut wire = self.wire.lock();
        let port = match wire.says {
            Says::Answers { paper } => [if paper { PORT_WELL } else { PORT_PAPER_OUT }],
            Says::Garbage { .. } => [wire.chance.random()],
            Says::Fails(fault) => return Err(fault),
            Says::Nothing => {
                drop(wire);
                return Err(self.no_answer(patience));
            }
        };
        let answer: &[u8] = match (request.request_type, request.request) {
            (0xa1, 0) => DEVICE_ID,
            (0xa1, 1) => &port,
            _ => return Err(Fault::Io),
        };
        wire.state_asked |= request.request == 1;
        let n = buffer.len().min(answer.len());
        buffer[..n].copy_from_slice(&answer[..n]);
        wire.read += n;
        Ok(n)
    }
}

/// The answer to a question that ends with the last of these bytes, and whether it tells of paper.
fn answer(written: &[u8], paper: bool) -> Option<(Vec<u8>, bool)> {
    // ESC/POS, DLE EOT n: fixed bits are 0b0001_0010; n = 1: bit 3 off-line, 2: bit 5 stopped at the paper's end,
    // 4: bits 5 and 6 paper out, with 2 and 3 near its end.
    if let [.., 0x10, 0x04, n @ 1..=4] = written {
        let out = [0x1a, 0x32, 0x12, 0x7e][usize::from(*n) - 1];
        return Some((vec![if paper { 0x12 } else { out }], true));
    }
    // GS r n is answered behind what was printed; off-line for want of paper it is not.
    if let [.., 0x1d, 0x72, 1 | 49] = written {
        return Some((if paper { vec![0] } else { Vec::new() }, false));
    }
    // GS ( H, function 48: the job's four characters come back when it is printed.
    if let [.., 0x1d, 0x28, 0x48, 6, 0, 48, 48, a, b, c, d] = written {
        let proof = vec![0x37, 0x22, *a, *b, *c, *d, 0];
        return Some((if paper { proof } else { Vec::new() }, false));
    }
    // ZPL ~HS: three strings between STX and ETX; the second number of the first is paper out.
    if written.ends_with(b"~HS") {
        let out = u8::from(!paper);
        let text = format!(
            "\x02030,{out},0,0600,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n"
        );
        return Some((text.into_bytes(), true));
    }
    // FGL: a byte for each ticket, 6 is printed, 16 out of paper.
    if written.ends_with(b"<p>") || written.ends_with(b"<q>") {
        return Some((vec![if paper { 6 } else { 16 }], true));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_counts_its_own_bytes() {
        assert_eq!(usize::from(DEVICE_ID[1]), DEVICE_ID.len());
    }

    #[test]
    fn questions_of_common_printers_are_answered_by_whether_there_is_paper() {
        let told = |question: &[u8], paper| answer(question, paper).map(|(bytes, _)| bytes);
        // Epson's table of DLE EOT 4: bits 5 and 6 are the roll paper's end.
        assert_eq!(told(b"Gate 7\n\x10\x04\x04", true), Some(vec![0x12]));
        assert_eq!(told(b"\x10\x04\x04", false), Some(vec![0x7e]));
        // GS ( H returns the job's characters when it is printed, and never without paper.
        let asked = b"\x1d(H\x06\x00\x30\x30AB12";
        assert_eq!(told(asked, true), Some(b"7\"AB12\0".to_vec()));
        assert_eq!(told(asked, false), Some(Vec::new()));
        assert_eq!(told(b"<RC10,10>Gate 7<p>", false), Some(vec![16]));
        assert_eq!(told(b"~HS", false).map(|text| text[5]), Some(b'1'));
        assert_eq!(told(b"Gate 7\n", true), None);
    }
}
