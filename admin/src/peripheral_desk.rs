//! Printers and displays for the resources: what may wait for a disk or a device is done on threads that may wait, so many
//! at a time. Knows no path, no driver and no device.

use crate::problem::{Kind, Problem};
use peripherals::{Error, Peripherals, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Requests that wait for a disk or a device at the same time.
const AT_ONCE_MAX: usize = 16;

/// A node's printers and displays, and the file they are set up in.
#[derive(Clone)]
pub struct PeripheralsAt {
    /// Them.
    pub peripherals: Arc<Peripherals>,
    /// Read again by a reload.
    pub file: PathBuf,
}

/// Where resources ask for them.
pub struct PeripheralDesk {
    at: Option<PeripheralsAt>,
    turns: Arc<Semaphore>,
}

impl PeripheralDesk {
    /// `None`: the node has no printers and displays.
    pub fn new(at: Option<PeripheralsAt>) -> PeripheralDesk {
        PeripheralDesk { at, turns: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Them, for what touches memory only.
    pub fn now(&self) -> Option<&Peripherals> {
        self.at.as_ref().map(|at| &*at.peripherals)
    }

    /// Does something that may wait, on a thread that may.
    ///
    /// # Errors
    /// There are none here, too many wait already, or what the work says.
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Peripherals) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        self.ask_telling(Problem::from, work).await
    }

    /// The same; `tell` says how a refusal is told.
    ///
    /// # Errors
    /// As [`PeripheralDesk::ask`].
    pub async fn ask_telling<T: Send + 'static>(
        &self,
        tell: fn(Error) -> Problem,
        work: impl FnOnce(&Peripherals) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        self.wait(move |at| work(&at.peripherals).map_err(tell)).await
    }

    /// Reads the settings' file again: what changed gets a new driver host, all others notice nothing.
    ///
    /// # Errors
    /// Every mistake in the file; then everything stays as it is.
    pub async fn reload(&self) -> Result<(), Problem> {
        let reload = |at: &PeripheralsAt| {
            let settings = Settings::load(&at.file).map_err(|mistakes| {
                Problem::new(Kind::Conflict, format!("nothing was changed: {}", mistakes.0.join("; ")))
            })?;
            Ok(at.peripherals.reload(settings)?)
        };
        self.wait(reload).await
    }

    async fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PeripheralsAt) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let at = self.at.clone().ok_or_else(|| {
            let words = "this node has no printers and displays: name them with --peripherals-file";
            Problem::new(Kind::Conflict, words)
        })?;
        let turn = Arc::clone(&self.turns).try_acquire_owned().map_err(|_| {
            Problem::new(Kind::Unavailable, "too many requests wait for printers and displays; try again")
        })?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&at)
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(%error, "work on printers and displays panicked");
            Err(Problem::new(Kind::Internal, "it could not be done"))
        })
    }
}
