//! The device port on its own HTTP layer, one worker, without a store. Knows how it is started.

use super::alone::Alone;
use anyhow::{Context, Result};
use api::http::{self, Limits, ServerOptions};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

/// Serves for ever.
///
/// # Errors
/// The address cannot be listened on.
pub fn serve(addr: SocketAddr, alone: &Alone) -> Result<()> {
    let options = ServerOptions { name: "device", addr, workers: 1, limits: Limits::default() };
    let gate = Arc::new(alone.journal().clone());
    let alone = alone.clone();
    let _server =
        http::start(options, gate, move |_| alone.port()).with_context(|| format!("listen on {addr}"))?;
    loop {
        thread::park();
    }
}
