//! The program `gatehouse-driver-host`: serves one peripheral on its standard input and output, or looks at a driver's
//! file or at a device by hand. Knows no venue.

use anyhow::Context;
use clap::Parser;
use driver_frames::Way;
use driver_host::image::Image;
use driver_host::plugin::Plugin;
use driver_host::{confine, probe, serve};
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs one printer's or display's driver. The server starts it; by hand it looks at a driver's file or asks a device.
#[derive(Parser)]
#[command(name = "gatehouse-driver-host", version)]
struct Cli {
    /// Load this driver's file, print what it says about itself as JSON, and end.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["probe", "driver", "config"])]
    inspect: Option<PathBuf>,
    /// Ask the device on this way (such as tcp://10.0.0.5:9100) what it is and how it is, print that as JSON, and end.
    /// Nothing is printed on the device.
    #[arg(long, value_name = "WAY", requires = "driver")]
    probe: Option<Way>,
    /// The driver's file that asks it.
    #[arg(long, value_name = "FILE", requires = "probe")]
    driver: Option<PathBuf>,
    /// The driver's settings.
    #[arg(long, value_name = "JSON", default_value = "{}", requires = "probe")]
    config: String,
}

fn main() -> ExitCode {
    let done = confine::limit().context("failed to limit this process").and_then(|()| run(Cli::parse()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A line for people; where in the program it was is of no use to them.
            let _ = writeln!(std::io::stderr(), "gatehouse-driver-host: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match (cli.inspect, cli.probe, cli.driver) {
        (Some(file), ..) => {
            let image = Image::take(&file, None)?;
            confine::shut_in(None)?;
            print(&serve::describe(&Plugin::from_image(image)?.info))
        }
        (None, Some(way), Some(file)) => {
            let image = Image::take(&file, None)?;
            confine::shut_in(Some(&way))?;
            print(&probe::probe(image, way, &cli.config)?)
        }
        _ => supervised(),
    }
}

fn print(found: &serde_json::Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(found)?;
    match writeln!(std::io::stdout(), "{text}") {
        // Who reads has seen enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("failed to write to standard output"),
    }
}

/// A driver that reads standard input or prints to standard output must not break the frames: it reads nothing, and
/// writes to the log.
fn supervised() -> anyhow::Result<()> {
    confine::die_with_supervisor().context("failed to tie this process to its supervisor")?;
    let input = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    let output = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?);
    rustix::stdio::dup2_stdin(File::open("/dev/null").context("failed to open /dev/null")?)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    serve::serve(input, output)
}
