//! The framing fed by hand: pieces of bytes in, whole requests out, as a connection does it with what it reads. For the
//! search in `fuzz.rs` and for measuring. Knows no socket, no deadline and no service.

use super::buffer::Buffer;
use super::framing::{Framer, Step};
use super::limits::Limits;

/// One connection's bytes and what the framing made of them so far.
#[derive(Debug)]
pub struct Feed {
    limits: Limits,
    pub(super) buffer: Buffer,
    pub(super) framer: Framer,
}

/// How long the parts of a whole request are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Request line and headers, with the empty line.
    pub head: usize,
    /// The body, decoded.
    pub body: usize,
}

impl Feed {
    /// A connection that has said nothing.
    pub fn new(limits: Limits) -> Feed {
        Feed { limits, buffer: Buffer::new(limits.buffer_bytes_initial), framer: Framer::new() }
    }

    /// Takes a piece in, as reads would. Copies it, as the kernel would.
    pub fn give(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            self.buffer.make_room();
            let spare = self.buffer.spare();
            let taken = spare.len().min(piece.len());
            spare[..taken].copy_from_slice(&piece[..taken]);
            self.buffer.fill(taken);
            piece = &piece[taken..];
        }
    }

    /// Takes the next request out; `None` while it is not whole.
    ///
    /// # Errors
    /// The stable code of the refusal. What follows on such a connection is never looked at.
    pub fn take(&mut self) -> Result<Option<Lengths>, &'static str> {
        match self.step(usize::MAX) {
            Step::More => Ok(None),
            Step::Refuse(refusal) => Err(refusal.code),
            Step::Whole => {
                let body = self.framer.body(self.buffer.filled()).len();
                let lengths = Lengths { head: self.framer.head.len, body };
                self.framer.finish(&mut self.buffer);
                Ok(Some(lengths))
            }
        }
    }

    /// Looks once at what is there, and takes nothing out. A byte of path allows `body_per_path_byte` of body.
    pub(super) fn step(&mut self, body_per_path_byte: usize) -> Step {
        let Feed { limits, buffer, framer } = self;
        framer.step(buffer, limits, |_, path| path.len().saturating_mul(body_per_path_byte))
    }
}
