//! The program `gatehouse-driver-host`: serves one peripheral on its standard input and output, or looks at a driver's
//! file. Knows no venue.

use clap::Parser;
use driver_host::plugin::Plugin;
use std::fs::File;
use std::path::PathBuf;

/// Runs one printer's or display's driver. The server starts it; by hand it looks at a driver's file.
#[derive(Parser)]
#[command(name = "gatehouse-driver-host", version)]
struct Cli {
    /// Load this driver's file, print what it says about itself as JSON, and end.
    #[arg(long, value_name = "FILE")]
    inspect: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(path) = cli.inspect {
        let plugin = Plugin::load(&path, None)?;
        println!("{}", serde_json::to_string_pretty(&driver_host::serve::describe(&plugin.info))?);
        return Ok(());
    }
    // A driver that prints to standard output must not break the frames: it writes to the log instead.
    let input = File::from(rustix::io::dup(rustix::stdio::stdin())?);
    let output = File::from(rustix::io::dup(rustix::stdio::stdout())?);
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    driver_host::serve::serve(input, output)
}
