//! `bench-compare A B`: the results of two runs, figure by figure, as a page for people. A and B are folders of results or
//! single files. Knows its arguments; measures and judges nothing.

use anyhow::{Result, bail};
use bench::results::{Comparison, Run, page};
use std::io::Write;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [a, b] = args.as_slice() else {
        bail!("usage: bench-compare A B (folders of results, or JSON files)")
    };
    let (a, b) = (Run::read(a)?, Run::read(b)?);
    let page = page::markdown(&a, &b, &Comparison::of(&a, &b));
    // Whoever reads only the beginning closes the pipe.
    match std::io::stdout().write_all(page.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
