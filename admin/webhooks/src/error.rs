//! Why something cannot be done, with its facts. Knows no HTTP status.

use engine::EngineError;
use std::path::PathBuf;

/// Webhooks there may be. Each has a thread of its own, so that a slow receiver holds nobody up.
pub const WEBHOOKS_MAX: usize = 32;

/// Webhooks that are tested at once: each takes a thread that may wait for its receiver.
pub const TESTS_MAX: usize = 2;

/// Why it cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such webhook.
    #[error("there is no webhook of this id")]
    NotFound,
    /// No such dead letter.
    #[error("there is no dead letter of this id")]
    NoDeadLetter,
    /// A value that cannot be.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong, and what it must be.
        problem: String,
    },
    /// There are as many as there may be.
    #[error("there are {WEBHOOKS_MAX} webhooks already; remove one")]
    TooMany,
    /// Enough tests at a time.
    #[error("this webhook is being tested, or {TESTS_MAX} others are; wait for their answers")]
    BeingTested,
    /// Nothing is sent.
    #[error("the webhook is not enabled; enable it first")]
    NotEnabled,
    /// No random numbers.
    #[error("no random numbers")]
    Random,
    /// The engine says no.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] engine::journal::JournalError),
    /// A secret cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] secrets::VaultError),
    /// The queue's file.
    #[error("{path}: {text}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
    /// A thread could not be started.
    #[error("failed to start a thread: {0}")]
    Thread(std::io::Error),
}
