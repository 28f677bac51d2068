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
            Stack::Own => "own",
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
        let alone = Alone::open(data_dir)?;
        match self {
            Stack::May => coroutines::serve(addr, alone),
            Stack::Axum => tasks::serve(addr, alone),
            Stack::Own | Stack::Echo => own::serve(addr, &alone),
        }
    }
}
