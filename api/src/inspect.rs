//! The journal without a server: every record as a line, every byte checked. Reads only, repairs nothing.

use engine::disk::StdDisk;
use engine::journal;
use engine::record::Record;
use std::io::Write;
use std::path::Path;

/// Prints every record, one JSON object a line.
///
/// # Errors
/// A directory that cannot be read.
pub fn print(dir: &Path) -> anyhow::Result<u8> {
    let disk = open(dir)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut broken_pipe = false;
    let verified = journal::inspect(&disk, &mut |found| {
        let record = match Record::decode(found.payload) {
            Ok(record) => format!("{record:?}"),
            Err(error) => format!("not readable: {error}"),
        };
        let line = serde_json::json!({"lsn": found.lsn.0, "segment": found.segment, "byte": found.byte, "bytes": found.len, "record": record});
        broken_pipe |= writeln!(out, "{line}").is_err();
    });
    let _ = out.flush();
    match verified {
        Ok(_) => Ok(0),
        Err(error) if !broken_pipe => {
            eprintln!("damaged: {error}");
            Ok(1)
        }
        Err(_) => Ok(0),
    }
}

/// Checks every byte and says what was found; 1 when something is wrong.
///
/// # Errors
/// A directory that cannot be read.
pub fn verify(dir: &Path) -> anyhow::Result<u8> {
    let disk = open(dir)?;
    let mut unreadable = Vec::new();
    let verified = journal::inspect(&disk, &mut |found| {
        if let Err(error) = Record::decode(found.payload) {
            unreadable.push((found.lsn, error));
        }
    });
    match verified {
        Ok(found) => {
            let (first, last) = (found.first.unwrap_or_default(), found.last.unwrap_or_default());
            println!("{} records in {} segments, positions {first} to {last}", found.records, found.segments);
            if let Some(torn) = &found.torn {
                println!(
                    "a torn tail in {} at byte {}: the next start cuts it; nobody was told of what it held",
                    torn.segment, torn.byte
                );
            }
            unreadable.iter().for_each(|(lsn, error)| println!("record {lsn}: {error}"));
            Ok(u8::from(!unreadable.is_empty()))
        }
        Err(error) => {
            println!("damaged: {error}");
            Ok(1)
        }
    }
}

fn open(dir: &Path) -> anyhow::Result<StdDisk> {
    anyhow::ensure!(
        dir.is_dir(),
        "{} is not a directory; the segments of a node are in its data directory, under journal",
        dir.display()
    );
    Ok(StdDisk::read_only(dir)?)
}
