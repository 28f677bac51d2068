//! Every limit of the HTTP layer, with its unit, default and reason; relations between them are asserted here.
//! Knows numbers only: it never measures and never refuses anything itself.

/// Headers of one request. Above it: 431. A constant because the parser's table has a fixed size.
pub const HEADERS_MAX: usize = 64;

/// What one server accepts. Sizes are bytes, times are milliseconds, both per item named.
///
/// A time is checked by a sweep (`sweep_ms`), so it is kept to within one sweep, never early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of the whole server. Above it: closed at once, counted. An idle one costs about 1.5 KiB.
    pub connections_max: usize,
    /// Open connections of one peer address. Generous, since every reader may sit behind one proxy.
    pub connections_per_peer_max: usize,
    /// Connections the kernel may hold for us before they are accepted (per worker).
    pub listen_backlog: i32,
    /// Request line plus headers. Above it: 431.
    pub head_bytes_max: usize,
    /// Request target. Above it: 414.
    pub target_bytes_max: usize,
    /// Body, whatever the service allows for a path. Above it: 413.
    pub body_bytes_max: usize,
    /// One chunk-size line with its extensions. Above it: 400.
    pub chunk_line_bytes_max: usize,
    /// All trailer lines of one chunked body. Above it: 431.
    pub trailer_bytes_max: usize,
    /// Read buffer a connection starts with, borrowed only while bytes of a request are in hand.
    pub buffer_bytes_initial: usize,
    /// Read buffers of one worker beyond their initial size, all together. Above it: 503.
    pub buffer_bytes_grown_max: usize,
    /// Sets of buffers one worker keeps for the next connection that has something to say.
    pub kits_kept_max: usize,
    /// Requests answered before the answers are written; also how long one connection may hold the worker.
    pub pipeline_max: usize,
    /// Answers collected before they are written. A batch may exceed it by its last answer.
    pub batch_bytes_max: usize,
    /// From the first byte of a request to the end of its head. Above it: 408.
    pub head_ms_max: u64,
    /// From the end of the head to the end of the body. Above it: 408.
    pub body_ms_max: u64,
    /// Between requests. Above it: closed in silence. Longer than the 60 s a proxy keeps its side open.
    pub idle_ms_max: u64,
    /// To get one batch (or one piece of a stream) out. Above it: closed; the peer does not read.
    pub write_ms_max: u64,
    /// A late answer (`Next::Later`, `Next::LongPoll`). Above a long poll of 30 s.
    pub later_ms_max: u64,
    /// Waiting for the journal. Above it the answers become `undurable`; readers give up after 2 to 5 s anyway.
    pub durable_ms_max: u64,
    /// After a fault, how long unread bytes are thrown away so that the answer is not lost in a reset.
    pub linger_ms_max: u64,
    /// And how many of them.
    pub linger_bytes_max: usize,
    /// Period of the sweep that checks every deadline.
    pub sweep_ms: u64,
    /// Pause after `accept` failed for want of descriptors or memory.
    pub accept_pause_ms: u64,
}

impl Limits {
    /// The defaults; see each field.
    pub const DEFAULT: Self = Self {
        connections_max: 10_000,
        connections_per_peer_max: 1024,
        listen_backlog: 1024,
        head_bytes_max: 8 * 1024,
        target_bytes_max: 2 * 1024,
        body_bytes_max: 4 * 1024 * 1024,
        chunk_line_bytes_max: 256,
        trailer_bytes_max: 4 * 1024,
        buffer_bytes_initial: 4 * 1024,
        buffer_bytes_grown_max: 64 * 1024 * 1024,
        kits_kept_max: 64,
        pipeline_max: 64,
        batch_bytes_max: 32 * 1024,
        head_ms_max: 5_000,
        body_ms_max: 20_000,
        idle_ms_max: 75_000,
        write_ms_max: 10_000,
        later_ms_max: 35_000,
        durable_ms_max: 5_000,
        linger_ms_max: 1_000,
        linger_bytes_max: 1024 * 1024,
        sweep_ms: 100,
        accept_pause_ms: 100,
    };

    /// The first relation that does not hold, in words; `None` when all hold. Checked for the defaults when
    /// compiling and for every other value when a server starts.
    #[must_use]
    pub const fn broken_relation(&self) -> Option<&'static str> {
        if self.connections_max == 0 || self.connections_per_peer_max == 0 || self.pipeline_max == 0 {
            return Some("a connection or pipeline limit is zero");
        }
        if self.head_bytes_max > u16::MAX as usize {
            return Some("head_bytes_max exceeds 65535, and header positions are 16 bits");
        }
        if self.target_bytes_max >= self.head_bytes_max {
            return Some("target_bytes_max is not below head_bytes_max");
        }
        if self.buffer_bytes_initial < 256 || self.chunk_line_bytes_max < 16 {
            return Some("a buffer is too small to hold one line");
        }
        if self.buffer_bytes_grown_max < self.head_bytes_max + self.body_bytes_max {
            return Some("buffer_bytes_grown_max does not hold even one largest request");
        }
        if self.body_bytes_max > u32::MAX as usize / 4 {
            return Some("body_bytes_max exceeds 1 GiB");
        }
        if self.sweep_ms == 0 || self.sweep_ms > self.linger_ms_max || self.sweep_ms > self.head_ms_max {
            return Some("sweep_ms is zero or longer than a deadline it checks");
        }
        None
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const _: () = assert!(Limits::DEFAULT.broken_relation().is_none());
const _: () = assert!(Limits::DEFAULT.connections_per_peer_max <= Limits::DEFAULT.connections_max);
const _: () = assert!(Limits::DEFAULT.durable_ms_max < Limits::DEFAULT.later_ms_max);
const _: () = assert!(Limits::DEFAULT.idle_ms_max > 60_000);
