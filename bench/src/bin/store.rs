//! `bench-store OUT_DIR [--quick] [--busy-ok] [--commit TEXT]`: measures the store on a real PostgreSQL and on SQLite; prints
//! the tables and writes them to OUT_DIR/store.md and store.json. Knows flags and files; the steps are the library's.

use anyhow::{Context, Result, bail};
use bench::store::{Amounts, Figures, measure, report};
use load_tests::busy::{self, Busy};
use load_tests::procfs;
use std::path::PathBuf;
use std::time::SystemTime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Settings {
    out: PathBuf,
    amounts: Amounts,
    busy_ok: bool,
    commit: String,
}

fn settings() -> Result<Settings> {
    let (mut out, mut commit) = (None, "not told".to_owned());
    let (mut amounts, mut busy_ok) = (Amounts::WHOLE, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => amounts = Amounts::QUICK,
            "--busy-ok" => busy_ok = true,
            "--commit" => commit = args.next().context("--commit needs a text")?,
            flag if flag.starts_with('-') => bail!("unknown flag {flag}"),
            _ => out = Some(PathBuf::from(arg)),
        }
    }
    let out = out.context("name the directory for the results")?;
    Ok(Settings { out, amounts, busy_ok, commit })
}

fn main() -> Result<()> {
    let Settings { out, amounts, busy_ok, commit } = settings()?;
    let Busy { share: busy_share, too_busy, .. } = busy::look_around(busy_ok)?;
    std::fs::create_dir_all(&out).with_context(|| format!("make {}", out.display()))?;
    let stores = measure(&amounts, &mut |step| eprintln!("== {step}"))?;
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let figures = Figures { at, commit, machine: procfs::machine(), busy_share, too_busy, amounts, stores };
    let text = report::markdown(&figures);
    std::fs::write(out.join("store.json"), serde_json::to_string_pretty(&figures)? + "\n")
        .context("write store.json")?;
    std::fs::write(out.join("store.md"), &text).context("write store.md")?;
    print!("{text}");
    Ok(())
}
