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
/// Room for received bytes a connection begins with: a reply of the device port, whole.
pub const RECEIVE_BYTES_INITIAL: usize = 4 * 1024;
/// And the most it grows to: the answer to an upload names every row of it.
pub const RECEIVE_BYTES_MAX: usize = 32 * 1024 * 1024;
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
const _: () = assert!(REPLY_BYTES_MAX < RECEIVE_BYTES_MAX);
const _: () = assert!(USED_CODE_COUNT < DEMO_STANDARD_COUNT);
const _: () = assert!(STOP_WAIT.as_secs() > 10);
/// Bytes the paced disk probe writes at once at the most: a second of records at a hundred thousand a second.
pub const DISK_GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a record in the paced disk probe: about what a scan takes in the journal.
pub const DISK_RECORD_BYTES: usize = 256;

const _: () = assert!(DISK_GROUP_BYTES_MAX as u64 <= DISK_FILE_BYTES);

/// How long a reader waits for an answer before it asks again: the readers' factory setting (2 s).
pub const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// And how long for the answer to an upload; the server allows itself 35 s.
pub const UPLOAD_ANSWER_WAIT: Duration = Duration::from_secs(40);
/// Bytes of a page that is read whole, such as the server's metrics.
pub const PAGE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// `HTTP/1.1 408`: what has to be there of a reply before its status is read.
pub const STATUS_LINE_BYTES: usize = 12;
/// Between a connection that failed and the next one, the first time.
pub const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long a reader of a scenario's venue may repeat itself and gets the same answer: readers without scan ids ask again
/// for longer than the 3 s a server takes for one scan unless told otherwise.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(30);
/// Retries of an upload.
pub const UPLOAD_RETRIES: u8 = 3;
/// Rows of one upload: what the server takes of 4 MiB, at some 150 bytes a row.
pub const UPLOAD_ROWS_MAX: u32 = 20_000;
/// Connections of one run: below the 1,024 a server takes from one address.
pub const READERS_MAX: u32 = 1_000;
/// Open files of this program and of the server it starts: a socket at both ends of every connection, and some.
pub const DESCRIPTORS: u64 = 8_192;
/// After the last scan was due, how long a scenario waits for what is missing.
pub const SCENARIO_DRAIN_WAIT: Duration = Duration::from_secs(60);
/// Pieces of time in a picture: about what can be told apart on a screen.
pub const PIECES_MAX: u32 = 150;
/// And the shortest of them.
pub const PIECE_MIN: Duration = Duration::from_millis(100);
/// Between two looks at the server's process and metrics during a run.
pub const SAMPLE_PAUSE: Duration = Duration::from_millis(200);
/// How long a database may take to be caught up with after a run.
pub const CATCH_UP_WAIT: Duration = Duration::from_secs(120);
/// A program whose own delay reaches this share of what it measures has measured itself.
pub const SEND_DELAY_SHARE_MAX: f64 = 0.25;
/// A program that uses more of its core than this may have let answers wait.
pub const CORE_SHARE_MAX: f64 = 0.8;
/// Below this nobody's delay matters: it is what waking a thread takes.
pub const SEND_DELAY_SEEN_US: f64 = 1_000.0;
/// Between the last preparation and the first scan.
pub const BEGIN_PAUSE: Duration = Duration::from_millis(50);

const _: () = assert!(ANSWER_WAIT.as_millis() * 11 < REPEAT_WINDOW.as_millis());
