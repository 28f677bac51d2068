//! Runs the crash simulator: `sim SEED [COUNT]`. A seed is a story that repeats exactly; the first that fails ends it.

#[path = "../tests/support/sim/mod.rs"]
mod sim;

use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Result<Vec<u64>, _> = std::env::args().skip(1).map(|text| text.parse()).collect();
    let (seed, count) = match numbers.as_deref() {
        Ok([seed]) => (*seed, 1),
        Ok([seed, count]) => (*seed, *count),
        _ => {
            eprintln!("usage: sim SEED [COUNT]");
            return ExitCode::from(64);
        }
    };
    for seed in seed..seed.saturating_add(count) {
        println!("seed {seed}");
        match sim::run(seed, sim::Honesty::Honest) {
            Ok(stats) => println!("  {stats:?}"),
            Err(problem) => {
                println!("{problem}\nrepeat it: ./x sim {seed}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
