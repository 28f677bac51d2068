//! Every limit of the load program, with its reason. Knows no behavior.

use std::time::Duration;

/// Connecting over loopback takes microseconds; a second means nobody is there.
pub const CONNECT_WAIT: Duration = Duration::from_secs(1);
/// After the last send, how long missing answers are waited for before they count as lost.
pub const DRAIN_WAIT: Duration = Duration::from_secs(10);
/// The longest the client's loop sleeps: it looks at its own clock at least this often.
pub const TURN_WAIT: Duration = Duration::from_millis(50);
/// A server that starts (and replays its journal) has this long to answer its first health question.
pub const START_WAIT: Duration = Duration::from_secs(120);
/// Between two health questions. It bounds the error of every start time we report.
pub const START_POLL: Duration = Duration::from_millis(5);
/// The server promises to stop within 10 s; we allow it a little more before we end it ourselves.
pub const STOP_WAIT: Duration = Duration::from_secs(15);
/// How long a server may go on working after its last answer before we measure anyway.
pub const QUIET_WAIT: Duration = Duration::from_secs(60);
/// One look at whether a server is quiet.
pub const QUIET_LOOK: Duration = Duration::from_millis(500);
/// A server that uses at most this share of one core is quiet: timers tick, nothing is caught up.
/// In [`QUIET_LOOK`] that is 10 ms, the step in which the kernel tells a process's CPU time.
pub const QUIET_SHARE: f64 = 0.02;
/// An import of millions of rows may take minutes, never hours.
pub const IMPORT_WAIT: Duration = Duration::from_secs(1_800);

/// The length of the look at the machine before a comparison.
pub const BUSY_LOOK: Duration = Duration::from_secs(1);
/// The share of the whole machine that others may use before a comparison is worth nothing.
pub const BUSY_SHARE_MAX: f64 = 0.10;

/// Replies of the device port are below 2 KiB; one that is longer than this is not a reply.
pub const REPLY_BYTES_MAX: usize = 16 * 1024;
/// A run that loses more connections than this is not a measurement.
pub const RECONNECTS_MAX: u64 = 1_000;
/// Wrong answers beyond this are counted, not described.
pub const WRONG_EXAMPLES_MAX: usize = 20;
/// The longest code a code file may hold; a QR code of a ticket is far below.
pub const CODE_BYTES_MAX: usize = 256;

/// Standard codes of the demo event.
pub const DEMO_STANDARD_COUNT: u32 = 50_000;
/// Staff codes of the demo event.
pub const DEMO_STAFF_COUNT: u32 = 100;
/// `--codes used` presents this many codes once, then repeats them.
pub const USED_CODE_COUNT: u32 = 1_000;

/// Bytes of a bench request the echo server holds back for one slow reader before it hangs up.
pub const ECHO_UNSENT_MAX: usize = 1024 * 1024;
/// The file the disk probe overwrites: larger than a drive's own small buffers, small enough to zero quickly.
pub const DISK_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Latencies above this are recorded as this.
pub const LATENCY_MAX: Duration = Duration::from_secs(120);

const _: () = assert!(CODE_BYTES_MAX * 4 < REPLY_BYTES_MAX);
const _: () = assert!(USED_CODE_COUNT < DEMO_STANDARD_COUNT);
const _: () = assert!(STOP_WAIT.as_secs() > 10);
/// Bytes the paced disk probe writes at once at the most: a second of records at a hundred thousand a second.
pub const DISK_GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a record in the paced disk probe: about what a scan takes in the journal.
pub const DISK_RECORD_BYTES: usize = 256;

const _: () = assert!(DISK_GROUP_BYTES_MAX as u64 <= DISK_FILE_BYTES);
