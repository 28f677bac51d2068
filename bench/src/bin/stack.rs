//! `bench-stack gatehouse|may|axum|echo --addr ADDR --data-dir DIR`: one HTTP stack with the validation handler, for ever. Knows
//! flags; the stacks are the library's.

use anyhow::{Context, Result};
use bench::beside::stacks::Stack;
use clap::Parser;
use std::net::SocketAddr;
use std::path::PathBuf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One HTTP stack around the validation handler, to be measured beside others.
#[derive(Parser)]
#[command(name = "bench-stack")]
struct Settings {
    /// gatehouse, may, axum or echo
    stack: String,
    /// Where to listen
    #[arg(long)]
    addr: SocketAddr,
    /// Where the journal lives
    #[arg(long)]
    data_dir: PathBuf,
}

fn main() -> Result<()> {
    let Settings { stack, addr, data_dir } = Settings::parse();
    let stack = Stack::named(&stack).with_context(|| format!("there is no stack '{stack}'"))?;
    // As in `gatehouse serve`.
    api::system::small_pages();
    stack.serve(addr, &data_dir)
}
