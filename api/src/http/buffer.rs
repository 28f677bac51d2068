//! The read buffer of one connection: `[ consumed | filled | spare ]`. Knows bytes, nothing of HTTP.
//!
//! Invariant: `start <= end <= bytes.len()`.

/// Bytes received and not yet consumed, with room behind them.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], start: 0, end: 0 }
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Room behind the filled bytes; may be empty, see [`Buffer::make_room`].
    pub(super) fn spare(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Declares `len` bytes of the spare room filled.
    pub(super) fn fill(&mut self, len: usize) {
        assert!(len <= self.bytes.len() - self.end);
        self.end += len;
    }

    /// Forgets the first `len` filled bytes.
    pub(super) fn consume(&mut self, len: usize) {
        assert!(len <= self.end - self.start, "bytes that were never received are consumed");
        self.start += len;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Takes `len` bytes at `at` (counted from the first filled byte) out of the middle.
    pub(super) fn cut(&mut self, at: usize, len: usize) {
        let from = self.start + at;
        self.bytes.copy_within(from + len..self.end, from);
        self.end -= len;
    }

    /// Makes the spare room non-empty: moves the filled bytes to the front, else doubles the buffer.
    pub(super) fn make_room(&mut self) {
        if self.end < self.bytes.len() {
            return;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Buffer;

    #[test]
    fn cutting_the_middle_keeps_both_sides() {
        let mut buffer = Buffer::new(16);
        buffer.spare()[..9].copy_from_slice(b"xheadtail");
        buffer.fill(9);
        buffer.consume(1);
        buffer.cut(2, 3);
        assert_eq!(buffer.filled(), b"heail");
    }

    #[test]
    fn a_full_buffer_moves_before_it_grows() {
        let mut buffer = Buffer::new(4);
        buffer.spare().copy_from_slice(b"abcd");
        buffer.fill(4);
        buffer.consume(1);
        buffer.make_room();
        assert_eq!((buffer.filled(), buffer.capacity()), (&b"bcd"[..], 4));
        buffer.fill(1);
        buffer.make_room();
        assert_eq!(buffer.capacity(), 8);
    }
}
