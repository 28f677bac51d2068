//! The validation handler on several HTTP stacks. It is the device port's own `Port` each time, over an engine, a demo
//! venue and a journal that syncs; only what moves the bytes differs. Each stack is a process of its own.
//!
//! | module | owns |
//! |---|---|
//! | `alone` | engine, journal and port without a store, from a directory |
//! | `desk` | a worker's port, and who waits there for the journal |
//! | `own` | the device port's own HTTP layer |
//! | `coroutines` | may_minihttp |
//! | `tasks` | axum |
//! | `side` | a stack's process as a side that is measured |

pub mod alone;
pub mod coroutines;
pub mod desk;
pub mod own;
pub mod side;
pub mod tasks;

use alone::Alone;
use anyhow::Result;
use load_tests::echo::EchoServer;
use load_tests::listening;
use std::net::SocketAddr;
use std::path::Path;

/// A stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// A fixed answer from a bare epoll loop: the limit. It decides nothing.
    Echo,
    /// Our own HTTP layer, as in `gatehouse serve`.
    Own,
    /// may_minihttp with one worker.
    May,
    /// axum on a current-thread runtime.
    Axum,
}

// === impl Stack ===

impl Stack {
    /// All of them.
    pub const ALL: [Stack; 4] = [Stack::Echo, Stack::Own, Stack::May, Stack::Axum];
    /// Those that decide.
    pub const DECIDING: [Stack; 3] = [Stack::Own, Stack::May, Stack::Axum];

    /// Its word on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Stack::Echo => "echo",
            Stack::Own => "gatehouse",
            Stack::May => "may",
            Stack::Axum => "axum",
        }
    }

    /// The stack of this word.
    pub fn named(word: &str) -> Option<Stack> {
        Stack::ALL.into_iter().find(|stack| stack.word() == word)
    }

    /// Serves on `addr` for ever, with data in `data_dir`.
    ///
    /// # Errors
    /// Somebody listens there already, also where the stack would share the port; a directory that cannot be used.
    pub fn serve(self, addr: SocketAddr, data_dir: &Path) -> Result<()> {
        listening::ensure_free(addr)?;
        if self == Stack::Echo {
            return Ok(EchoServer::bind(addr)?.serve()?);
        }
        self.serve_alone(addr, Alone::open(data_dir)?)
    }

    fn serve_alone(self, addr: SocketAddr, alone: Alone) -> Result<()> {
        match self {
            Stack::May => coroutines::serve(addr, alone),
            Stack::Axum => tasks::serve(addr, alone),
            Stack::Own | Stack::Echo => own::serve(addr, &alone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Engine;
    use engine::clock::SystemClock;
    use engine::journal::{JournalOptions, Lsn};
    use engine::sim_disk::SimDisk;
    use load_tests::process::free_addrs;
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpStream;
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    /// A start and a decision take moments, even on a busy machine.
    const MOMENT_MAX: Duration = Duration::from_secs(30);
    /// An answer that need not wait would be there.
    const SILENCE: Duration = Duration::from_millis(200);

    fn soon<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + MOMENT_MAX;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < until, "{what} does not come");
            thread::sleep(Duration::from_millis(2));
        }
    }

    // A killed process leaves to the system what it wrote, synced or not; here the sync itself is held back.
    #[test]
    fn no_byte_leaves_a_stack_before_the_sync_of_its_record() {
        for stack in Stack::DECIDING {
            let (disk, options) = (Arc::new(SimDisk::new()), JournalOptions::default());
            let (engine, _) = Engine::open(disk, Arc::new(SystemClock), options).unwrap();
            // Without a writer nothing becomes durable but by hand.
            let alone = Alone::over(engine).unwrap();
            let (journal, [addr]) = (alone.journal().clone(), free_addrs().unwrap());
            thread::spawn(move || stack.serve_alone(addr, alone));
            let mut stream = soon("the stack", || TcpStream::connect(addr).ok());
            for (round, verdict) in ["true", "false"].into_iter().enumerate() {
                let body = format!(
                    r#"{{"api_key":"demo-key-900","qr_data":"DEMO-STD-000001","scan_id":"s-{round}"}}"#
                );
                let length = body.len();
                let head =
                    format!("POST /api/access/validate HTTP/1.1\r\nHost: a\r\nContent-Length: {length}");
                stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
                let Lsn(durable) = journal.positions().durable;
                soon("the decision", || (journal.positions().next.0 > durable).then_some(()));
                stream.set_read_timeout(Some(SILENCE)).unwrap();
                let mut bytes = [0; 4_096];
                let early = stream.read(&mut bytes).map_err(|error| error.kind());
                assert_eq!(early, Err(ErrorKind::WouldBlock), "{stack:?} answered before the sync");
                journal.commit().unwrap();
                stream.set_read_timeout(Some(MOMENT_MAX)).unwrap();
                let len = stream.read(&mut bytes).unwrap();
                let answer = String::from_utf8_lossy(&bytes[..len]);
                assert!(answer.contains(&format!("\"access_granted\":{verdict}")), "{stack:?}: {answer}");
            }
        }
    }
}
